//! The reconciliation: what the gateway recorded against what the trail has, with a row that is not there.

use super::{House, event};
use async_trait::async_trait;
use audit_reconcile::{AuditReconcile, handle};
use domain::audit::coverage::{AccessPage, AccessRecord, AccessRecords, RequestTrail, Window};
use domain::audit::{EventType, Outcome};
use domain::fault::PortError;
use domain::ids::RequestId;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{CountingIds, MemoryAlerts, MemoryTrail};

/// Two records to a page.
struct Recorded(Vec<AccessRecord>);

#[async_trait]
impl AccessRecords for Recorded {
    async fn page(&self, _: &Window, next: Option<&str>) -> Result<AccessPage, PortError> {
        let from: usize = next.map_or(0, |next| next.parse().expect("a number"));
        let records: Vec<AccessRecord> = self.0.iter().skip(from).take(2).cloned().collect();
        let next = (from + 2 < self.0.len()).then(|| (from + 2).to_string());
        Ok(AccessPage { records, unreadable: 0, next })
    }
}

/// A trail that has lost one request's rows. The functions write them now; the records are of ten minutes past seven of that day.
struct Lossy(MemoryTrail, Option<RequestId>);

#[async_trait]
impl RequestTrail for Lossy {
    async fn has_rows(&self, requests: &[AccessRecord]) -> Result<Vec<bool>, PortError> {
        let since = Timestamp::now().duration_since(now() - SignedDuration::from_mins(70));
        let moved: Vec<AccessRecord> =
            requests.iter().map(|record| AccessRecord { at: record.at + since, ..record.clone() }).collect();
        let found = self.0.has_rows(&moved).await?;
        Ok(found.into_iter().zip(requests).map(|(has, record)| has && Some(&record.request) != self.1.as_ref()).collect())
    }
}

fn now() -> Timestamp {
    "2026-01-05T08:20:00Z".parse().expect("a time")
}

fn record(id: &str, minute: i64, status: u16, refusal: Option<&str>, is_integrated: bool) -> AccessRecord {
    let at = now() - SignedDuration::from_mins(80) + SignedDuration::from_mins(minute);
    AccessRecord { request: RequestId::new(id), at, status, refusal: refusal.map(str::to_owned), is_integrated }
}

/// Requests of every kind, through the functions, with the records that the gateway would have written of them.
async fn day() -> (House, Vec<AccessRecord>) {
    let house = House::new();
    let mut records = Vec::new();
    for (number, name) in (0..).zip(["chat.ask", "documents.list", "documents.show", "documents.create"]) {
        let mut event = event(name);
        let id = format!("asked-{number}");
        event["requestContext"]["extendedRequestId"] = id.clone().into();
        let reply = if name == "chat.ask" { house.ask(&event).await } else { house.call(&event).await };
        records.push(record(&id, 5 + number, reply.status, None, true));
    }
    assert_eq!(records[2].status, 404, "there is no such document");
    records.push(record("no-token", 9, 401, Some("UNAUTHORIZED"), false));
    records.push(record("too-fast", 9, 429, Some("THROTTLED"), false));
    records.push(record("crashed", 10, 503, Some("INTEGRATION_FAILURE"), true));
    // Before the hour, and after it.
    records.push(record("earlier", -1, 200, None, true));
    records.push(record("later", 60, 200, None, true));
    (house, records)
}

async fn reconcile(house: &House, records: Vec<AccessRecord>, lost: Option<&str>, event: &Value) -> (Value, MemoryAlerts) {
    let alerts = MemoryAlerts::default();
    let app = AuditReconcile {
        records: Box::new(Recorded(records)),
        trail: Box::new(Lossy(MemoryTrail::new(house.audit.clone()), lost.map(RequestId::new))),
        audit: Box::new(house.audit.clone()),
        alerts: Box::new(alerts.clone()),
        ids: Box::new(CountingIds::starting_at(9_000)),
        clock: now,
    };
    (handle(&app, event, "run-1").await.expect("an answer"), alerts)
}

#[tokio::test]
async fn every_request_has_a_row_and_what_the_gateway_turned_away_is_counted_apart() {
    let (house, records) = day().await;
    let (answer, alerts) = reconcile(&house, records, None, &event("audit-reconcile.hour")).await;
    assert_eq!((&answer["coverage"], &answer["requests"], &answer["covered"]), (&json!("100.00 %"), &json!(4), &json!(4)));
    assert_eq!(answer["turned_away"], json!({ "THROTTLED": 1, "UNAUTHORIZED": 1 }));
    assert_eq!((&answer["failed"], &answer["missing"]), (&json!(1), &json!([])));
    assert_eq!(answer["window"], event("audit-reconcile.between"));
    assert!(alerts.alerts().is_empty());
    let row = house.audit.events().pop().expect("a row");
    assert_eq!((row.event_type, row.outcome, row.tenant.as_str()), (EventType::AuditReconciled, Outcome::Success, "deployment"));
}

