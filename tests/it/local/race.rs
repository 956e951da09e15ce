//! Eight indexers at once, killed at random, on the local AWS: the deployed binary, each in a process of its own that polls a
//! double of the Lambda Runtime API, over a bucket, an index and tables that nobody else uses. Uploads, re-uploads
//! and deletions go on all the while; events are delivered twice, in any order, and again after a kill. At the end every
//! document is as the bucket has it.

use super::harness::{Stack, stack};
use crate::repository::root;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use index::{Manifest, Segment};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tests::runtime_api::RuntimeApi;

const WORKERS: usize = 8;
const KEYS: usize = 12;
const ACTS: usize = 60;
/// Workers are killed so often, then the rest is worked off in peace.
const KILLS: usize = 24;
/// A claim of a killed attempt lasts so long.
const CLAIM_S: &str = "2";
/// Longer than any event takes in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Xorshift: which event, which worker, how long.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap_or(0)
    }
}

/// The queue: every event is in it until an indexer says that it is done.
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    kills: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    events: Vec<Value>,
    in_hand: usize,
    is_complete: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, event: &Value, copies: usize) {
        self.waiting().events.extend(std::iter::repeat_n(event.clone(), copies));
        self.changed.notify_all();
    }

    /// Any event; waits while others hold the last ones, which may come back. `None` when all are done.
    fn take(&self, random: &mut Random) -> Option<Value> {
        let mut waiting = self.waiting();
        loop {
            if !waiting.events.is_empty() {
                waiting.in_hand += 1;
                let at = random.below(waiting.events.len());
                return Some(waiting.events.swap_remove(at));
            }
            if waiting.is_complete && waiting.in_hand == 0 {
                self.changed.notify_all();
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put_down(&self, event: Value, is_done: bool) {
        let mut waiting = self.waiting();
        waiting.in_hand -= 1;
        if !is_done {
            waiting.events.push(event);
        }
        self.changed.notify_all();
    }
}

/// What the race is run over.
struct Place {
    documents: String,
    index: String,
    table: String,
    audit: String,
}

fn aws(service: &str, operation: &str, parameters: Value) -> Value {
    stack().aws(service, operation, parameters).unwrap_or_else(|code| panic!("{service} {operation}: {code}"))
}

fn make_place() -> Place {
    let bucket = |name: &str| {
        aws(
            "s3",
            "create_bucket",
            json!({ "Bucket": name, "CreateBucketConfiguration": { "LocationConstraint": stack().region() } }),
        );
        let versioned = json!({ "Bucket": name, "VersioningConfiguration": { "Status": "Enabled" } });
        aws("s3", "put_bucket_versioning", versioned);
        name.to_owned()
    };
    let table = |name: &str| {
        aws(
            "dynamodb",
            "create_table",
            json!({
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    { "AttributeName": "pk", "AttributeType": "S" }, { "AttributeName": "sk", "AttributeType": "S" },
                ],
                "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }, { "AttributeName": "sk", "KeyType": "RANGE" }],
            }),
        );
        name.to_owned()
    };
    Place {
        documents: bucket("race-documents"),
        index: bucket("race-index"),
        table: table("race-documents"),
        audit: table("race-audit"),
    }
}

fn spawn(place: &Place, api: &RuntimeApi, stack: &Stack) -> Child {
    let folder = root().join("target/lambda/indexer");
    Command::new(folder.join("bootstrap"))
        .current_dir(&folder)
        .env_clear()
        .envs(stack.environment())
        .env("AWS_LAMBDA_RUNTIME_API", api.address())
        .env("AWS_LAMBDA_FUNCTION_NAME", "race")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
        .env("DOCUMENTS_BUCKET", &place.documents)
        .env("INDEX_BUCKET", &place.index)
        .env("DOCUMENTS_TABLE", &place.table)
        .env("AUDIT_TABLE", &place.audit)
        .env("CLAIM_SECONDS", CLAIM_S)
        .env("LOG_LEVEL", "error")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("`make build` has put the indexer where the template looks for it")
}

/// A Lambda: takes events and now and then is killed in the middle of one, or before it has begun.
fn work(number: usize, queue: &Queue, place: &Place) {
    let mut random = Random(0x2545_f491_4f6c_dd1d ^ (number as u64 + 1) << 20);
    'process: loop {
        let api = RuntimeApi::open().expect("a port");
        let mut process = spawn(place, &api, stack());
        while let Some(event) = queue.take(&mut random) {
            let is_doomed = random.below(2) == 0 && queue.kills.load(Ordering::SeqCst) < KILLS;
            let patience = if is_doomed { Duration::from_millis(random.below(400) as u64) } else { PATIENCE };
            let answer = api.invoke_within(&event.to_string(), patience);
            let answer: Option<Value> = answer.and_then(|body| serde_json::from_slice(&body).ok());
            let is_done = answer.as_ref().is_some_and(|a| a["batchItemFailures"].as_array().is_some_and(Vec::is_empty));
            assert!(is_doomed || answer.is_some(), "an indexer that nobody killed does not answer");
            if answer.is_none() {
                queue.kills.fetch_add(1, Ordering::SeqCst);
                process.kill().expect("a process of ours");
                process.wait().expect("a process of ours");
                queue.put_down(event, false);
                continue 'process;
            }
            queue.put_down(event, is_done);
        }
        process.kill().expect("a process of ours");
        process.wait().expect("a process of ours");
        return;
    }
}

