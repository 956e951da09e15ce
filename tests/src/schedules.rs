//! What S3, SQS and Lambda can do to the index, as random schedules over stores in memory: three indexers with a memory of
//! their own work on uploads, re-uploads and deletions whose events come repeated, late, in any order and at the same time;
//! stores go down between any two calls, or do what they were asked and lose the answer; packs are made and broken up
//! by the indexers themselves; the sweep runs whenever it likes; readers search all the while.
//!
//! What must be true:
//!
//! 1. **In the end** the index and the registry say what the bucket says, for every key: the same version and the same words,
//!    or nothing. A version that cannot be read leaves the one before searchable, unless that one was removed.
//! 2. **At any time** a search sees the state of one manifest that there was, whole: never a document of another state, never
//!    two versions of one document, never words of one version under the name of another, and no document is unreadable.
//! 3. **Nothing is left**: after the sweep the bucket holds what the manifest names, and nothing else.
//! 4. **What is deleted is gone**: no object that is left holds a word of a document that the bucket no longer has. Without
//!    a cut-off attempt that is so as soon as the last event is done, with one after the sweep.
//! 5. **Nothing is lost in the queue**: once the stores are up, every event ends within the deliveries that it has.

use crate::cases::violations;
use domain::documents::index_object::{Bounds, Hint, ObjectEvent, tenant_of_key};
use domain::documents::registry::{Document, DocumentRegistry as _, Status};
use domain::ids::{DocumentId, RequestId, Sequencer, TenantId};
use domain::retrieval::{ChunkIndex as _, Embedder as _, Filter, IndexUpkeep as _, Query, Retrieval};
use futures_util::future::{join, join_all};
use index::{Manifest, SegmentIndex, SegmentWriter, manifest_key};
use indexer::Indexer;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use testkit::{
    CountingIds, FixedExtractor, KnownIdentifiers, MemoryAuditLog, MemoryObjects, MemoryRegistry, Outage, WordEmbedder, wait,
};

/// Deliveries of one event before it would be parked; by then the failures of a schedule are over.
const DELIVERIES_MAX: usize = 5;
/// What is uploaded, replaced and removed.
const KEYS: [&str; 5] = ["tenants/main/a.txt", "tenants/main/d.txt", "tenants/main/e.txt", "tenants/west/b c+ü.txt", "loose.txt"];
/// What is there from the beginning, so that there is something to put together.
const STANDING: [&str; 3] = ["tenants/main/x.txt", "tenants/main/y.txt", "tenants/main/z.txt"];
/// Lambdas at work.
const INDEXERS: usize = 3;
/// How long a slot takes: no attempt outlives its slot, and the sweep takes what is two slots old.
const SLOT: SignedDuration = SignedDuration::from_hours(13);
const SWEPT_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// A reader sees every chunk.
const EVERYTHING: usize = 1_000;

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
    /// In the slot of the act before it, while that one's event may be on its way already.
    is_beside: bool,
    /// How many turns the others take first, and the act before it in the same slot.
    waits: u8,
    /// How many slots after the act each delivery comes: one per delivery, in any order.
    delays: Vec<usize>,
}

/// What happens.
#[derive(Debug, Clone)]
struct Schedule {
    acts: Vec<Act>,
    /// Slot by slot: after how many store calls the stores go down, and whether that call's answer is lost.
    outages: Vec<Option<(u64, bool)>>,
    /// The slots in which the sweep runs, and how many turns the others take first.
    sweeps: Vec<Option<u8>>,
    /// How the work of one slot takes turns.
    turns: Vec<u8>,
}

impl Schedule {
    /// The slot of each act.
    fn slots(&self) -> Vec<usize> {
        let starts = self.acts.iter().enumerate().map(|(at, act)| usize::from(at > 0 && !act.is_beside));
        starts
            .scan(0, |slot, step| {
                *slot += step;
                Some(*slot)
            })
            .collect()
    }
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let change = prop_oneof![5 => Just(Change::Upload), 1 => Just(Change::UploadLocked), 3 => Just(Change::Remove)];
    let beside = prop_oneof![2 => Just(false), 1 => Just(true)];
    let act = (0..KEYS.len(), change, beside, 0..6_u8, vec(0..5_usize, 1..4));
    let act = act.prop_map(|(key, change, is_beside, waits, delays)| Act { key, change, is_beside, waits, delays });
    let outage = prop_oneof![2 => Just(None), 1 => (0..40_u64, any::<bool>()).prop_map(Some)];
    let sweep = prop_oneof![3 => Just(None), 1 => (0..16_u8).prop_map(Some)];
    // Few calls wait, and those long: so that one run stands still between two calls while another one goes all the way.
    let turns = prop_oneof![6 => Just(0), 1 => 1..16_u8];
    (vec(act, 1..16), vec(outage, 16), vec(sweep, 16), vec(turns, 0..300)).prop_map(|(acts, outages, sweeps, turns)| Schedule {
        acts,
        outages,
        sweeps,
        turns,
    })
}

