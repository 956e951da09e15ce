//! The audit trail's API through its function.

use super::{House, REQUEST_ID, Reply, SUBJECT, event, event_with_body, request, set_claim};
use ::audit::Audit;
use domain::audit::{EventType, Pseudonyms};
use domain::context::Role;
use jiff::{SignedDuration, Timestamp};
use lambda_http::Body;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{CountingIds, MemoryTrail};

struct Office {
    house: House,
    app: Audit,
}

impl Office {
    fn new() -> Self {
        let house = House::new();
        let trail = MemoryTrail::new(house.audit.clone());
        let app = Audit {
            intake: Box::new(trail.clone()),
            trail: Box::new(trail),
            audit: Box::new(house.audit.clone()),
            ids: Box::new(CountingIds::starting_at(1_000_000)),
            pseudonyms: Pseudonyms::new(vec![7; 32]).expect("a key"),
        };
        Self { house, app }
    }

    async fn call(&self, event: &Value) -> Reply {
        ::audit::handle(&self.app, &request(event)).await.into()
    }

    /// Reports events as the sample does; answers the results.
    async fn report(&self, events: &[Value]) -> Vec<Value> {
        let reply = self.call(&event_with_body("audit.report", &json!({ "events": events }))).await;
        reply.ok(200)["results"].as_array().expect("results").clone()
    }

    async fn search(&self, query: Value) -> Reply {
        self.call(&with_query("audit.search", query)).await
    }
}

fn with_query(name: &str, query: Value) -> Value {
    let mut event = event(name);
    event["multiValueQueryStringParameters"] =
        query.as_object().expect("a query").iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    event["queryStringParameters"] = query;
    event
}

/// The events of the sample, as if they had just happened.
fn reported() -> Vec<Value> {
    let sample = event("audit.report");
    let body: Value = serde_json::from_str(sample["body"].as_str().expect("a body")).expect("JSON");
    let mut events = body["events"].as_array().expect("events").clone();
    for event in &mut events {
        event["occurred_at"] = Timestamp::now().to_string().into();
    }
    events
}

fn statuses(results: &[Value]) -> Vec<u64> {
    results.iter().map(|result| result["status"].as_u64().expect("a status")).collect()
}

#[tokio::test]
async fn all_five_kinds_are_taken_once_and_hold_no_identifier_of_the_other_system() {
    let office = Office::new();
    let events = reported();
    let first = office.report(&events).await;
    assert_eq!(statuses(&first), [201; 5]);
    let rows = office.house.audit.events();
    assert_eq!(rows.len(), 6, "five events and the record of the request");
    let last = rows.last().expect("a row");
    assert_eq!((last.event_type, last.request_id.as_str()), (EventType::AuditReceived, REQUEST_ID));
    for row in &rows[..5] {
        assert_eq!(row.source.as_ref().map(domain::ids::SubjectId::as_str), Some(SUBJECT));
        let text = format!("{row:?}");
        for identifier in ["B-2041", "C-77", "nurse.k", "MRN-1001", "detector", "bill-2041-validated"] {
            assert!(!text.contains(identifier), "{identifier} is in the trail: {text}");
        }
    }
    assert_eq!(rows[2].agent.as_str(), rows[2].entity.id(), "who signed in is the account that was signed in to");
    assert_eq!(rows[2].agent, rows[3].agent, "the same person has one pseudonym");
    assert_eq!(rows[4].entity.id(), "retention.days");

    let second = office.report(&events).await;
    assert_eq!(statuses(&second), [200; 5]);
    assert_eq!(
        second.iter().map(|r| r["id"].clone()).collect::<Vec<_>>(),
        first.iter().map(|r| r["id"].clone()).collect::<Vec<_>>()
    );
    assert_eq!(office.house.audit.events().len(), 7);
}

