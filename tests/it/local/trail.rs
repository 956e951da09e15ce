//! The audit trail's API on the local stack: reported, found, exported; and what no role may do.

use super::harness::{Person, eventually, stack};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

const TENANT: &str = "trail";

fn reported(key: &str, event_type: &str, kind: &str, id: &str, data: &Value) -> Value {
    json!({
        "key": key, "event_type": event_type, "occurred_at": Timestamp::now().to_string(), "outcome": "success",
        "actor": "nurse.k", "entity": { "type": kind, "id": id }, "data": data,
    })
}

fn report(source: &Person, events: &[Value]) -> Vec<u64> {
    let reply = source.call("POST", "/audit/events", Some(&json!({ "events": events }))).ok(200);
    let results = reply["results"].as_array().expect("results").iter();
    results.map(|result| result["status"].as_u64().expect("a status")).collect()
}

#[test]
fn what_other_systems_report_is_found_and_exported_and_no_identifier_is_in_the_table() {
    let (source, auditor) = (stack().person(TENANT, &["audit-source"]), stack().person(TENANT, &["auditor"]));
    let events = [
        reported("a", "data_access", "patient", "MRN-4711", &json!({ "records": 2 })),
        reported("b", "configuration_change", "setting", "retention.days", &json!({ "change": "updated" })),
    ];
    assert_eq!(report(&source, &events), [201, 201]);
    assert_eq!(report(&source, &events), [200, 200]);
    let mut other = events[0].clone();
    other["data"]["records"] = 3.into();
    assert_eq!(report(&source, &[other]), [409]);
    let found = |query: &str| auditor.call("GET", &format!("/audit/events?{query}"), None).ok(200);
    assert_eq!(found("entity_type=patient&entity_id=MRN-4711")["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(found("outside_actor=nurse.k")["events"].as_array().map(Vec::len), Some(2));
    assert_eq!(found("event_type=configuration_change")["events"][0]["entity_id"], "retention.days");
    let page = found("event_type=audit_received&limit=2");
    let (ids, next) = (&page["events"], page["next"].as_str().expect("a third report"));
    let rest = found(&format!("event_type=audit_received&limit=2&cursor={next}"));
    assert_eq!((ids.as_array().map(Vec::len), rest["events"].as_array().map(Vec::len)), (Some(2), Some(1)));
    let bundle = auditor.call("GET", "/audit/export?format=fhir&event_type=data_access", None).ok(200);
    assert_eq!((&bundle["resourceType"], bundle["entry"].as_array().map(Vec::len)), (&json!("Bundle"), Some(1)));
    assert_eq!(auditor.call("POST", "/audit/events", Some(&json!({ "events": events }))).problem(), (403, "denied"));
    let rows = stack().audit_rows(TENANT);
    assert!(rows.iter().any(|row| row["event_type"]["S"] == "access_denied"));
    assert!(rows.iter().any(|row| row["event_type"]["S"] == "audit_exported"));
    for row in rows {
        let text = row.to_string();
        assert!(!text.contains("4711") && !text.contains("nurse.k"), "{text}");
        assert!(row["expires_at"]["N"].is_string(), "{text}");
    }
}

#[test]
fn neither_the_audit_api_nor_the_alerts_can_change_or_remove_a_row() {
    let source = stack().person("trail-iam", &["audit-source"]);
    assert_eq!(report(&source, &[reported("a", "bill_validated", "bill", "B-1", &json!({ "issues": 0 }))]), [201]);
    let rows = stack().audit_rows("trail-iam");
    let key = json!({ "pk": rows[0]["pk"], "sk": rows[0]["sk"] });
    let table = stack().output("AuditTable");
    for function in ["audit", "audit-alerts"] {
        let role = stack().credentials_of(function);
        let denied = |operation: &str, parameters: Value| {
            let result = stack().aws_as(Some(&role), "dynamodb", operation, parameters);
            result.is_err_and(|code| ["AccessDenied", "AccessDeniedException"].contains(&code.as_str()))
        };
        assert!(denied("delete_item", json!({ "TableName": table, "Key": key })), "{function} deletes");
        let change = json!({
            "TableName": table, "Key": key, "UpdateExpression": "SET agent = :a", "ExpressionAttributeValues": { ":a": { "S": "x" } },
        });
        assert!(denied("update_item", change), "{function} changes");
        let delete = json!({ "RequestItems": { table: [{ "DeleteRequest": { "Key": key } }] } });
        assert!(denied("batch_write_item", delete), "{function} deletes in a batch");
        let time = json!({ "TableName": table, "TimeToLiveSpecification": { "AttributeName": "created_at", "Enabled": true } });
        assert!(denied("update_time_to_live", time), "{function} turns time-to-live");
        if function == "audit-alerts" {
            let row = json!({ "TableName": table, "Item": { "pk": { "S": "TENANT#trail-iam" }, "sk": { "S": "x" } } });
            assert!(denied("put_item", row), "{function} appends");
        }
    }
}

/// What has come into a queue since the last look.
fn take(url: &Value) -> Vec<Value> {
    let page = stack().aws("sqs", "receive_message", json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 })).expect("messages");
    let mut taken = Vec::new();
    for message in page["Messages"].as_array().into_iter().flatten() {
        let done = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
        stack().aws("sqs", "delete_message", done).expect("deleted");
        taken.push(serde_json::from_str(message["Body"].as_str().expect("a body")).expect("JSON"));
    }
    taken
}

