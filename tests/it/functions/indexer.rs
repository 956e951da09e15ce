//! Object events through the indexer.

use super::{House, document_id, event, object_event};
use aws_lambda_events::event::sqs::SqsEvent;
use domain::audit::EventType;
use domain::documents::pages::Reason;
use domain::documents::registry::Status;
use domain::phi::{IdentifierCounts, IdentifierKind, Quarantine};
use futures_util::future::join_all;
use serde_json::{Value, json};

const KEY: &str = "tenants/main/Händehygiene a+b.txt";
const OTHER: &str = "guidelines/visiting hours.txt";
const TEXT: &str = "Alcohol gel is rubbed in for 20 seconds.";
const QUESTION: &str = "How long is alcohol gel rubbed in?";
const NONE: [&str; 0] = [];
/// Deliveries after which a message must be done: two more than the work could need.
const DELIVERIES_MAX: usize = 4;

/// Delivers until nothing comes again, as the queue does.
async fn deliver_until_done(house: &House, batch: &Value) {
    for _ in 0..DELIVERIES_MAX {
        if house.deliver(batch).await.is_empty() {
            return;
        }
    }
    panic!("still comes again after {DELIVERIES_MAX} deliveries");
}

async fn quote(house: &House) -> Option<String> {
    let reply = house.question(QUESTION).await;
    reply.ok(200)["answer"][0]["citations"][0]["quote"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_created_object_becomes_searchable_and_a_removed_one_unfindable() {
    let house = House::new();
    house.documents.upload(KEY, TEXT.as_bytes(), &[]);
    assert_eq!(house.deliver(&event("indexer.object-created")).await, NONE);
    let row = house.row(KEY).await.expect("a row");
    assert_eq!((row.status, row.pages, row.searchable_version.as_deref()), (Status::Indexed, Some(1), Some("v1")));
    assert_eq!((row.valid_until, row.progress), (None, None), "nothing is under way");
    assert_eq!(quote(&house).await.as_deref(), Some(TEXT));

    house.documents.take_away(KEY);
    assert_eq!(house.deliver(&event("indexer.object-deleted")).await, NONE);
    let row = house.row(KEY).await.expect("a row");
    assert_eq!((row.status, row.pages, row.searchable_version), (Status::Deleted, None, None));
    assert_eq!(house.question(QUESTION).await.ok(200)["refusal"]["reason"], "no_documents");
    assert_eq!(house.index.keys(), ["index/main/manifest.json"], "no text is left behind");
    let history = house.history();
    assert_eq!(history[..1], [EventType::DocumentIndexed]);
    assert!(history.contains(&EventType::DocumentDeleted));
}

#[tokio::test]
async fn an_old_version_that_the_lifecycle_rule_erases_takes_nothing_out_of_the_search() {
    let house = House::new();
    house.index(KEY, "Alcohol gel is rubbed in for 10 seconds.", 1).await;
    house.index(KEY, TEXT, 2).await;
    let before = house.row(KEY).await.expect("a row").version;
    let erased = object_event("Object Deleted", KEY, 3);
    let body = erased["Records"][0]["body"].as_str().expect("a body").replace("Delete Marker Created", "Permanently Deleted");
    let mut erased = erased.clone();
    erased["Records"][0]["body"] = body.into();
    // Not even for the time of a run that is cut off anywhere.
    for after in 0..12 {
        house.outage.begin_after(after);
        house.deliver(&erased).await;
        house.outage.end();
        assert_eq!(quote(&house).await.as_deref(), Some(TEXT), "cut off after {after} calls");
    }
    deliver_until_done(&house, &erased).await;
    let row = house.row(KEY).await.expect("a row");
    assert_eq!((row.status, row.searchable_version), (Status::Indexed, before));
}

#[tokio::test]
async fn an_announced_title_travels_with_the_object_and_nobody_can_name_somebody_else_as_its_uploader() {
    let house = House::new();
    house.documents.upload(KEY, TEXT.as_bytes(), &[("title", "Hand%20hygiene%20%C3%BC"), ("uploaded-by", "person-7")]);
    assert_eq!(house.deliver(&event("indexer.object-created")).await, NONE);
    assert_eq!(house.row(KEY).await.map(|row| row.title), Some("Hand hygiene ü".to_owned()));
    assert_eq!(house.audit.events()[0].agent.as_str(), "system:indexer");
    assert_eq!(house.question(QUESTION).await.ok(200)["answer"][0]["citations"][0]["title"], "Hand hygiene ü");
}

#[tokio::test]
async fn one_malformed_message_never_holds_up_its_neighbours() {
    let house = House::new();
    house.documents.upload(KEY, TEXT.as_bytes(), &[]);
    house.documents.upload(OTHER, b"Visitors may come between 10:00 and 20:00.", &[]);
    let again = house.deliver(&event("indexer.batch-with-one-malformed")).await;
    assert_eq!(again, ["b7c2e5a1-9d3f-4e68-8a0b-1c2d3e4f5a6b"]);
    for key in [KEY, OTHER] {
        assert_eq!(house.row(key).await.map(|row| row.status), Some(Status::Indexed), "{key}");
    }
}

#[tokio::test]
async fn what_is_no_object_event_is_either_done_or_comes_again_but_never_stops_the_batch() {
    let body = |change: &dyn Fn(&mut Value)| {
        let mut batch = event("indexer.object-created");
        let mut body: Value = serde_json::from_str(batch["Records"][0]["body"].as_str().expect("a body")).expect("JSON");
        change(&mut body);
        batch["Records"][0]["body"] = body.to_string().into();
        batch
    };
    let raw = |text: Value| {
        let mut batch = event("indexer.object-created");
        batch["Records"][0]["body"] = text;
        batch
    };
    let foreign = [
        body(&|b| b["source"] = "aws.ec2".into()),
        body(&|b| b["detail-type"] = "Object Tags Added".into()),
        body(&|b| b["detail-type"] = "Scheduled Event".into()),
    ];
    let malformed = [
        raw(json!("")),
        raw(json!("no JSON")),
        raw(json!("{}")),
        raw(json!("[]")),
        raw(json!("null")),
        raw(Value::Null),
        body(&|b| b["detail"] = json!({})),
        body(&|b| b["detail"]["object"]["key"] = 1.into()),
        body(&|b| b["detail"]["object"]["sequencer"] = "not hexadecimal".into()),
        body(&|b| b["detail"]["object"]["sequencer"] = "".into()),
    ];
    let house = House::new();
    for batch in foreign {
        assert_eq!(house.deliver(&batch).await, NONE, "{batch}");
    }
    for batch in malformed {
        assert_eq!(house.deliver(&batch).await, ["059f36b4-87a3-44ab-83d2-661975830a7d"], "{batch}");
    }
    assert_eq!((house.history(), house.index.keys()), (vec![], vec![]), "nothing was done");
}

#[tokio::test]
async fn a_message_without_an_id_fails_the_batch_because_no_answer_could_name_it() {
    let house = House::new();
    for id in [Value::Null, "".into()] {
        let mut batch = event("indexer.object-created");
        batch["Records"][0]["messageId"] = id;
        let batch: SqsEvent = serde_json::from_value(batch).expect("a batch");
        assert!(::indexer::handle(&house.indexer, batch).await.is_err());
    }
    assert_eq!(house.deliver(&json!({ "Records": [] })).await, NONE);
}

#[tokio::test]
async fn a_key_of_no_tenant_is_rejected_and_touches_nothing() {
    let house = House::new();
    for key in ["tenants/WEST/a.txt", "tenants/a.txt", "tenants//a.txt", "tenants/../main/a.txt"] {
        house.documents.upload(key, TEXT.as_bytes(), &[]);
        assert_eq!(house.deliver(&object_event("Object Created", key, 1)).await, NONE, "{key}");
    }
    assert_eq!((house.index.keys(), house.history()), (vec![], vec![]));
}

#[tokio::test]
async fn every_bad_document_ends_in_a_visible_state_with_a_reason_and_nothing_is_half_indexed() {
    let house = House::new();
    let large = "word ".repeat(2_001);
    let cases = [
        ("empty.txt", "", Reason::Empty),
        ("blank.txt", " \n\n \n", Reason::Empty),
        ("locked.txt", "!encrypted", Reason::Encrypted),
        ("broken.txt", "!malformed", Reason::Malformed),
        ("large.txt", large.as_str(), Reason::TooLarge),
    ];
    for (sequencer, (name, text, reason)) in cases.into_iter().enumerate() {
        let key = format!("tenants/main/{name}");
        house.index(&key, text, sequencer as u64).await;
        let row = house.row(&key).await.expect("a row");
        assert_eq!((row.status, row.reason, row.valid_until), (Status::Failed, Some(reason), None), "{name}");
        assert_eq!(row.size_bytes, Some(text.len() as u64), "{name}");
    }
    // The manifest remembers the events, so that none older can come in; it points at nothing.
    assert_eq!(house.index.keys(), ["index/main/manifest.json"]);
    assert!(
        !String::from_utf8(house.index.peek("index/main/manifest.json").expect("a manifest").0).expect("text").contains(".seg")
    );
    assert_eq!(house.history(), [EventType::DocumentFailed; 5]);
}

#[tokio::test]
async fn a_new_version_that_cannot_be_read_leaves_the_old_one_searchable_and_says_so() {
    let house = House::new();
    house.index(KEY, TEXT, 1).await;
    house.index(KEY, "!encrypted", 2).await;
    let row = house.row(KEY).await.expect("a row");
    assert_eq!((row.status, row.reason), (Status::Failed, Some(Reason::Encrypted)));
    assert_eq!((row.version.as_deref(), row.searchable_version.as_deref()), (Some("v2"), Some("v1")));
    assert_eq!(house.question(QUESTION).await.ok(200)["answer"][0]["citations"][0]["version"], "v1");
}

#[tokio::test]
async fn repeats_and_late_events_change_nothing() {
    let house = House::new();
    house.index(KEY, "Alcohol gel is rubbed in for 10 seconds.", 1).await;
    house.index(KEY, TEXT, 2).await;
    let (rows, keys) = (house.history().len(), house.index.keys());
    for (kind, sequencer) in [("Object Created", 2), ("Object Created", 1), ("Object Deleted", 1), ("Object Deleted", 2)] {
        assert_eq!(house.deliver(&object_event(kind, KEY, sequencer)).await, NONE);
    }
    assert_eq!((house.history().len(), house.index.keys()), (rows, keys));
    assert_eq!(quote(&house).await.as_deref(), Some(TEXT));
}

#[tokio::test]
async fn events_in_the_wrong_order_end_where_the_bucket_is() {
    let house = House::new();
    house.documents.upload(KEY, TEXT.as_bytes(), &[]);
    // The removal happened before this upload, but is delivered first, with an older sequencer; then the other way round.
    for (kind, sequencer) in [("Object Deleted", 4), ("Object Created", 5), ("Object Created", 3)] {
        assert_eq!(house.deliver(&object_event(kind, KEY, sequencer)).await, NONE);
        assert_eq!(quote(&house).await.as_deref(), Some(TEXT), "{kind} {sequencer}");
    }
    house.documents.take_away(KEY);
    for (kind, sequencer) in [("Object Created", 6), ("Object Deleted", 7)] {
        assert_eq!(house.deliver(&object_event(kind, KEY, sequencer)).await, NONE);
        assert_eq!(quote(&house).await, None, "{kind} {sequencer}");
    }
    assert_eq!(house.row(KEY).await.map(|row| row.status), Some(Status::Deleted));
}

#[tokio::test]
async fn sequencers_are_compared_by_value() {
    let house = House::new();
    house.documents.upload(KEY, TEXT.as_bytes(), &[]);
    let with = |sequencer: &str| {
        let mut batch = object_event("Object Created", KEY, 1);
        let body = batch["Records"][0]["body"].as_str().expect("a body").replace("000000000000000001", sequencer);
        batch["Records"][0]["body"] = body.into();
        batch
    };
    assert_eq!(house.deliver(&with("0100")).await, NONE);
    let rows = house.history().len();
    assert_eq!(house.deliver(&with("ff")).await, NONE);
    assert_eq!(house.history().len(), rows, "ff is older than 0100");
    assert_eq!(house.deliver(&with("101")).await, NONE);
    assert_eq!(house.history().len(), rows + 1, "101 is newer than 0100");
}

#[tokio::test]
async fn a_run_that_is_cut_off_between_any_two_store_calls_is_made_whole_by_the_next_delivery() {
    // What happens to the object, and what the house looks like at the end if nothing goes wrong.
    let created = ("Object Created", "Alcohol gel is rubbed in for 30 seconds.");
    let removed = ("Object Deleted", "");
    for (kind, text) in [created, removed] {
        for loses_answer in [false, true] {
            let mut cuts = 0;
            for after in 0.. {
                let house = House::new();
                house.index(KEY, TEXT, 1).await;
                house.index(OTHER, "Visitors may come between 10:00 and 20:00.", 2).await;
                if text.is_empty() {
                    house.documents.take_away(KEY);
                } else {
                    house.documents.upload(KEY, text.as_bytes(), &[]);
                }
                if loses_answer {
                    house.outage.lose_answer_after(after);
                } else {
                    house.outage.begin_after(after);
                }
                let batch = object_event(kind, KEY, 3);
                let cut = !house.deliver(&batch).await.is_empty();
                house.outage.end();
                let searched = house.question(QUESTION).await;
                assert_eq!(searched.status, 200, "searching stays possible after {after} calls");
                assert!(searched.body.get("unreadable_documents").is_none(), "after {after} calls: {}", searched.text);
                deliver_until_done(&house, &batch).await;
                let row = house.row(KEY).await.expect("a row");
                assert_eq!(row.valid_until, None, "after {after} calls");
                if text.is_empty() {
                    assert_eq!((row.status, quote(&house).await), (Status::Deleted, None), "after {after} calls");
                    let receipt = row.receipt.expect("a receipt");
                    let said = (receipt.questions, receipt.found_after, receipt.objects_left, receipt.version.as_deref());
                    assert_eq!(said, (2, 0, 0, Some("v1")), "after {after} calls: it was asked by its own words");
                } else {
                    assert_eq!((row.status, quote(&house).await), (Status::Indexed, Some(text.into())), "after {after} calls");
                }
                assert_eq!(house.row(OTHER).await.map(|row| row.status), Some(Status::Indexed));
                if !cut {
                    break;
                }
                cuts += 1;
            }
            assert!(cuts >= 6, "only {cuts} places to cut at: the sweep does not reach the work");
        }
    }
}

/// What the trail says of deletions that are done.
fn deletions(house: &House) -> usize {
    house.history().iter().filter(|event| **event == EventType::DocumentDeleted).count()
}

#[tokio::test]
async fn what_a_search_still_finds_is_not_deleted() {
    let mut house = House::new();
    house.index(KEY, TEXT, 1).await;
    // A search that sees the index as it was, and never anything newer.
    let stale = testkit::MemoryObjects::default();
    for key in house.index.keys() {
        stale.upload(&key, &house.index.peek(&key).expect("an object").0, &[]);
    }
    let model = domain::retrieval::Embedder::model_id(&testkit::WordEmbedder).to_owned();
    let honest = std::mem::replace(
        &mut house.indexer.search,
        Box::new(index::SegmentIndex::of_named_documents(std::sync::Arc::new(stale), model)),
    );
    house.documents.take_away(KEY);
    let removed = object_event("Object Deleted", KEY, 2);
    assert_eq!(house.deliver(&removed).await, ["message-2"]);
    let row = house.row(KEY).await.expect("a row");
    assert_eq!(
        (row.status, row.receipt, deletions(&house)),
        (Status::Deleting, None, 0),
        "no receipt, and no event that says so"
    );
    house.indexer.search = honest;
    deliver_until_done(&house, &removed).await;
    let row = house.row(KEY).await.expect("a row");
    assert!(row.status == Status::Deleted && row.receipt.is_some());
    assert_eq!(deletions(&house), 1);
}

#[tokio::test]
async fn an_object_that_still_holds_a_document_is_removed_or_holds_up_its_receipt() {
    let house = House::new();
    let id = house.index(KEY, TEXT, 1).await;
    let other = house.index(OTHER, "Visitors may come between 10:00 and 20:00.", 2).await;
    // A merge that was cut off has left a pack with its text, and one without.
    for (name, held) in [("a", &id), ("b", &other)] {
        let folder = format!("index/main/{held}/");
        let key = house.index.keys().into_iter().find(|key| key.starts_with(&folder)).expect("a segment");
        let pack = [b"CCPACK1\n".as_slice(), &house.index.peek(&key).expect("an object").0].concat();
        house.index.upload(&format!("index/main/packs/{name}.pack"), &pack, &[]);
    }
    // An attempt of the future, which nobody else may touch.
    let left = format!("index/main/{id}/ff-0123456789abcdef.seg");
    house.index.upload(&left, b"words", &[]);
    house.documents.take_away(KEY);
    let removed = object_event("Object Deleted", KEY, 3);
    assert_eq!(house.deliver(&removed).await, ["message-3"]);
    assert_eq!((house.row(KEY).await.expect("a row").receipt, deletions(&house)), (None, 0));
    let packs: Vec<String> = house.index.keys().into_iter().filter(|key| key.contains("/packs/")).collect();
    assert_eq!(packs, ["index/main/packs/b.pack"], "the pack with its text is gone, its neighbour's is none of ours");
    house.index.take_away(&left);
    deliver_until_done(&house, &removed).await;
    assert!(house.row(KEY).await.expect("a row").receipt.is_some());
}

#[tokio::test]
async fn a_document_of_a_group_is_asked_for_in_that_group() {
    let house = House::new();
    house.index(KEY, TEXT, 1).await;
    let row = house.row(KEY).await.expect("a row");
    let groups = domain::documents::attributes::Attributes::groups(&["icu"]).expect("a group");
    let attributes = domain::documents::attributes::Attributes { groups, revision: 1, ..row.attributes };
    domain::documents::registry::DocumentRegistry::describe(&house.registry, &row.tenant, &row.id, &attributes, row.updated_at)
        .await
        .expect("the registry is up");
    house.indexer.index.describe(&row.tenant, &row.id, &attributes).await.expect("the index is up");
    house.documents.take_away(KEY);
    deliver_until_done(&house, &object_event("Object Deleted", KEY, 2)).await;
    let row = house.row(KEY).await.expect("a row");
    assert_eq!(row.receipt.map(|receipt| receipt.found_before), Some(2), "somebody outside would have found nothing before");
    assert_eq!(row.attributes.groups, attributes.groups, "to others it never was");
}

#[tokio::test]
async fn the_same_event_delivered_many_times_at_once_is_worked_on_once() {
    let house = House::new();
    house.documents.upload(KEY, TEXT.as_bytes(), &[]);
    // Claims that last: a second attempt has to wait for the first, not to race it.
    let house = House {
        indexer: indexer::Indexer {
            bounds: domain::documents::index_object::Bounds { claim_s: 300, ..house.indexer.bounds.clone() },
            ..house.indexer
        },
        ..house
    };
    house.outage.take_turns((0..200_u32).map(|at| (at * 7 % 5) as u8));
    let batch = object_event("Object Created", KEY, 1);
    let again = join_all((0..8).map(|_| house.deliver(&batch))).await;
    assert_eq!(again.iter().filter(|again| again.is_empty()).count(), 1, "{again:?}");
    assert_eq!(house.history(), [EventType::DocumentIndexed]);
    assert_eq!(house.deliver(&batch).await, NONE, "a later repeat has nothing to do");
    assert_eq!(house.history(), [EventType::DocumentIndexed]);
}

#[tokio::test]
async fn a_run_that_is_overtaken_between_any_two_calls_changes_nothing_afterwards() {
    let newer = "Alcohol gel is rubbed in for 30 seconds.";
    let (mut overtaken, mut calls) = (0, u64::MAX);
    while overtaken < calls {
        let house = House::new();
        house.documents.upload(KEY, TEXT.as_bytes(), &[]);
        // The first run stands still before this call; the newer upload and its whole run happen meanwhile.
        house.outage.take_turns((0..overtaken).map(|_| 0).chain([40]));
        let older = async { house.deliver(&object_event("Object Created", KEY, 1)).await };
        let overtaking = async {
            house.documents.upload(KEY, newer.as_bytes(), &[]);
            house.deliver(&object_event("Object Created", KEY, 2)).await
        };
        let ended = futures_util::future::join(older, overtaking).await;
        calls = house.outage.calls().min(calls);
        assert_eq!(ended, (vec![], vec![]), "before call {overtaken}: both are done");
        assert_eq!(quote(&house).await.as_deref(), Some(newer), "overtaken before call {overtaken}");
        let row = house.row(KEY).await.expect("a row");
        assert_eq!((row.status, row.valid_until), (Status::Indexed, None), "overtaken before call {overtaken}");
        overtaken += 1;
    }
    assert!(calls > 8, "only {calls} calls: the runs do not reach the index");
}

#[tokio::test]
async fn a_document_whose_audit_row_cannot_be_stored_is_not_called_indexed() {
    let house = House::new();
    house.documents.upload(KEY, TEXT.as_bytes(), &[]);
    house.audit.take_down();
    let batch = object_event("Object Created", KEY, 1);
    assert_eq!(house.deliver(&batch).await, ["message-1"]);
    assert_ne!(house.row(KEY).await.map(|row| row.status), Some(Status::Indexed));
}

#[tokio::test]
async fn a_key_has_one_document_id_for_all_its_versions() {
    let house = House::new();
    let first = house.index(KEY, TEXT, 1).await;
    let second = house.index(KEY, "Alcohol gel is rubbed in for 30 seconds.", 2).await;
    assert_eq!((first.as_str(), second), (document_id(KEY).as_str(), document_id(KEY)));
    assert_eq!(house.index.keys().len(), 2, "the manifest and one segment: {:?}", house.index.keys());
}

#[tokio::test]
async fn no_segment_outlives_its_document_when_a_run_was_cut_off() {
    // The old words would stay in the index bucket for ever: nobody points at them, so nobody removes them.
    for (kind, text) in [("Object Created", "Alcohol gel is rubbed in for 30 seconds."), ("Object Deleted", "")] {
        let mut after = 0;
        loop {
            let house = House::new();
            house.index(KEY, TEXT, 1).await;
            if text.is_empty() {
                house.documents.take_away(KEY);
            } else {
                house.documents.upload(KEY, text.as_bytes(), &[]);
            }
            house.outage.begin_after(after);
            let batch = object_event(kind, KEY, 3);
            let cut = !house.deliver(&batch).await.is_empty();
            house.outage.end();
            deliver_until_done(&house, &batch).await;
            if !text.is_empty() {
                // What an attempt at the same event has left may still be another's: the daily sweep takes it.
                let end = jiff::Timestamp::MAX;
                house.indexer.upkeep.sweep(&super::tenant(KEY), end).await.expect("a sweep");
            }
            let segments = house.index.keys().iter().filter(|key| key.contains("/doc_")).count();
            assert_eq!(segments, usize::from(!text.is_empty()), "{kind}, cut off after {after} calls");
            if !cut {
                break;
            }
            after += 1;
        }
        assert!(after >= 6, "only {after} places to cut at");
    }
}

#[tokio::test]
async fn the_registry_names_the_version_that_answers_cite_even_if_a_newer_one_failed_meanwhile() {
    // The index has the first version, the run is cut off before the registry knows, and a version that cannot be read
    // comes before the repeat.
    let mut cited_and_cut_off = 0;
    for after in 0..16 {
        let house = House::new();
        house.documents.upload(KEY, TEXT.as_bytes(), &[]);
        house.outage.begin_after(after);
        let cut = !house.deliver(&object_event("Object Created", KEY, 1)).await.is_empty();
        house.outage.end();
        house.documents.upload(KEY, b"!encrypted", &[]);
        deliver_until_done(&house, &object_event("Object Created", KEY, 2)).await;
        deliver_until_done(&house, &object_event("Object Created", KEY, 1)).await;
        let cited = house.question(QUESTION).await.ok(200)["answer"][0]["citations"][0]["version"].as_str().map(str::to_owned);
        cited_and_cut_off += usize::from(cut && cited.is_some());
        assert_eq!(house.row(KEY).await.and_then(|row| row.searchable_version), cited, "cut off after {after} calls");
    }
    assert!(cited_and_cut_off > 0, "the case did not come up");
}

const MRN: (&str, IdentifierKind) = ("4711-0815", IdentifierKind::MedicalRecordNumber);
const NAME: (&str, IdentifierKind) = ("Moreau", IdentifierKind::Name);

/// A house whose indexer knows a number and a name, and keeps documents of this collection free of numbers.
fn house_with(quarantine: &str) -> House {
    let mut house = House::new();
    house.indexer.identifiers = Box::new(testkit::KnownIdentifiers(&[MRN, NAME]));
    house.indexer.bounds.quarantine = Quarantine::parse(quarantine).expect("a policy");
    house
}

#[tokio::test]
async fn identifiers_are_counted_by_kind_and_shown_to_nobody_by_value() {
    let house = house_with("off");
    house.index(KEY, "Moreau, 4711-0815. Moreau rubs in gel for 20 seconds.", 1).await;
    let row = house.row(KEY).await.expect("a row");
    assert_eq!(row.status, Status::Indexed);
    assert_eq!(row.identifiers, Some(IdentifierCounts::from([(NAME.1, 2), (MRN.1, 1)])));
    let mut show = event("documents.show");
    show["pathParameters"]["id"] = document_id(KEY).as_str().into();
    let reply = house.call(&show).await;
    let shown = reply.ok(200);
    assert_eq!(shown["identifiers"], json!({ "name": 2, "medical_record_number": 1 }));
    assert!(!shown.to_string().contains(NAME.0) && !shown.to_string().contains(MRN.0));
}

#[tokio::test]
async fn a_collection_that_must_hold_no_identifiers_takes_none_up() {
    let house = house_with("all");
    house.index(KEY, "Rub in gel. Patient 4711-0815.", 1).await;
    let row = house.row(KEY).await.expect("a row");
    assert_eq!((row.status, row.reason), (Status::Failed, Some(Reason::HoldsIdentifiers)));
    assert_eq!(row.identifiers, Some(IdentifierCounts::from([(MRN.1, 1)])), "it says why");
    assert_eq!(house.history(), [EventType::DocumentFailed]);
    // Names alone are no reason: guidelines have authors.
    house.index(OTHER, "By Moreau. Visitors may come at noon.", 1).await;
    assert_eq!(house.row(OTHER).await.expect("a row").status, Status::Indexed);
}