#[tokio::test]
async fn each_bad_event_is_refused_by_itself_and_its_neighbours_are_taken() {
    let office = Office::new();
    let good = reported().remove(0);
    let changed = |path: &str, value: Value| {
        let mut event = good.clone();
        event["key"] = format!("key of {path} {value:.20}").into();
        *event.pointer_mut(path).expect("a place") = value;
        event
    };
    let without = |name: &str| {
        let mut event = good.clone();
        event.as_object_mut().expect("an object").remove(name);
        event
    };
    let at = |offset: SignedDuration| json!((Timestamp::now() + offset).to_string());
    let mut bad = vec![
        changed("/event_type", json!("bill_paid")),
        changed("/event_type", json!("chat_answered")),
        changed("/event_type", json!("audit_sealed")),
        changed("/occurred_at", at(SignedDuration::from_mins(6))),
        changed("/occurred_at", at(SignedDuration::from_hours(-24 * 7 - 1))),
        changed("/occurred_at", json!("yesterday")),
        changed("/outcome", json!("intended")),
        changed("/actor", json!("")),
        changed("/actor", json!("a".repeat(129))),
        changed("/actor", json!("a\u{0}b")),
        changed("/entity/type", json!("patient")),
        changed("/entity/id", json!(7)),
        changed("/data", json!({ "issues": 2, "note": "the patient said" })),
        changed("/data", json!({ "issues": -1 })),
        changed("/data", json!({ "issues": "2" })),
        changed("/data", json!({})),
        changed("/data", json!({ "issues": 1, "lines": "x".repeat(5_000) })),
        json!("text"),
        json!(null),
        json!([]),
    ];
    bad.extend(["key", "event_type", "occurred_at", "outcome", "actor", "entity"].map(without));
    let mut extra = good.clone();
    extra["patient_name"] = "Jane Doe".into();
    bad.push(extra);
    let mut batch = Vec::new();
    for (number, event) in bad.iter().enumerate() {
        let mut neighbour = good.clone();
        neighbour["key"] = format!("neighbour {number}").into();
        batch.extend([event.clone(), neighbour]);
    }
    let results = office.report(&batch).await;
    for (number, pair) in results.chunks(2).enumerate() {
        assert_eq!(statuses(pair), [400, 201], "{} {pair:?}", bad[number]);
        assert_eq!(pair[0]["problem"]["type"], "urn:clinchat:problem:bad-event");
        let text = pair[0].to_string();
        assert!(!["Jane", "the patient said", "bill_paid", "yesterday"].iter().any(|said| text.contains(said)), "{text}");
    }
    assert_eq!(office.house.audit.events().len(), bad.len() + 1, "nothing of a refused event is written");
}

#[tokio::test]
async fn a_key_with_other_content_is_a_conflict_across_batches_and_within_one() {
    let office = Office::new();
    let good = reported().remove(0);
    let mut other = good.clone();
    other["data"]["issues"] = 3.into();
    assert_eq!(statuses(&office.report(&[good.clone(), other.clone(), good.clone()]).await), [201, 409, 200]);
    let again = office.report(&[other.clone()]).await;
    assert_eq!((statuses(&again), &again[0]["problem"]["type"]), (vec![409], &json!("urn:clinchat:problem:conflict")));
    // Another source may use the same key.
    let mut theirs = event_with_body("audit.report", &json!({ "events": [other] }));
    set_claim(&mut theirs, "sub", "another-source");
    assert_eq!(office.call(&theirs).await.ok(200)["results"][0]["status"], 201);
}

#[tokio::test]
async fn only_sources_report_only_auditors_read_and_the_attempt_is_recorded() {
    let office = Office::new();
    let roles = ["clinician", "document-admin", "operator", "access-admin", "auditor", "audit-source", ""];
    for (name, allowed) in [("audit.report", "audit-source"), ("audit.search", "auditor"), ("audit.export", "auditor")] {
        for role in roles.iter().filter(|role| **role != allowed) {
            let mut event = event(name);
            set_claim(&mut event, "cognito:groups", role);
            let before = office.house.audit.events().len();
            assert_eq!(office.call(&event).await.problem(), (403, "denied"), "{name} as {role}");
            let rows = office.house.audit.events();
            assert_eq!(rows.len(), before + 1);
            assert_eq!(rows.last().map(|row| row.event_type), Some(EventType::AccessDenied));
        }
    }
    let last = office.house.audit.events().pop().expect("a row");
    assert_eq!((last.entity.kind(), last.entity.id()), ("route", "get:/audit/export"));
}

#[tokio::test]
async fn batches_that_are_none_are_refused_whole() {
    let office = Office::new();
    let many: Vec<Value> = (0..101).map(|_| json!({})).collect();
    for body in [json!({}), json!({ "events": [] }), json!({ "events": many }), json!({ "events": {} }), json!([])] {
        assert_eq!(office.call(&event_with_body("audit.report", &body)).await.problem(), (400, "bad-body"));
    }
    let large = json!({ "events": [{ "key": "x".repeat(70_000) }] });
    assert_eq!(office.call(&event_with_body("audit.report", &large)).await.problem(), (413, "body-too-large"));
    assert_eq!(office.house.history(), [EventType::RequestRefused; 6], "that they were tried is all that is written");
}

#[tokio::test]
async fn without_the_trail_nothing_is_taken_and_nothing_is_shown() {
    let office = Office::new();
    office.report(&reported()).await;
    office.house.audit.take_down();
    let mut later = reported();
    later[0]["key"] = "later".into();
    assert_eq!(office.call(&event_with_body("audit.report", &json!({ "events": later }))).await.problem().0, 503);
    assert_eq!(office.search(json!({})).await.problem().0, 503, "a search that cannot be recorded shows nothing");
    assert_eq!(office.call(&with_query("audit.export", json!({}))).await.problem().0, 503);
    let mut denied = event("audit.search");
    set_claim(&mut denied, "cognito:groups", "clinician");
    assert_eq!(office.call(&denied).await.problem().0, 503);
}

