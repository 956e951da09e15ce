//! What the trail promises of every function: each request leaves a row before its answer leaves, and no act is without one,
//! wherever the work is cut off.

use super::{House, Reply, event, event_with_body, object_event, request, set_claim, set_document};
use ::admin::Admin;
use domain::audit::{AuditEvent, EventType, Outcome};
use domain::documents::registry::DocumentRegistry as _;
use domain::ids::TenantId;
use domain::spending::Caps;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{CountingIds, MemoryLedger};

const KEY: &str = "tenants/main/protocol.txt";

/// A number for each request, so that rows can be told apart.
fn numbered(mut event: Value, number: usize) -> Value {
    event["requestContext"]["extendedRequestId"] = format!("request-{number}").into();
    event
}

fn with(name: &str, change: impl Fn(&mut Value)) -> Value {
    let mut event = event(name);
    change(&mut event);
    event
}

/// Requests of every route as they are answered, and as they are refused: role, tenant, form, thing, route.
fn requests(document: &str) -> Vec<Value> {
    let here = |name: &str| with(name, |event| set_document(event, document));
    let of = |mut event: Value, claim: &str, value: &str| {
        set_claim(&mut event, claim, value);
        event
    };
    let answered = vec![
        event("chat.ask"),
        event("documents.create"),
        event("documents.list"),
        here("documents.show"),
        here("documents.content"),
        here("documents.describe"),
        event("admin.cost"),
        here("documents.delete"),
    ];
    let mut all = answered.clone();
    all.extend(answered.iter().map(|event| of(event.clone(), "cognito:groups", "all-staff")));
    all.extend(answered.iter().map(|event| of(event.clone(), "custom:tenant", "")));
    all.extend(answered[3..6].iter().map(|event| of(event.clone(), "custom:tenant", "west")));
    for name in ["documents.show", "documents.content", "documents.describe", "documents.delete"] {
        all.push(with(name, |event| set_document(event, "doc_01h2xcejqtf2nbrexx3vqjhp41")));
    }
    all.push(event_with_body("chat.ask", &json!({ "question": "" })));
    all.push(event_with_body("documents.create", &json!({})));
    for name in ["chat.ask", "documents.list", "admin.cost"] {
        all.push(with(name, |event| event["requestContext"]["resourcePath"] = "/elsewhere".into()));
    }
    all.into_iter().enumerate().map(|(number, event)| numbered(event, number)).collect()
}

impl House {
    /// Sends a request to the function that answers its route.
    async fn send(&self, event: &Value) -> Reply {
        let path = event["resource"].as_str().expect("a route");
        match path.split('/').nth(1) {
            Some("chat") => self.ask(event).await,
            Some("documents") => self.call(event).await,
            Some("admin") => ::admin::handle(&self.admin(), &request(event)).await.into(),
            other => panic!("no function for {other:?}"),
        }
    }

    fn admin(&self) -> Admin {
        Admin {
            ledger: Box::new(MemoryLedger::default()),
            caps: Caps::default(),
            audit: Box::new(self.audit.clone()),
            ids: Box::new(CountingIds::default()),
        }
    }

    fn rows_of(&self, event: &Value) -> Vec<AuditEvent> {
        let id = event["requestContext"]["extendedRequestId"].as_str().expect("an id");
        self.audit.events().into_iter().filter(|row| row.request_id.as_str() == id).collect()
    }
}