/// What came of many schedules.
#[derive(Debug, Default)]
pub struct Report {
    /// How many ran.
    pub schedules: u32,
    /// Events that were handed to an indexer.
    pub deliveries: u64,
    /// Searches that were checked against the manifests that there were.
    pub searches: u64,
    /// Packs that were written.
    pub packs: u64,
    /// Store calls that failed or lost their answer.
    pub failures: u64,
    /// Objects that the sweep removed.
    pub swept: u64,
    /// What was not as it must be, with the smallest schedule that shows it.
    pub violations: Vec<String>,
}

/// Runs so many schedules, the same ones in every run.
pub fn run(cases: u32) -> Report {
    let mut report = Report { schedules: cases, ..Report::default() };
    report.violations = violations(cases, &schedules(), &mut report, &check);
    report
}

/// One hospital in memory.
struct House {
    outage: Outage,
    documents: MemoryObjects,
    index: MemoryObjects,
    registry: MemoryRegistry,
    indexers: Vec<Indexer>,
    /// A chat function that has been warm from the beginning.
    warm: SegmentIndex<MemoryObjects>,
    upkeep: SegmentWriter<MemoryObjects>,
    /// The number of the last act.
    last: std::cell::Cell<usize>,
}

impl House {
    fn new() -> Self {
        let outage = Outage::default();
        let documents = MemoryObjects::with_outage(outage.clone());
        let index = MemoryObjects::with_outage(outage.clone());
        let registry = MemoryRegistry::with_outage(outage.clone());
        let audit = MemoryAuditLog::with_outage(outage.clone());
        let objects = Arc::new(index.clone());
        let model = || WordEmbedder.model_id().to_owned();
        let indexer = |seed: usize| Indexer {
            registry: Box::new(registry.clone()),
            objects: Box::new(documents.clone()),
            extractor: Box::new(FixedExtractor),
            identifiers: Box::new(KnownIdentifiers::default()),
            embedder: Box::new(WordEmbedder),
            index: Box::new(SegmentWriter::seeded(objects.clone(), model(), seed as u64)),
            search: Box::new(SegmentIndex::of_named_documents(objects.clone(), model())),
            history: Box::new(documents.clone()),
            upkeep: Box::new(SegmentWriter::seeded(objects.clone(), model(), 100 + seed as u64)),
            audit: Box::new(audit.clone()),
            // Each its own numbers: a claim is told by its id.
            ids: Box::new(CountingIds::starting_at((seed as u64) << 32)),
            // An attempt that was cut off is over at once: the next delivery need not wait for its claim to end.
            bounds: Bounds { claim_s: 0, size_bytes_max: 10_000, default_tenant: TenantId::parse("main").ok(), quarantine: None },
        };
        let indexers = (0..INDEXERS).map(indexer).collect();
        let warm = SegmentIndex::new(objects.clone(), model());
        let upkeep = SegmentWriter::seeded(objects, model(), INDEXERS as u64);
        Self { outage, documents, index, registry, indexers, warm, upkeep, last: std::cell::Cell::new(0) }
    }

    /// What a client's act leaves in the bucket. Its event carries the act's number as the sequencer: S3 orders them so.
    fn act(&self, number: usize, key: &str, change: Change) {
        assert!(self.last.replace(number) < number, "acts come in the order of their numbers");
        match change {
            Change::Upload => drop(self.documents.upload(key, words(number).as_bytes(), &[])),
            Change::UploadLocked => drop(self.documents.upload(key, b"!encrypted", &[])),
            Change::Remove => self.documents.take_away(key),
        }
    }