#[tokio::test]
async fn the_trail_is_found_by_entity_actor_kind_request_and_time_and_each_search_is_in_it() {
    let office = Office::new();
    office.report(&reported()).await;
    let found = |reply: Reply| -> Vec<String> {
        let events = reply.ok(200)["events"].as_array().expect("events").clone();
        events.iter().map(|event| event["event_type"].as_str().expect("a kind").to_owned()).collect()
    };
    assert_eq!(found(office.search(json!({ "entity_type": "patient", "entity_id": "MRN-1001" })).await), ["data_access"]);
    assert_eq!(found(office.search(json!({ "outside_actor": "nurse.k" })).await), ["data_access", "user_login"]);
    assert_eq!(found(office.search(json!({ "event_type": "fraud_detected" })).await), ["fraud_detected"]);
    assert_eq!(found(office.search(json!({ "entity_type": "setting", "entity_id": "retention.days" })).await).len(), 1);
    assert_eq!(found(office.search(json!({ "to": "2026-01-01T00:00:00Z" })).await), [""; 0]);
    assert_eq!(found(office.search(json!({ "event_type": "audit_queried" })).await).len(), 5, "each search is in the trail");
    let pseudonym = office.house.audit.events()[3].agent.as_str().to_owned();
    assert_eq!(found(office.search(json!({ "actor": pseudonym })).await).len(), 2);
    let mut foreign = with_query("audit.search", json!({ "event_type": "fraud_detected" }));
    set_claim(&mut foreign, "custom:tenant", "west");
    assert_eq!(found(office.call(&foreign).await), [""; 0], "another tenant's trail");
    for bad in [
        json!({ "entity_type": "patient" }),
        json!({ "event_type": "nothing" }),
        json!({ "from": "now" }),
        json!({ "limit": "0" }),
        json!({ "limit": "201" }),
        json!({ "order": "up" }),
        json!({ "cursor": "AAAA" }),
        json!({ "actor": "Jane Doe" }),
        json!({ "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z" }),
    ] {
        assert_eq!(office.search(bad.clone()).await.problem(), (400, "bad-parameter"), "{bad}");
    }
}

#[tokio::test]
async fn pages_hold_each_row_once_in_both_orders() {
    let office = Office::new();
    let events: Vec<Value> = (0..50)
        .map(|number| {
            let mut event = reported().remove(0);
            event["key"] = format!("key {number}").into();
            event
        })
        .collect();
    assert_eq!(statuses(&office.report(&events).await), [201; 50]);
    for order in ["newest", "oldest"] {
        let mut query = json!({ "event_type": "bill_validated", "limit": "7", "order": order });
        let mut ids: Vec<String> = Vec::new();
        loop {
            let reply = office.search(query.clone()).await;
            let page = reply.ok(200);
            ids.extend(page["events"].as_array().expect("events").iter().map(|e| e["id"].as_str().expect("an id").to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            query["cursor"] = next.into();
        }
        let mut sorted = ids.clone();
        sorted.sort();
        if order == "newest" {
            sorted.reverse();
        }
        assert_eq!(ids, sorted);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 50);
    }
}

#[tokio::test]
async fn a_part_leaves_as_json_lines_csv_or_fhir_and_says_so_in_the_trail() {
    let office = Office::new();
    office.report(&reported()).await;
    for (format, media_type) in
        [("jsonl", "application/x-ndjson"), ("csv", "text/csv; charset=utf-8"), ("fhir", "application/fhir+json")]
    {
        let event = with_query("audit.export", json!({ "format": format, "event_type": "data_access" }));
        let response = ::audit::handle(&office.app, &request(&event)).await;
        assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &media_type.parse().expect("ASCII")));
        assert_eq!(response.headers()["cache-control"], "no-store");
        let Body::Text(text) = response.into_body() else { panic!("an export is text") };
        assert!(text.contains("data_access") && text.contains("treatment"), "{text}");
        match format {
            "jsonl" => {
                let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
                assert_eq!(lines.len(), 1);
            }
            "csv" => assert_eq!(text.lines().count(), 2),
            _ => {
                let bundle: Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(bundle["entry"][0]["resource"]["type"]["code"], "110110");
            }
        }
        let last = office.house.audit.events().pop().expect("a row");
        assert_eq!((last.event_type, last.roles.as_slice()), (EventType::AuditExported, &[Role::Auditor][..]));
    }
    assert_eq!(office.call(&with_query("audit.export", json!({ "format": "xml" }))).await.problem(), (400, "bad-parameter"));
}