#[tokio::test]
async fn every_request_that_reaches_a_function_leaves_a_row_whether_it_is_answered_or_refused() {
    let house = House::new();
    let id = house.index(KEY, "The pump is flushed every morning.", 1).await;
    let mut kinds = BTreeSet::new();
    for event in requests(id.as_str()) {
        let reply = house.send(&event).await;
        let rows = house.rows_of(&event);
        assert!(!rows.is_empty(), "no row: {} {} -> {}", event["httpMethod"], event["resource"], reply.status);
        let is_refused = reply.status >= 400;
        assert_eq!(rows.iter().any(|row| row.outcome == Outcome::Failure), is_refused, "{rows:?}");
        kinds.extend(rows.iter().map(|row| row.event_type));
    }
    let expected = [
        EventType::DocumentUploadRequested,
        EventType::DocumentDescribed,
        EventType::DocumentDeleteRequested,
        EventType::DocumentViewed,
        EventType::DocumentsListed,
        EventType::DocumentShown,
        EventType::CostViewed,
        EventType::AccessDenied,
        EventType::RequestRefused,
    ];
    assert!(expected.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    let nobodys = house.audit.events().into_iter().filter(|row| row.tenant == TenantId::deployment()).count();
    assert_eq!(nobodys, 8, "who has no tenant is in the trail of those");
}

#[tokio::test]
async fn without_the_trail_no_request_is_answered() {
    let house = House::new();
    let id = house.index(KEY, "The pump is flushed every morning.", 1).await;
    house.audit.take_down();
    for event in requests(id.as_str()) {
        let reply = house.send(&event).await;
        assert_eq!(reply.status, 503, "{} {}: {}", event["httpMethod"], event["resource"], reply.text);
    }
}

/// What can be seen from outside of what was done. Of the indexer's work only the index: what its claim shows in the registry
/// while it works is no change of a document yet.
async fn traces(house: &House, is_indexer: bool) -> BTreeSet<String> {
    let mut traces = BTreeSet::new();
    let mut stores = vec![&house.index];
    if !is_indexer {
        let main = TenantId::parse("main").expect("a tenant");
        let rows = house.registry.list(&main, None, 100).await.expect("the registry is up").documents;
        traces.extend(rows.iter().map(|row| format!("{} {:?} {:?}", row.id, row.attributes, row.status)));
        stores.push(&house.documents);
    }
    for store in stores {
        traces.extend(store.keys().iter().map(|key| format!("{key} {:?}", store.peek(key).map(|(_, tag)| tag))));
    }
    traces
}

#[tokio::test]
async fn no_act_is_without_a_row_wherever_the_work_is_cut_off() {
    let mut cut = 0;
    for act in ["create", "describe", "delete", "index", "remove"] {
        for (loses_answer, calls) in [false, true].into_iter().flat_map(|loses| (0..).map(move |calls| (loses, calls)).take(40)) {
            let house = House::new();
            let id = house.index(KEY, "The pump is flushed every morning.", 1).await;
            if act == "index" {
                house.documents.upload(KEY, b"The pump is flushed every evening.", &[]);
            } else if act == "remove" {
                house.documents.take_away(KEY);
            }
            let is_indexer = ["index", "remove"].contains(&act);
            let (before, earlier) = (traces(&house, is_indexer).await, house.audit.events().len());
            let failed = house.outage.failures();
            if loses_answer {
                house.outage.lose_answer_after(calls);
            } else {
                house.outage.begin_after(calls);
            }
            match act {
                "index" => drop(house.deliver(&object_event("Object Created", KEY, 2)).await),
                "remove" => drop(house.deliver(&object_event("Object Deleted", KEY, 2)).await),
                _ => drop(house.call(&with(&format!("documents.{act}"), |e| set_document(e, id.as_str()))).await),
            }
            let was_cut = house.outage.failures() > failed;
            house.outage.end();
            let is_changed = traces(&house, is_indexer).await != before;
            let rows = house.audit.events().split_off(earlier);
            let is_announced = rows.iter().any(|row| row.outcome == Outcome::Intended);
            assert!(is_announced || !is_changed, "{act} cut after {calls}: {rows:?}");
            let ended = rows.iter().filter(|row| row.details.contains_key("intent")).count();
            assert!(ended == 0 || is_announced, "{act} cut after {calls}: an outcome of nothing: {rows:?}");
            assert!(was_cut || (is_changed && ended == 1), "{act}, not cut: {rows:?}");
            cut += u32::from(was_cut);
        }
    }
    assert!(cut > 60, "{cut} cuts");
}
