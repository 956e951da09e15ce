//! The pin: heads of sealed trails, and what a head finds that a trail alone does not show.

use super::event;
use audit_pin::{AuditPin, handle, head_key};
use audit_seal::AuditSeal;
use domain::audit::EventType;
use domain::ids::TenantId;
use seal::{Head, PublicKey, Start, TrailVerifier, file_name};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use testkit::{CountingIds, MemoryAlerts, MemoryAuditLog, MemoryKey, MemoryObjects, fixed_now};

#[derive(Default)]
struct House {
    archive: MemoryObjects,
    pins: MemoryObjects,
    audit: MemoryAuditLog,
    alerts: MemoryAlerts,
}

impl House {
    fn pin(&self) -> AuditPin {
        AuditPin {
            archive: Arc::new(self.archive.clone()),
            pins: Arc::new(self.pins.clone()),
            writer: Arc::new(self.pins.clone()),
            key: Box::new(MemoryKey::of_seed(1)),
            audit: Box::new(self.audit.clone()),
            alerts: Box::new(self.alerts.clone()),
            ids: Box::new(CountingIds::default()),
            clock: fixed_now,
            trusted: String::new(),
        }
    }

    /// Seals rows of the tenant main, one batch each.
    async fn seal(&self, archive: &MemoryObjects, rows: &[(&str, &str)]) {
        let store = Arc::new(archive.clone());
        let app = AuditSeal::new(store, Box::new(MemoryKey::of_seed(1)), fixed_now);
        for (id, kind) in rows {
            let image = json!({ "pk": { "S": "TENANT#main" }, "sk": { "S": id }, "event_type": { "S": kind } });
            let record = json!({ "eventName": "INSERT", "dynamodb": { "SequenceNumber": "1", "ApproximateCreationDateTime": 1, "NewImage": image } });
            let answer = audit_seal::handle(&app, &json!({ "Records": [record] }), "r").await.expect("an answer");
            assert_eq!(answer, json!({ "batchItemFailures": [] }));
        }
    }

    fn heads(&self) -> Vec<Head> {
        let read = |key: &String| serde_json::from_slice(&self.pins.peek(key).expect("a head").0).expect("a head");
        self.pins.keys().iter().map(read).collect()
    }
}

#[tokio::test]
async fn a_head_is_pinned_recorded_and_told_and_not_again_for_its_own_record() {
    let house = House::default();
    house.seal(&house.archive, &[("a", "chat_answered"), ("b", "chat_answered")]).await;
    handle(&house.pin(), "r").await.expect("a pin");
    let head = house.heads().remove(0);
    assert_eq!((head.tenant.as_str(), head.files, head.count), ("main", 2, 2));
    assert_eq!(house.audit.events()[0].event_type, EventType::AuditSealed);
    assert!(house.alerts.alerts()[0].headline.contains(&head.root), "the root is in the mail");

    // Its own record comes back through the stream; that alone is no reason to pin again.
    house.seal(&house.archive, &[("c", "audit_sealed")]).await;
    handle(&house.pin(), "r").await.expect("nothing to do");
    assert_eq!(house.heads().len(), 1);
    house.seal(&house.archive, &[("d", "document_viewed")]).await;
    handle(&house.pin(), "r").await.expect("a pin");
    assert_eq!(house.heads().iter().map(|head| head.count).collect::<Vec<_>>(), [2, 4]);
    let _: Value = event("audit-pin.daily");
}

#[tokio::test]
async fn a_trail_that_was_cut_off_deleted_or_chained_anew_with_the_seals_own_key_is_not_pinned() {
    let house = House::default();
    house.seal(&house.archive, &[("a", "chat_answered"), ("b", "chat_answered"), ("c", "chat_answered")]).await;
    handle(&house.pin(), "r").await.expect("a pin");
    let heads = house.heads();
    let other = MemoryObjects::default();
    house.seal(&other, &[("a", "chat_answered"), ("x", "chat_answered"), ("y", "chat_answered"), ("z", "chat_answered")]).await;
    let keys = [PublicKey::of_der(&MemoryKey::of_seed(1).public()).expect("a key")];
    let names: Vec<String> = (1..=4).map(file_name).collect();
    let read = |name: &str| Ok::<_, Infallible>(other.peek(&format!("trail/main/{name}")).expect("a file").0);
    let alone = TrailVerifier::new(&keys, None, Start::Beginning, Vec::new()).folder(names.clone(), read, |_, _, _| ());
    assert!(alone.is_ok(), "in itself it is sound");

    for archive in [MemoryObjects::default(), other] {
        let house = House { archive, pins: house.pins.clone(), ..House::default() };
        assert!(handle(&house.pin(), "r").await.is_err(), "another trail passes for the pinned one");
        assert!(house.alerts.alerts().is_empty() && house.audit.events().is_empty());
        assert_eq!(house.heads(), heads);
    }
    house.archive.take_away(&format!("trail/main/{}", file_name(3)));
    assert!(handle(&house.pin(), "r").await.is_err(), "the end was cut off");
    assert!(house.pins.peek(&head_key(&TenantId::parse("main").expect("a tenant"), 3)).is_some());
}