fn key(number: usize) -> String {
    format!("tenants/race/{number}.txt")
}

fn words(act: usize) -> String {
    format!("Locker number{act} holds the keys of the race.")
}

/// What S3 would say, in the form of the sample event.
fn event(key: &str, sequencer: usize, is_removal: bool) -> Value {
    let mut detail = json!({ "object": { "key": key, "sequencer": format!("{sequencer:018X}") } });
    if is_removal {
        detail["deletion-type"] = "Delete Marker Created".into();
    }
    let body = json!({
        "version": "0", "id": "0b5f4f70-7d2d-4a6e-8f6b-3c5a2e9d1f00", "source": "aws.s3", "account": "123456789012",
        "detail-type": if is_removal { "Object Deleted" } else { "Object Created" }, "time": "2026-01-05T08:00:00Z",
        "region": "eu-north-1", "resources": [], "detail": detail,
    });
    json!({ "Records": [{ "messageId": format!("race-{sequencer}"), "eventSource": "aws:sqs", "body": body.to_string() }] })
}

fn bytes_of(place: &Place, key: &str) -> Vec<u8> {
    let object = aws("s3", "get_object", json!({ "Bucket": place.index, "Key": key }));
    STANDARD.decode(object["Body"]["$base64"].as_str().expect("bytes")).expect("base64")
}

#[test]
fn eight_indexers_that_are_killed_at_random_leave_every_document_as_the_bucket_has_it() {
    let place = make_place();
    let queue = Queue { waiting: Mutex::default(), changed: Condvar::new(), kills: AtomicUsize::new(0) };
    let mut last: BTreeMap<usize, Option<usize>> = BTreeMap::new();
    std::thread::scope(|scope| {
        for number in 0..WORKERS {
            let (queue, place) = (&queue, &place);
            scope.spawn(move || work(number, queue, place));
        }
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for act in 0..ACTS {
            let number = random.below(KEYS);
            let is_removal = last.contains_key(&number) && random.below(3) == 0;
            let object = json!({ "Bucket": place.documents, "Key": key(number) });
            if is_removal {
                aws("s3", "delete_object", object);
            } else {
                let mut put = object;
                put["Body"] = json!({ "$base64": STANDARD.encode(words(act)) });
                aws("s3", "put_object", put);
            }
            last.insert(number, (!is_removal).then_some(act));
            queue.add(&event(&key(number), act + 1, is_removal), 1 + random.below(2));
        }
        queue.waiting().is_complete = true;
        queue.changed.notify_all();
    });
    let kills = queue.kills.load(Ordering::SeqCst);
    assert!(kills >= KILLS / 2, "only {kills} were killed in the middle of their work");
    is_as_the_bucket_has_it(&place, &last, kills);
}

fn is_as_the_bucket_has_it(place: &Place, last: &BTreeMap<usize, Option<usize>>, kills: usize) {
    let tenant = domain::ids::TenantId::parse("race").expect("a tenant");
    let manifest_key = index::manifest_key(&tenant);
    let manifest = Manifest::read(&bytes_of(place, &manifest_key)).expect("a manifest");
    for (number, act) in last {
        let id = domain::ids::DocumentId::for_key(&tenant, &key(*number));
        let row = json!({ "TableName": place.table, "Key": { "pk": { "S": "TENANT#race" }, "sk": { "S": id.as_str() } } });
        let row = aws("dynamodb", "get_item", row)["Item"].take();
        assert!(row.get("claim").is_none() && row.get("valid_until").is_none(), "under way for ever: {row}");
        let segment = manifest.documents[&id].segment.as_ref();
        let Some(act) = act else {
            assert!(segment.is_none() && row["status"]["S"] == "deleted", "{id} is not in the bucket: {row}");
            continue;
        };
        let head = aws("s3", "head_object", json!({ "Bucket": place.documents, "Key": key(*number) }));
        let segment = segment.unwrap_or_else(|| panic!("{id} cannot be found: {row}"));
        assert_eq!(head["VersionId"], segment.version.as_str(), "{id}: the index has another version");
        assert_eq!((&row["status"]["S"], &row["searchable_version"]["S"]), (&json!("indexed"), &head["VersionId"]), "{id}");
        let (object, offset) = segment.object();
        let range = usize::try_from(offset).expect("a place")..usize::try_from(offset + segment.size_bytes).expect("a place");
        let read = Segment::read_in(&Arc::new(bytes_of(place, object)), range).expect("a whole segment");
        assert_eq!(read.chunk(0).map(|chunk| chunk.text), Ok(words(*act)), "{id}: a mix of versions");
    }
    let listed = aws("s3", "list_objects_v2", json!({ "Bucket": place.index }));
    let there: BTreeSet<&str> =
        listed["Contents"].as_array().expect("objects").iter().filter_map(|o| o["Key"].as_str()).collect();
    let mut named: BTreeSet<&str> = manifest.segments().map(|(_, segment)| segment.object().0).collect();
    named.extend(manifest.retired.iter().chain(&manifest.doomed).map(String::as_str));
    named.insert(&manifest_key);
    // What a killed attempt has left is the daily sweep's, once it is a day old: an attempt leaves a segment and a pack at most.
    let strays = there.difference(&named).count();
    assert!(strays <= kills * 2, "{strays} objects that nobody points at after {kills} kills");
}
