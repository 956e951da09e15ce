//! The audit trail's API on the local stack: reported, found, exported; and what no role may do.

use super::harness::{Person, stack};
use jiff::Timestamp;
use serde_json::{Value, json};

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