    /// Hands an event to one of the indexers; `true` if it comes again.
    async fn deliver(&self, number: usize, delivery: usize, key: &str, change: Change, report: &Counters) -> bool {
        report.deliveries.set(report.deliveries.get() + 1);
        self.indexers[(number + delivery) % INDEXERS].work(&event(number, key, change)).await.is_err()
    }

    async fn row(&self, key: &str) -> Option<Document> {
        self.registry.find(&tenant(key), &document_id(key)).await.expect("the registry is up")
    }
}

/// Counted while several things borrow the house.
#[derive(Default)]
struct Counters {
    deliveries: std::cell::Cell<u64>,
    searches: std::cell::Cell<u64>,
    swept: std::cell::Cell<u64>,
}

fn tenant(key: &str) -> TenantId {
    let main = TenantId::parse("main").expect("a tenant");
    tenant_of_key(key, Some(&main)).expect("a key of a tenant")
}

fn document_id(key: &str) -> DocumentId {
    DocumentId::for_key(&tenant(key), key)
}

/// What S3 said, as the queue hands it over.
fn event(number: usize, key: &str, change: Change) -> ObjectEvent {
    ObjectEvent {
        key: key.to_owned(),
        sequencer: Sequencer::parse(&format!("{number:X}")).expect("a sequencer"),
        hint: if change == Change::Remove { Hint::Removal } else { Hint::Put },
        request_id: RequestId::new("schedule"),
    }
}

fn words(number: usize) -> String {
    format!("The marker is number{number}x here.")
}

/// The number of an act's event: those of what stands from the beginning come first.
const fn number_of(act: usize) -> usize {
    STANDING.len() + act + 1
}

async fn check(schedule: &Schedule, report: &mut Report) -> Result<(), String> {
    let (house, counters) = (House::new(), Counters::default());
    let outcome = play(&house, schedule, &counters).await;
    report.deliveries += counters.deliveries.get();
    report.searches += counters.searches.get();
    report.swept += counters.swept.get();
    report.failures += house.outage.failures();
    report.packs += house.index.ever_written().iter().filter(|key| key.contains("/packs/")).count() as u64;
    outcome
}

async fn play(house: &House, schedule: &Schedule, counters: &Counters) -> Result<(), String> {
    for (number, key) in STANDING.iter().enumerate() {
        house.act(number + 1, key, Change::Upload);
        if house.deliver(number + 1, 0, key, Change::Upload, counters).await {
            return Err("not even the first uploads are indexed".into());
        }
    }
    house.outage.take_turns(schedule.turns.iter().copied());
    let mut due: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    let mut again: Vec<usize> = Vec::new();
    let slots = schedule.slots();
    for slot in 0..slots.last().map_or(0, |last| last + 1) + 5 {
        let now = Timestamp::UNIX_EPOCH + SLOT * i32::try_from(slot).unwrap_or(i32::MAX);
        house.index.set_time(now);
        match schedule.outages.get(slot).copied().flatten() {
            None => house.outage.end(),
            Some((after, false)) => house.outage.begin_after(after),
            Some((after, true)) => house.outage.lose_answer_after(after),
        }
        // Everything of one slot happens at the same time: the clients' acts one after the other, every delivery that is due, a sweep, two readers.
        let deliver = |at: usize, delivery: usize| {
            let act = &schedule.acts[at];
            house.deliver(number_of(at), delivery, KEYS[act.key], act.change, counters)
        };
        let of_slot: Vec<usize> = (0..schedule.acts.len()).filter(|at| slots[*at] == slot).collect();
        let mut waited = 0;
        let clients = join_all(of_slot.iter().map(|&at| {
            let now = &schedule.acts[at];
            waited += now.waits;
            let turns = waited;
            async move {
                wait(turns).await;
                house.act(number_of(at), KEYS[now.key], now.change);
                (at, now.delays.contains(&0) && deliver(at, 0).await)
            }
        }));
        let deliveries = due.remove(&slot).unwrap_or_default();
        let deliveries = join_all(deliveries.into_iter().map(|(at, delivery)| async move { (at, deliver(at, delivery).await) }));
        let sweep = async {
            if let Some(turns) = schedule.sweeps.get(slot).copied().flatten() {
                wait(turns).await;
                sweep(house, now - SWEPT_AFTER, counters).await;
            }
        };
        let readers = join(read(house, false, counters), read(house, true, counters));
        let ((first, delivered), ((), (warm, cold))) = join(join(clients, deliveries), join(sweep, readers)).await;
        warm.and(cold).map_err(|violation| format!("slot {slot}: {violation}"))?;
        again.extend(first.into_iter().chain(delivered).filter(|(_, again)| *again).map(|(at, _)| at));
        for at in of_slot {
            for (delivery, delay) in schedule.acts[at].delays.iter().enumerate().filter(|(_, delay)| **delay > 0) {
                due.entry(slot + delay).or_default().push((at, delivery));
            }
        }
    }
    house.outage.end();
    // What failed comes again, newest first for a change, until nothing fails.
    for delivery in 0..DELIVERIES_MAX {
        let mut still = Vec::new();
        for at in again.drain(..).rev() {
            let act = &schedule.acts[at];
            if house.deliver(number_of(at), delivery, KEYS[act.key], act.change, counters).await {
                still.push(at);
            }
        }
        again = still;
    }
    if !again.is_empty() {
        return Err(format!("the events of the acts {again:?} would be parked"));
    }
    finish(house, schedule, counters).await
}

