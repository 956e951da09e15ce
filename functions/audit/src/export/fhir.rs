//! FHIR R4 `AuditEvent`. The coarse type is DICOM's; our own kind is the subtype. An intent has no outcome yet, and says so by
//! having none.

use domain::audit::search::TrailRow;
use serde_json::{Map, Value, json};

const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";

/// DICOM's code and display for a kind of ours. What a newer or older version wrote is an activity of the application.
fn coarse(event_type: &str) -> (&'static str, &'static str) {
    match event_type {
        "user_login" => ("110114", "User Authentication"),
        "data_access" => ("110110", "Patient Record"),
        "break_glass" => ("110127", "Emergency Override Started"),
        "fraud_detected" | "phi_blocked" | "rate_limited" | "access_denied" | "budget_stop" => ("110113", "Security Alert"),
        "chat_answered" | "chat_refused" | "documents_listed" | "document_shown" => ("110112", "Query"),
        "document_viewed" | "audit_exported" => ("110106", "Export"),
        "document_indexed" | "document_failed" | "document_upload_requested" | "audit_received" => ("110107", "Import"),
        "audit_queried" | "audit_verified" | "audit_sealed" | "audit_reconciled" => ("110101", "Audit Log Used"),
        _ => ("110100", "Application Activity"),
    }
}

fn identifier(system: &str, value: &str) -> Value {
    json!({ "identifier": { "system": format!("urn:clinchat:{system}"), "value": value } })
}

fn details(row: &TrailRow) -> Vec<Value> {
    let details: Map<String, Value> = serde_json::from_str(&row.details).unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    details.iter().map(|(name, value)| json!({ "type": name, "valueString": text(value) })).collect()
}

/// One row as a resource.
fn event(row: &TrailRow) -> Value {
    let (code, display) = coarse(&row.event_type);
    let mut agent = json!({ "who": identifier("subject", &row.agent), "requestor": true });
    if !row.roles.is_empty() {
        let codings = row.roles.iter().map(|role| json!({ "coding": [{ "system": "urn:clinchat:role", "code": role }] }));
        agent["role"] = codings.collect();
    }
    let mut entity = json!({
        "what": identifier(&row.entity_type, &row.entity_id),
        "type": { "system": "urn:clinchat:entity-type", "code": row.entity_type },
    });
    let mut all = details(row);
    if !row.request_id.is_empty() {
        all.push(json!({ "type": "request_id", "valueString": row.request_id }));
    }
    if !all.is_empty() {
        entity["detail"] = all.into();
    }
    let mut resource = json!({
        "resourceType": "AuditEvent",
        "id": row.id,
        "type": { "system": DICOM, "code": code, "display": display },
        "subtype": [{ "system": "urn:clinchat:audit-event", "code": row.event_type }],
        "action": row.action,
        "recorded": row.timestamp,
        "agent": [agent],
        "source": { "observer": row.source.as_ref().map_or_else(|| json!({ "display": "ClinChat" }), |source| identifier("subject", source)) },
        "entity": [entity],
    });
    match row.outcome.as_str() {
        "success" => resource["outcome"] = "0".into(),
        "failure" => resource["outcome"] = "4".into(),
        other => resource["outcomeDesc"] = other.into(),
    }
    resource
}

/// A collection of resources. FHIR knows no empty arrays, so an empty collection has no entries at all.
pub fn bundle(rows: &[TrailRow]) -> Value {
    let mut bundle = json!({ "resourceType": "Bundle", "type": "collection" });
    if !rows.is_empty() {
        let entries =
            rows.iter().map(|row| json!({ "fullUrl": format!("urn:clinchat:audit-event:{}", row.id), "resource": event(row) }));
        bundle["entry"] = entries.collect();
    }
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::audit::EventType;

    fn row() -> TrailRow {
        TrailRow {
            id: "01KE6Z0000000000000000000A".into(),
            timestamp: "2026-01-05T08:00:00Z".into(),
            event_type: "document_viewed".into(),
            action: "R".into(),
            outcome: "success".into(),
            entity_type: "document".into(),
            entity_id: "doc_x".into(),
            agent: "person-1".into(),
            request_id: "r-1".into(),
            details: "{\"pages\":3,\"reason\":\"empty\"}".into(),
            ..TrailRow::default()
        }
    }

    #[test]
    fn every_required_element_of_r4_is_there_and_no_array_is_empty() {
        let rows: Vec<TrailRow> = EventType::ALL
            .iter()
            .map(|kind| TrailRow { event_type: kind.as_str().into(), action: kind.action().as_str().into(), ..row() })
            .collect();
        let bundle = bundle(&rows);
        assert_eq!(bundle["entry"].as_array().map(Vec::len), Some(EventType::ALL.len()));
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            let event = &entry["resource"];
            for required in ["type", "recorded", "agent", "source"] {
                assert!(!event[required].is_null(), "{required}");
            }
            assert!(event["source"]["observer"].is_object() && event["agent"][0]["requestor"].is_boolean());
            assert!(["C", "R", "U", "D", "E"].contains(&event["action"].as_str().unwrap_or_default()));
            assert!(!event.to_string().contains("[]"), "{event}");
        }
        assert!(super::bundle(&[]).get("entry").is_none());
    }

    #[test]
    fn an_intent_has_no_outcome_and_details_are_strings() {
        let intent = event(&TrailRow { outcome: "intended".into(), ..row() });
        assert_eq!((intent.get("outcome"), &intent["outcomeDesc"]), (None, &"intended".into()));
        let event = event(&row());
        assert_eq!(event["outcome"], "0");
        assert_eq!(
            event["entity"][0]["detail"],
            json!([
                { "type": "pages", "valueString": "3" },
                { "type": "reason", "valueString": "empty" },
                { "type": "request_id", "valueString": "r-1" },
            ])
        );
    }
}