#[test]
fn an_alert_reaches_a_subscriber_soon_and_once_and_names_nobody() {
    const REPORTS: usize = 40;
    let url = stack().subscriber("alerts-latency");
    let source = stack().person("trail-alerts", &["audit-source"]);
    let mut took: Vec<u128> = Vec::new();
    let mut arrived: BTreeMap<String, u32> = BTreeMap::new();
    for number in 0..REPORTS {
        // Twenty bills of a tenant are told of one by one, and then that there are more: each score of them is another tenant's.
        let source = if number < REPORTS / 2 { source.clone() } else { stack().person("trail-alerts-two", &["audit-source"]) };
        let event =
            reported(&format!("fraud {number}"), "fraud_detected", "bill", &format!("B-{number}"), &json!({ "score": 90 }));
        let begun = Instant::now();
        let reply = source.call("POST", "/audit/events", Some(&json!({ "events": [event] }))).ok(200);
        let id = reply["results"][0]["id"].as_str().expect("an id").to_owned();
        eventually("the alert has arrived", || {
            for alert in take(&url) {
                let text = alert.to_string();
                if alert["kind"] != "fraud-detected" {
                    continue;
                }
                assert!(!text.contains("B-") && !text.contains("nurse.k") && !text.contains("psn1_"), "{text}");
                *arrived.entry(alert["facts"]["event"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
            arrived.contains_key(&id).then_some(())
        });
        took.push(begun.elapsed().as_millis());
        assert_eq!(arrived[&id], 1, "told twice");
    }
    took.sort_unstable();
    let below = |ms: u128| took.iter().filter(|time| **time < ms).count();
    let bounds = [50, 100, 200, 300, 500, 1_000, 2_000, 10_000, 60_000];
    println!("report to subscriber, {REPORTS} alerts: p50 {} ms, p99 {} ms", took[REPORTS / 2], took[REPORTS * 99 / 100]);
    println!("ms below: {}", bounds.map(|bound| format!("{bound}: {}", below(bound))).join("  "));
}

#[test]
fn a_row_that_is_written_over_is_told_of() {
    let url = stack().subscriber("alerts-tampering");
    stack().staff("trail-tampering").ask("Is there a row?");
    let mut row = stack().audit_rows("trail-tampering").pop().expect("a row");
    row["agent"] = json!({ "S": "somebody-else" });
    // Who puts without the condition writes over: in the stream that is a change.
    stack().aws("dynamodb", "put_item", json!({ "TableName": stack().output("AuditTable"), "Item": row })).expect("written over");
    let alert = eventually("the change is told of", || {
        take(&url).into_iter().find(|alert| alert["kind"] == "trail-modified" && alert["facts"]["event"] == row["id"]["S"])
    });
    assert_eq!(alert["severity"], "critical");
}

#[test]
fn what_is_no_row_of_the_trail_is_tried_five_times_and_parked_and_its_neighbours_are_told_of() {
    let url = stack().subscriber("alerts-poison");
    let queue = stack().output("AuditAlertsFailureQueue").rsplit(['/', ':']).next().expect("a name").to_owned();
    let parked = stack().aws("sqs", "get_queue_url", json!({ "QueueName": queue })).expect("a queue")["QueueUrl"].take();
    let poison = json!({ "pk": { "S": "TENANT#trail-poison" }, "sk": { "S": "no-ulid" } });
    stack().aws("dynamodb", "put_item", json!({ "TableName": stack().output("AuditTable"), "Item": poison })).expect("poison");
    let source = stack().person("trail-poison", &["audit-source"]);
    let event = reported("fraud behind", "fraud_detected", "bill", "B-behind", &json!({ "score": 90 }));
    let reply = source.call("POST", "/audit/events", Some(&json!({ "events": [event] }))).ok(200);
    eventually("the neighbour behind is told of", || {
        take(&url).into_iter().find(|alert| alert["facts"]["event"] == reply["results"][0]["id"])
    });
    let message = eventually("the poison is parked", || take(&parked).into_iter().next());
    assert!(message.to_string().contains("RetryAttemptsExhausted") && !message.to_string().contains("no-ulid"), "{message}");
}

#[test]
fn every_request_of_the_api_has_a_row_and_a_lost_one_is_named() {
    const TENANT: &str = "trail-coverage";
    let staff = stack().staff(TENANT);
    let id = staff.index("drills.txt", None, b"A fire drill is held every quarter.");
    staff.ask("How often is a fire drill held?");
    let operator = stack().person(TENANT, &["operator"]);
    let calls = [
        (&staff, "GET", "/documents".to_owned(), 200),
        (&staff, "GET", format!("/documents/{id}"), 200),
        (&staff, "GET", format!("/documents/{id}/content"), 200),
        (&staff, "GET", "/documents/doc_01h2xcejqtf2nbrexx3vqjhp41".to_owned(), 404),
        (&staff, "GET", "/documents?limit=nothing".to_owned(), 400),
        (&staff, "GET", "/audit/events".to_owned(), 403),
        (&staff, "GET", "/admin/cost".to_owned(), 403),
        (&operator, "GET", "/admin/cost".to_owned(), 200),
        (&staff, "GET", "/nowhere".to_owned(), 404),
    ];
    for (person, method, path, status) in &calls {
        assert_eq!(person.call(method, path, None).status, *status, "{method} {path}");
    }
    assert_eq!(stack().api("GET", "/documents", Some("no-token"), "", b"").status, 401);
    // Neither with a token nor without one is a request lost, or no record, under an id that its sender has chosen.
    for chosen in ["same", "\"}", "?"] {
        for _ in 0..5 {
            let headers = [("X-Amzn-RequestId", chosen)];
            assert_eq!(stack().api_with("GET", "/documents", Some(&staff.id_token), &headers).status, 200);
            assert_eq!(stack().api_with("GET", "/documents", Some("no-token"), &headers).status, 401);
        }
    }
    let home = super::sealing::home("trail-coverage");
    // The whole life of this stack: what other tests ask has rows as well.
    let asked = ["audit", "coverage", "--from", "2021-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z", "--json"];
    let whole = eventually("every request has a row", || {
        let coverage = super::sealing::json_of(&super::sealing::clinchat(&home, &asked));
        (coverage["missing"] == json!([])).then_some(coverage)
    });
    assert_eq!(whole["coverage"], "100.00 %", "{whole}");
    assert!(whole["requests"].as_u64().is_some_and(|requests| requests >= 25), "{whole}");
    assert_eq!((&whole["repeated"], &whole["unreadable"]), (&json!(0), &json!(0)), "{whole}");
    for (reason, at_least) in [("MISSING_AUTHENTICATION_TOKEN", 1), ("UNAUTHORIZED", 1)] {
        assert!(whole["turned_away"][reason].as_u64().is_some_and(|times| times >= at_least), "{whole}");
    }
    println!("coverage: {} of {} requests; turned away {}", whole["coverage"], whole["requests"], whole["turned_away"]);

    // A request that left none, in a time of its own, compared by the function itself: named, recorded, told.
    let url = stack().subscriber("alerts-coverage");
    let group = stack().output("ApiLogGroup");
    let at = json!({ "logGroupName": group, "logStreamName": "another" });
    stack().aws("logs", "create_log_stream", at).expect("a stream");
    let ms: i64 = 1_600_000_000_000;
    let line = json!({ "requestId": "lost-request", "time": ms.to_string(), "method": "GET", "resource": "/documents", "status": "200",
        "latency": "5", "subject": "x", "refusal": "-", "integration": "200" });
    let put = json!({ "logGroupName": group, "logStreamName": "another", "logEvents": [{ "timestamp": ms, "message": line.to_string() }] });
    stack().aws("logs", "put_log_events", put).expect("a line");
    let window = json!({ "from": "2020-09-13T12:00:00Z", "to": "2020-09-13T13:00:00Z" });
    let invoke = json!({ "FunctionName": stack().name_of("audit-reconcile", '-'), "Payload": window.to_string() });
    let answer = stack().aws("lambda", "invoke", invoke).expect("an answer");
    assert_eq!(answer.get("FunctionError"), None, "{answer}");
    let alert =
        eventually("the lost one is told of", || take(&url).into_iter().find(|alert| alert["kind"] == "audit-incomplete"));
    assert_eq!((&alert["facts"]["first_request"], &alert["facts"]["without_row"]), (&json!("lost-request"), &json!(1)));
    let rows = stack().audit_rows("deployment");
    let row = rows.iter().find(|row| row["event_type"]["S"] == "audit_reconciled").expect("a row");
    assert_eq!(row["outcome"]["S"], "failure");
}