async fn finish(house: &House, schedule: &Schedule, counters: &Counters) -> Result<(), String> {
    read(house, false, counters).await?;
    read(house, true, counters).await?;
    for (at, key) in KEYS.into_iter().enumerate() {
        equals_bucket(house, schedule, at, key).await?;
    }
    if house.outage.failures() == 0 {
        is_gone(house, schedule, "before the sweep")?;
    }
    let end = Timestamp::UNIX_EPOCH + SLOT * 1_000;
    sweep(house, end, counters).await;
    is_gone(house, schedule, "after the sweep")?;
    for name in ["main", "west"] {
        let tenant = TenantId::parse(name).expect("a tenant");
        let Some((bytes, _)) = house.index.peek(&manifest_key(&tenant)) else { continue };
        let manifest = Manifest::read(&bytes).map_err(|error| error.to_string())?;
        let mut named: BTreeSet<String> = manifest.segments().map(|(_, segment)| segment.object().0.to_owned()).collect();
        named.insert(manifest_key(&tenant));
        let there: BTreeSet<String> =
            house.index.keys().into_iter().filter(|key| key.starts_with(&format!("index/{name}/"))).collect();
        let waiting: BTreeSet<String> = manifest.retired.iter().chain(&manifest.doomed).cloned().collect();
        if !named.is_subset(&there) || !there.is_subset(&named.union(&waiting).cloned().collect()) {
            return Err(format!("{name}: the bucket holds {there:?}, the manifest names {named:?} and lets {waiting:?} wait"));
        }
    }
    read(house, true, counters).await.map_err(|violation| format!("after the sweep: {violation}"))
}

async fn sweep(house: &House, before: Timestamp, counters: &Counters) {
    for tenant in house.upkeep.tenants().await.unwrap_or_default() {
        let swept = house.upkeep.sweep(&tenant, before).await.unwrap_or(0);
        counters.swept.set(counters.swept.get() + swept as u64);
    }
}

/// Searches both tenants, as a chat function that is warm or one that starts; an answer must be the state of one manifest.
async fn read(house: &House, is_cold: bool, counters: &Counters) -> Result<(), String> {
    let cold = SegmentIndex::new(Arc::new(house.index.clone()), WordEmbedder.model_id().to_owned());
    let index = if is_cold { &cold } else { &house.warm };
    for name in ["main", "west"] {
        let text = "Which marker is here?";
        let query = Query { text: text.to_owned(), embedding: WordEmbedder.embed(text), filter: Filter::default() };
        // The stores may be down: then there is no answer, which is not a wrong one.
        let Ok(found) = index.search(&testkit::context(name, &[]).scope(), &query, EVERYTHING).await else { continue };
        counters.searches.set(counters.searches.get() + 1);
        is_one_state(house, name, &found)?;
    }
    Ok(())
}