#[tokio::test]
async fn a_lost_row_is_named_told_and_recorded() {
    let (house, records) = day().await;
    let (answer, alerts) = reconcile(&house, records, Some("asked-2"), &event("audit-reconcile.between")).await;
    assert_eq!((&answer["coverage"], &answer["missing"]), (&json!("75.00 %"), &json!(["asked-2"])));
    let told = alerts.alerts();
    assert_eq!((told.len(), told[0].kind.as_str(), told[0].severity.as_str()), (1, "audit-incomplete", "critical"));
    assert_eq!(serde_json::to_value(&told[0].facts).expect("JSON")["first_request"], "asked-2");
    assert_eq!(house.audit.events().pop().map(|row| row.outcome), Some(Outcome::Failure));
}

#[tokio::test]
async fn a_code_that_is_not_on_the_list_and_a_refusal_after_a_function_was_asked_need_a_row() {
    let (house, mut records) = day().await;
    records.push(record("odd", 20, 403, Some("SOME_NEW_CODE"), false));
    records.push(record("after", 21, 413, Some("REQUEST_TOO_LARGE"), true));
    records.push(record("asked-0", 22, 200, None, true));
    let again = records[0].clone();
    records.push(again);
    let (answer, _) = reconcile(&house, records, None, &event("audit-reconcile.hour")).await;
    // A row stands for one request: a second one under its id has none, and a line that comes twice is one request.
    let missing: BTreeSet<&str> = answer["missing"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    assert_eq!(missing, BTreeSet::from(["odd", "after", "asked-0"]));
    assert_eq!((&answer["requests"], &answer["covered"], &answer["repeated"]), (&json!(7), &json!(4), &json!(1)));
}

#[tokio::test]
async fn requests_that_a_client_sends_under_one_id_are_each_their_own() {
    let house = House::new();
    let mut records = Vec::new();
    for number in 0..100 {
        let mut event = event("documents.list");
        // What the client chose; the gateway's own is another each time.
        event["requestContext"]["requestId"] = "chosen".into();
        let id = format!("gateway-{number}=");
        event["requestContext"]["extendedRequestId"] = id.clone().into();
        assert_eq!(house.call(&event).await.status, 200);
        records.push(record(&id, 5, 200, None, true));
    }
    let (answer, alerts) = reconcile(&house, records.clone(), None, &event("audit-reconcile.hour")).await;
    assert_eq!((&answer["requests"], &answer["covered"], &answer["repeated"]), (&json!(100), &json!(100), &json!(0)));
    assert!(alerts.alerts().is_empty());
    let (answer, alerts) = reconcile(&house, records, Some("gateway-57="), &event("audit-reconcile.hour")).await;
    assert_eq!((&answer["covered"], &answer["missing"]), (&json!(99), &json!(["gateway-57="])));
    assert_eq!(alerts.alerts().len(), 1);
}

#[tokio::test]
async fn a_row_from_another_time_stands_for_no_request() {
    let (house, records) = day().await;
    let hour = |record: &AccessRecord| AccessRecord { at: record.at - SignedDuration::from_mins(40), ..record.clone() };
    let early: Vec<AccessRecord> = records[..4].iter().map(hour).collect();
    let window = json!({ "from": "2026-01-05T06:00:00Z", "to": "2026-01-05T07:00:00Z" });
    let (answer, _) = reconcile(&house, early, None, &window).await;
    assert_eq!((&answer["requests"], &answer["covered"]), (&json!(4), &json!(0)));
}

#[tokio::test]
async fn a_window_that_is_none_is_refused() {
    let (house, _) = day().await;
    let app = AuditReconcile {
        records: Box::new(Recorded(Vec::new())),
        trail: Box::new(MemoryTrail::new(house.audit.clone())),
        audit: Box::new(house.audit.clone()),
        alerts: Box::new(MemoryAlerts::default()),
        ids: Box::new(CountingIds::default()),
        clock: now,
    };
    let rows = house.audit.events().len();
    let backwards = json!({ "from": "2026-01-05T08:00:00Z", "to": "2026-01-05T07:00:00Z" });
    for bad in [json!({}), json!({ "window": "year" }), backwards, json!({ "from": "yesterday", "to": "today" })] {
        assert!(handle(&app, &bad, "run").await.is_err(), "{bad}");
    }
    assert_eq!(house.audit.events().len(), rows);
}
