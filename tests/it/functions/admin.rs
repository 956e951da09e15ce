//! The operators' view of the money: figures that are right, of their own tenant, recorded, and for nobody else.

use super::{Reply, event, request, set_claim};
use crate::money::{asking, ended, model};
use ::admin::Admin;
use domain::audit::EventType;
use domain::ids::TenantId;
use domain::spending::{AttemptOutcome, Caps, Grade, Ledger};
use std::sync::Arc;
use testkit::{CountingIds, MemoryAlerts, MemoryAuditLog, MemoryLedger};

async fn spend(store: &MemoryLedger, tenant: &str, person: &str, department: Option<&str>, tokens: u32) {
    let now = runtime::ids::now();
    let ledger = Ledger {
        store: Arc::new(store.clone()),
        caps: Caps::default(),
        alerts: Arc::new(MemoryAlerts::default()),
        audit: Arc::new(MemoryAuditLog::default()),
        ids: Arc::new(CountingIds::starting_at(tokens.into())),
    };
    let mut context = asking(person, department, now);
    context.tenant = TenantId::parse(tenant).expect("a tenant");
    let reservation = ledger.reserve(&context, &model(Grade::Usual), (tokens, 0), now).await.expect("room");
    let _ = ledger.settle(reservation, ended(AttemptOutcome::Answered, Some(tokens), now)).await.expect("settled");
}

#[tokio::test]
async fn an_operator_sees_the_day_and_the_look_is_recorded() {
    let (store, audit) = (MemoryLedger::default(), MemoryAuditLog::default());
    spend(&store, "main", "ana", Some("icu"), 700).await;
    spend(&store, "main", "ben", Some("ward"), 900).await;
    spend(&store, "west", "cleo", Some("secret-project"), 400).await;
    let app = Admin {
        ledger: Box::new(store),
        caps: Caps::default(),
        audit: Box::new(audit.clone()),
        ids: Box::new(CountingIds::default()),
    };
    let reply: Reply = ::admin::handle(&app, &request(&event("admin.cost"))).await.into();
    let body = reply.ok(200);
    assert_eq!((&body["spent"], &body["cap"]), (&2_000.into(), &100_000_000.into()));
    assert_eq!(body["models"], serde_json::json!([{ "model": "one-usual", "spent": 2_000, "attempts": 3 }]));
    let departments = serde_json::json!([{ "name": "ward", "booked": 900 }, { "name": "icu", "booked": 700 }]);
    assert_eq!(body["departments"], departments, "those of the operator's tenant, the dearest first");
    assert_eq!(body["people"].as_array().map(Vec::len), Some(2));
    assert!(!reply.text.contains("ana") && !reply.text.contains("secret-project"), "{}", reply.text);
    assert!(body["forecast"].as_u64().is_some_and(|forecast| forecast >= 2_000));
    let hours: u64 = body["hours"].as_array().expect("hours").iter().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(hours, 2_000);
    assert_eq!(audit.events().iter().map(|e| e.event_type).collect::<Vec<_>>(), [EventType::CostViewed]);

    let mut clinician = event("admin.cost");
    set_claim(&mut clinician, "cognito:groups", "clinician,document-admin,auditor");
    let refused: Reply = ::admin::handle(&app, &request(&clinician)).await.into();
    assert_eq!(refused.problem(), (403, "denied"));
    audit.take_down();
    let unrecorded: Reply = ::admin::handle(&app, &request(&event("admin.cost"))).await.into();
    assert_eq!(unrecorded.problem(), (503, "unavailable"), "what cannot be recorded is not shown");
}