fn is_one_state(house: &House, name: &str, found: &Retrieval) -> Result<(), String> {
    if !found.unreadable.is_empty() || !found.outdated.is_empty() {
        return Err(format!("{name}: {} documents cannot be read", found.unreadable.len() + found.outdated.len()));
    }
    let mut seen: BTreeMap<&DocumentId, &str> = BTreeMap::new();
    for passage in &found.passages {
        if seen.insert(&passage.document_id, &passage.version).is_some() {
            return Err(format!("{name}: a document of one chunk is found twice"));
        }
        let written = KEYS.iter().chain(&STANDING).find(|key| document_id(key) == passage.document_id);
        let bytes = written.and_then(|key| house.documents.version(key, &passage.version));
        if bytes.as_deref() != Some(passage.chunk.text.as_bytes()) {
            return Err(format!("{name}: {:?} is not what version {} says", passage.chunk.text, passage.version));
        }
    }
    let tenant = TenantId::parse(name).expect("a tenant");
    let mut states = house.index.history(&manifest_key(&tenant));
    states.push(Manifest::default().write().map_err(|error| error.to_string())?);
    let is_state = |bytes: &Vec<u8>| {
        Manifest::read(bytes).is_ok_and(|manifest| {
            manifest.segments().map(|(id, segment)| (id, segment.version.as_str())).eq(seen.iter().map(|(id, v)| (*id, *v)))
        })
    };
    // The newest first: that is nearly always the one.
    if states.iter().rev().any(is_state) { Ok(()) } else { Err(format!("{name}: {seen:?} is the state of no manifest")) }
}

async fn equals_bucket(house: &House, schedule: &Schedule, at: usize, key: &str) -> Result<(), String> {
    let cold = SegmentIndex::new(Arc::new(house.index.clone()), WordEmbedder.model_id().to_owned());
    let text = "Which marker is here?";
    let filter = Filter { documents: vec![document_id(key)], ..Filter::default() };
    let query = Query { text: text.to_owned(), embedding: WordEmbedder.embed(text), filter };
    let found = cold.search(&testkit::context(tenant(key).as_str(), &[]).scope(), &query, EVERYTHING).await;
    let found = found.map_err(|error| error.to_string())?.passages.into_iter().next();
    let indexed = found.map(|passage| (passage.version, passage.chunk.text));
    let row = house.row(key).await;
    let mine = || schedule.acts.iter().enumerate().filter(|(_, act)| act.key == at);
    let Some(row) = row else {
        return if mine().next().is_none() && indexed.is_none() { Ok(()) } else { Err(format!("{key} has no row")) };
    };
    if row.valid_until.is_some() {
        return Err(format!("{key}: something is still under way"));
    }
    // A receipt was written when nothing was found, and by the document's own words if there were any.
    if let Some(receipt) = row.receipt.as_ref()
        && (receipt.found_after > 0 || receipt.objects_left > 0 || (receipt.version.is_some() && receipt.questions < 2))
    {
        return Err(format!("{key}: a receipt that proves nothing: {receipt:?}"));
    }
    if row.searchable_version.as_ref() != indexed.as_ref().map(|(version, _)| version) {
        return Err(format!("{key}: the registry cites {:?}, the index has {indexed:?}", row.searchable_version));
    }
    let is_right = match house.documents.peek(key) {
        None => row.status == Status::Deleted && indexed.is_none(),
        // What was searchable before may stay so: the state says that this version is not. The last one before that stays
        // only if it was never removed.
        Some((bytes, version)) if bytes == b"!encrypted" => {
            let before = mine().rev().find(|(_, act)| act.change != Change::UploadLocked);
            let was_removed = before.is_none_or(|(_, act)| act.change == Change::Remove);
            row.status == Status::Failed && row.version == Some(version) && !(was_removed && indexed.is_some())
        }
        Some((bytes, version)) => {
            row.status == Status::Indexed && indexed == Some((version, String::from_utf8_lossy(&bytes).into_owned()))
        }
    };
    if is_right { Ok(()) } else { Err(format!("{key}: {:?}, the index has {indexed:?}", row.status)) }
}

/// Whether the words of every document that was removed are out of every object of the index.
fn is_gone(house: &House, schedule: &Schedule, when: &str) -> Result<(), String> {
    for (at, key) in KEYS.into_iter().enumerate().filter(|(_, key)| house.documents.peek(key).is_none()) {
        for (number, _) in schedule.acts.iter().enumerate().filter(|(_, act)| act.key == at) {
            let word = format!("number{}x", number_of(number));
            for object in house.index.keys() {
                let (bytes, _) = house.index.peek(&object).unwrap_or_default();
                if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
                    return Err(format!("{key} is deleted, and {object} has its words {when}"));
                }
            }
        }
    }
    Ok(())
}
