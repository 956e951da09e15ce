//! The daily upkeep: what a new model or an older format has put out of search comes back, what nobody points at goes.

use super::{House, Reply, document_id, event, event_with_body, object_event, request, tenant};
use chat::Chat;
use domain::documents::index_object::Bounds;
use domain::documents::registry::Status;
use domain::retrieval::{ChunkIndex as _, Embedder, Embedding, Filter, IndexUpkeep as _, Query, Retrieval};
use index::{SegmentIndex, SegmentWriter};
use indexer::Indexer;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::{CountingIds, FixedExtractor, WordEmbedder};

const KEYS: [&str; 3] = ["tenants/main/a.txt", "tenants/main/b.txt", "tenants/west/c.txt"];
const MANIFEST: &str = "index/main/manifest.json";

/// The same vectors under another name: as far as the index knows, another model.
struct NewModel;

impl Embedder for NewModel {
    fn model_id(&self) -> &'static str {
        "words-64-new"
    }

    fn dimensions(&self) -> usize {
        WordEmbedder.dimensions()
    }

    fn embed(&self, text: &str) -> Embedding {
        WordEmbedder.embed(text)
    }
}

fn words(key: &str) -> String {
    format!("The cupboard of {} holds the spare gowns.", key.replace(['/', '.'], " "))
}

async fn house() -> House {
    let house = House::new();
    for (at, key) in KEYS.iter().enumerate() {
        house.index(key, &words(key), at as u64 + 1).await;
    }
    house
}

/// The indexer of the next release.
fn next_release(house: &House) -> Indexer {
    let objects = Arc::new(house.index.clone());
    let writer = || SegmentWriter::new(objects.clone(), NewModel.model_id().to_owned());
    Indexer {
        registry: Box::new(house.registry.clone()),
        objects: Box::new(house.documents.clone()),
        extractor: Box::new(FixedExtractor),
        identifiers: Box::new(testkit::KnownIdentifiers::default()),
        embedder: Box::new(NewModel),
        index: Box::new(writer()),
        search: Box::new(SegmentIndex::of_named_documents(objects.clone(), NewModel.model_id().to_owned())),
        history: Box::new(house.documents.clone()),
        upkeep: Box::new(writer()),
        audit: Box::new(house.audit.clone()),
        ids: Box::new(CountingIds::default()),
        bounds: Bounds { claim_s: 600, size_bytes_max: 10_000, default_tenant: None, quarantine: None },
    }
}

