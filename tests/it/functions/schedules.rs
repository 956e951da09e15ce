//! The index equals the bucket, whatever the order, the repeats, the delays and the failures: a property over schedules.

use super::{House, document_id, object_event, tenant};
use domain::documents::registry::Status;
use domain::retrieval::{ChunkIndex as _, Embedder as _, Filter, Query};
use futures_util::future::join_all;
use index::SegmentIndex;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::sync::Arc;
use testkit::{WordEmbedder, wait};

/// Schedules in a run. Each takes some two milliseconds in a debug build.
const CASES: u32 = 1_000;
/// Deliveries of one event before it would be parked; by then the failures of a schedule are over.
const DELIVERIES_MAX: usize = 5;
const KEYS: [&str; 3] = ["tenants/main/a.txt", "tenants/west/b c+ü.txt", "loose.txt"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Upload,
    /// An upload that no parser can read.
    UploadLocked,
    Remove,
}

/// Something that a client does, and when its event is delivered.
#[derive(Debug, Clone)]
struct Act {
    key: usize,
    change: Change,
    /// How many turns the others take first.
    waits: u8,
    /// How many slots after the act each delivery comes: one per delivery, in any order.
    delays: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Schedule {
    acts: Vec<Act>,
    /// Slot by slot: after how many store calls the stores go down, and whether that call's answer is lost.
    outages: Vec<Option<(u64, bool)>>,
    /// How the work of one slot takes turns.
    turns: Vec<u8>,
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let change = prop_oneof![5 => Just(Change::Upload), 1 => Just(Change::UploadLocked), 3 => Just(Change::Remove)];
    let act = (0..KEYS.len(), change, 0..6_u8, vec(0..5_usize, 1..4));
    let act = act.prop_map(|(key, change, waits, delays)| Act { key, change, waits, delays });
    let outage = prop_oneof![2 => Just(None), 1 => (0..24_u64, any::<bool>()).prop_map(Some)];
    // Few calls wait, and those long: so that one run stands still between two calls while another one goes all the way.
    let turns = prop_oneof![6 => Just(0), 1 => 1..16_u8];
    (vec(act, 1..10), vec(outage, 16), vec(turns, 0..160)).prop_map(|(acts, outages, turns)| Schedule { acts, outages, turns })
}

/// What a client's act leaves in the bucket. Its event carries the act's number as the sequencer: S3 orders them so.
fn act(house: &House, number: usize, act: &Act) {
    let key = KEYS[act.key];
    match act.change {
        Change::Upload => drop(house.documents.upload(key, format!("The marker is number{number} here.").as_bytes(), &[])),
        Change::UploadLocked => drop(house.documents.upload(key, b"!encrypted", &[])),
        Change::Remove => house.documents.take_away(key),
    }
}

fn event_of(number: usize, act: &Act) -> serde_json::Value {
    let kind = if act.change == Change::Remove { "Object Deleted" } else { "Object Created" };
    object_event(kind, KEYS[act.key], number as u64 + 1)
}

async fn play(schedule: &Schedule) -> House {
    let house = House::new();
    house.outage.take_turns(schedule.turns.iter().copied());
    let mut due: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut again: Vec<usize> = Vec::new();
    let slots = schedule.acts.len() + 5;
    for slot in 0..slots {
        match schedule.outages.get(slot).copied().flatten() {
            None => house.outage.end(),
            Some((after, false)) => house.outage.begin_after(after),
            Some((after, true)) => house.outage.lose_answer_after(after),
        }
        // Everything of one slot happens at the same time: the client's act, and every delivery that is due.
        let client = async {
            let Some(now) = schedule.acts.get(slot) else { return false };
            wait(now.waits).await;
            act(&house, slot, now);
            now.delays.contains(&0) && !house.deliver(&event_of(slot, now)).await.is_empty()
        };
        let deliveries = due.remove(&slot).unwrap_or_default();
        let delivered = join_all(
            deliveries.iter().map(|number| async { (*number, house.deliver(&event_of(*number, &schedule.acts[*number])).await) }),
        );
        let (first_again, delivered) = futures_util::future::join(client, delivered).await;
        again.extend(first_again.then_some(slot));
        again.extend(delivered.into_iter().filter(|(_, again)| !again.is_empty()).map(|(number, _)| number));
        if let Some(now) = schedule.acts.get(slot) {
            for delay in now.delays.iter().filter(|delay| **delay > 0) {
                due.entry(slot + delay).or_default().push(slot);
            }
        }
    }
    house.outage.end();
    // What failed comes again, newest first for a change, until nothing fails.
    for _ in 0..DELIVERIES_MAX {
        let mut still = Vec::new();
        for number in again.drain(..).rev() {
            if !house.deliver(&event_of(number, &schedule.acts[number])).await.is_empty() {
                still.push(number);
            }
        }
        again = still;
    }
    assert_eq!(again, [0_usize; 0], "these events would be parked");
    house
}

/// What a search finds of a key: the version and the words.
async fn found(house: &House, key: &str) -> Option<(String, String)> {
    let index = SegmentIndex::new(Arc::new(house.index.clone()), WordEmbedder.model_id().to_owned());
    let text = "Which marker is here?";
    let query = Query {
        text: text.to_owned(),
        embedding: WordEmbedder.embed(text),
        filter: Filter { documents: vec![document_id(key)] },
    };
    let found = index.search(&tenant(key), &query, 10).await.expect("a search");
    assert_eq!(found.unreadable, [], "{key}: a segment cannot be read");
    assert!(found.passages.len() <= 1, "{key}: {} passages of a document of one", found.passages.len());
    found.passages.into_iter().next().map(|passage| (passage.version, passage.chunk.text))
}

async fn check(schedule: &Schedule) -> Result<(), TestCaseError> {
    let house = play(schedule).await;
    for (at, key) in KEYS.into_iter().enumerate() {
        if !schedule.acts.iter().any(|act| act.key == at) {
            prop_assert_eq!((house.row(key).await, found(&house, key).await), (None, None), "{} was never touched", key);
            continue;
        }
        let row = house.row(key).await.unwrap_or_else(|| panic!("{key} has no row"));
        let indexed = found(&house, key).await;
        prop_assert_eq!(row.valid_until, None, "{}: something is still under way", key);
        prop_assert_eq!(
            row.searchable_version.as_ref(),
            indexed.as_ref().map(|(version, _)| version),
            "{}: registry and index differ",
            key
        );
        match house.documents.peek(key) {
            None => prop_assert_eq!((row.status, indexed), (Status::Deleted, None), "{} is not in the bucket", key),
            // What was searchable before may stay so: the state says that this version is not.
            Some((bytes, version)) if bytes == b"!encrypted" => {
                prop_assert_eq!((row.status, row.version), (Status::Failed, Some(version)), "{} cannot be read", key);
                // The last one before that stays only if it was never removed, and only if its turn came before.
                let mut acts = schedule.acts.iter().enumerate().rev().filter(|(_, act)| act.key == at);
                let before = acts.find(|(_, act)| act.change != Change::UploadLocked);
                let may_stay: Vec<String> = match before {
                    Some((_, Act { change: Change::Remove, .. })) | None => Vec::new(),
                    Some(_) => schedule
                        .acts
                        .iter()
                        .enumerate()
                        .map(|(number, _)| format!("The marker is number{number} here."))
                        .collect(),
                };
                prop_assert!(
                    indexed.is_none_or(|(_, text)| may_stay.contains(&text)),
                    "{} still has words that were removed",
                    key
                );
            }
            Some((bytes, version)) => {
                let text = String::from_utf8(bytes).expect("text");
                prop_assert_eq!((row.status, indexed), (Status::Indexed, Some((version, text))), "{} is in the bucket", key);
            }
        }
    }
    Ok(())
}

#[test]
fn in_the_end_the_index_equals_the_bucket_for_every_key_under_every_schedule() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    // The same schedules in every run: a test that fails once in a while is repaired by running it again.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&schedule(), |schedule| runtime.block_on(check(&schedule)));
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