async fn deliver(indexer: &Indexer, batch: &Value) -> Vec<String> {
    let batch = serde_json::from_value(batch.clone()).expect("an SQS batch");
    let response = ::indexer::handle(indexer, batch).await.expect("every message has an id");
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

async fn search(house: &House, model: &str, key: &str) -> Retrieval {
    let index = SegmentIndex::new(Arc::new(house.index.clone()), model.to_owned());
    let text = "Which cupboard holds the spare gowns?";
    let filter = Filter { documents: vec![document_id(key)], ..Filter::default() };
    let query = Query { text: text.to_owned(), embedding: WordEmbedder.embed(text), filter };
    index.search(&testkit::context(tenant(key).as_str(), &[]).scope(), &query, 10).await.expect("an answer")
}

#[tokio::test]
async fn a_new_model_never_searches_the_old_vectors_and_the_upkeep_makes_new_ones() {
    let house = house().await;
    let next = next_release(&house);
    for key in KEYS {
        let found = search(&house, NewModel.model_id(), key).await;
        assert_eq!((found.passages.len(), found.outdated), (0, vec![document_id(key)]), "{key}");
    }
    let (versions, objects) = (house.row(KEYS[0]).await.map(|row| row.version), house.index.keys().len());
    assert_eq!(deliver(&next, &event("indexer.upkeep")).await, [""; 0]);
    for key in KEYS {
        let found = search(&house, NewModel.model_id(), key).await;
        assert_eq!((found.passages.len(), found.outdated.len()), (1, 0), "{key}");
        assert_eq!(found.passages[0].chunk.text, words(key));
        assert_eq!(house.row(key).await.map(|row| row.status), Some(Status::Indexed), "{key}");
        let old = search(&house, WordEmbedder.model_id(), key).await;
        assert_eq!((old.passages.len(), old.outdated.len()), (0, 1), "the release before does not mix them either");
    }
    assert_eq!(house.row(KEYS[0]).await.map(|row| row.version), versions, "the documents are the same");
    assert_eq!(house.index.keys().len(), objects, "the old segments are gone");
    let rows = house.history().len();
    assert_eq!(deliver(&next, &event("indexer.upkeep")).await, [""; 0]);
    assert_eq!(house.history().len(), rows, "a second upkeep has nothing to do");
}

#[tokio::test]
async fn while_everything_waits_to_be_indexed_anew_nobody_is_told_to_upload() {
    let house = house().await;
    let index = SegmentIndex::new(Arc::new(house.index.clone()), NewModel.model_id().to_owned());
    let chat = Chat { index: Box::new(index), embedder: Arc::new(NewModel), ..house.chat() };
    let question = event_with_body("chat.ask", &json!({ "question": "Which cupboard holds the spare gowns?" }));
    let reply: Reply = ::chat::handle(&chat, &request(&question)).await.into();
    assert_eq!(reply.ok(200)["refusal"]["reason"], "not_ready");
}

#[tokio::test]
async fn a_document_that_changes_during_the_upkeep_ends_as_it_is_in_the_bucket() {
    let house = house().await;
    let next = next_release(&house);
    let newer = "The cupboard of the new wing holds the spare gowns.";
    house.documents.upload(KEYS[0], newer.as_bytes(), &[]);
    assert_eq!(deliver(&next, &event("indexer.upkeep")).await, [""; 0]);
    assert_eq!(deliver(&next, &object_event("Object Created", KEYS[0], 9)).await, [""; 0]);
    assert_eq!(search(&house, NewModel.model_id(), KEYS[0]).await.passages[0].chunk.text, newer);
    // Deleted before the upkeep gets to it.
    house.documents.take_away(KEYS[1]);
    let again = next_release(&house);
    assert_eq!(deliver(&again, &event("indexer.upkeep")).await, [""; 0]);
    assert_eq!(deliver(&again, &object_event("Object Deleted", KEYS[1], 9)).await, [""; 0]);
    let found = search(&house, NewModel.model_id(), KEYS[1]).await;
    assert_eq!((found.passages.len(), found.outdated.len(), found.unreadable.len()), (0, 0, 0));
}

#[tokio::test]
async fn an_upkeep_that_is_cut_off_anywhere_is_finished_by_the_next() {
    let mut after = 0;
    loop {
        let house = house().await;
        let next = next_release(&house);
        let next = Indexer { bounds: Bounds { claim_s: 0, ..next.bounds.clone() }, ..next };
        house.outage.begin_after(after);
        // Without any time left it takes one document only: the rest is for the next.
        let again = deliver(&next, &event("indexer.upkeep")).await;
        assert_eq!(again.len(), 1, "it says that it is not done");
        house.outage.end();
        for _ in 0..=KEYS.len() {
            deliver(&next, &event("indexer.upkeep")).await;
        }
        for key in KEYS {
            assert_eq!(search(&house, NewModel.model_id(), key).await.passages.len(), 1, "{key}, cut off after {after} calls");
        }
        if house.outage.failures() == 0 {
            break;
        }
        after += 1;
    }
    assert!(after > 20, "only {after} places to cut at");
}

#[tokio::test]
async fn an_index_of_the_first_form_is_read_reported_and_made_new() {
    let house = house().await;
    let (bytes, _) = house.index.peek(MANIFEST).expect("a manifest");
    let mut first: Value = serde_json::from_slice(&bytes).expect("JSON");
    first["format"] = 1.into();
    for entry in first["documents"].as_object_mut().expect("documents").values_mut() {
        entry["segment"]["format"] = 1.into();
    }
    house.index.upload(MANIFEST, first.to_string().as_bytes(), &[]);
    let found = search(&house, WordEmbedder.model_id(), KEYS[0]).await;
    assert_eq!((found.passages.len(), found.outdated, found.unreadable), (0, vec![document_id(KEYS[0])], vec![]));
    // This house's functions have no time at all, so each upkeep takes one document.
    assert_eq!(house.deliver(&event("indexer.upkeep")).await.len(), 1);
    assert_eq!(house.deliver(&event("indexer.upkeep")).await, [""; 0]);
    assert_eq!(search(&house, WordEmbedder.model_id(), KEYS[0]).await.passages[0].chunk.text, words(KEYS[0]));
}

#[tokio::test]
async fn the_sweep_takes_what_is_a_day_old_and_nobodys_and_nothing_else() {
    let house = house().await;
    let all = house.index.keys();
    let strays = ["index/main/packs/0123456789abcdef.pack", "index/west/doc_00000000000000000000000000/1-0123456789abcdef.seg"];
    for stray in strays {
        house.index.upload(stray, b"left by an attempt that was cut off", &[]);
    }
    house.index.upload("index/main/readme.txt", b"somebody's note", &[]);
    let writer = SegmentWriter::new(Arc::new(house.index.clone()), WordEmbedder.model_id().to_owned());
    let hours = |hours| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
    for name in ["main", "west"] {
        let tenant = domain::ids::TenantId::parse(name).expect("a tenant");
        assert_eq!(writer.sweep(&tenant, hours(0)).await.expect("a sweep"), 0, "not old enough");
        assert_eq!(writer.sweep(&tenant, hours(1)).await.expect("a sweep"), 1);
    }
    house.index.take_away("index/main/readme.txt");
    assert_eq!(house.index.keys(), all);
}
