//! What a stream and Lambda can do to the seal, as random schedules over a store in memory: batches that come twice, together,
//! late, from far back or out of order; writers that die between any two calls, or do what they were asked and lose the
//! answer; clocks that run ahead or behind by years; strangers who lay files of their own among those of the trail.
//!
//! What must be true:
//!
//! 1. **At any time** the archive is one sound trail for each tenant: in the end it is one, and nothing that was written to it
//!    has ever changed.
//! 2. **In the end** each row is in it once, with numbers from 1 without gaps.
//! 3. **In order**, where the stream keeps an order: rows stand in the order in which they were written.

use crate::cases::violations;
use audit_seal::{AuditSeal, handle};
use domain::ids::TenantId;
use futures_util::future::join_all;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use seal::{Peaks, PublicKey, Start, TrailVerifier, event_of_line};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use testkit::{MemoryKey, MemoryObjects, Outage};

const TENANTS: [&str; 2] = ["main", "west"];
const BEGUN: i64 = 1_767_600_000;
/// Writers that remember what they have seen.
const WRITERS: usize = 3;

/// Clocks that are right, years behind and years ahead.
const CLOCKS: [fn() -> Timestamp; 3] = [
    || Timestamp::from_second(BEGUN).unwrap_or(Timestamp::UNIX_EPOCH),
    || Timestamp::UNIX_EPOCH,
    || Timestamp::from_second(BEGUN * 2).unwrap_or(Timestamp::UNIX_EPOCH),
];

/// One invocation.
#[derive(Debug, Clone)]
struct Attempt {
    writer: usize,
    /// After how many calls it dies, and whether the call has its effect all the same.
    dies: Option<(u64, bool)>,
    /// Whether it begins with an empty memory, as after a cold start.
    is_cold: bool,
    /// How its calls take turns with those of the others.
    turns: Vec<u8>,
}

/// A batch, and everybody who gets it at the same time.
#[derive(Debug, Clone)]
struct Delivery {
    /// How far back or ahead of where the stream is.
    from: i8,
    rows: usize,
    attempts: Vec<Attempt>,
    /// What a stranger does before it.
    stranger: Option<Stranger>,
}

/// A file that is not the seal's.
#[derive(Debug, Clone)]
struct Stranger {
    tenant: usize,
    /// How far behind the next number it lies.
    ahead: u64,
    kind: u8,
}

#[derive(Debug, Clone)]
struct Schedule {
    /// The tenant of each row.
    rows: Vec<usize>,
    /// Whether batches may come from ahead, as when a partition was split.
    is_unordered: bool,
    deliveries: Vec<Delivery>,
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let dies = prop_oneof![2 => Just(None), 1 => (0..14_u64, any::<bool>()).prop_map(Some)];
    let turns = vec(prop_oneof![3 => Just(0), 1 => 1..8_u8], 0..24);
    let attempt = (0..WRITERS, dies, prop::bool::weighted(0.3), turns);
    let attempt = attempt.prop_map(|(writer, dies, is_cold, turns)| Attempt { writer, dies, is_cold, turns });
    let stranger = (0..TENANTS.len(), prop_oneof![3 => Just(0), 1 => 1..4_u64], 0..6_u8);
    let stranger = stranger.prop_map(|(tenant, ahead, kind)| Stranger { tenant, ahead, kind });
    let delivery = (-12..6_i8, 1..9_usize, vec(attempt, 1..4), prop::option::weighted(0.25, stranger));
    let delivery = delivery.prop_map(|(from, rows, attempts, stranger)| Delivery { from, rows, attempts, stranger });
    (vec(0..TENANTS.len(), 1..40), any::<bool>(), vec(delivery, 1..16)).prop_map(|(rows, is_unordered, deliveries)| Schedule {
        rows,
        is_unordered,
        deliveries,
    })
}

/// What came of many schedules.
#[derive(Debug, Default)]
pub struct Report {
    /// How many ran.
    pub schedules: u32,
    /// Invocations.
    pub attempts: u64,
    /// Invocations that died on the way.
    pub killed: u64,
    /// Rows that were sealed.
    pub rows: u64,
    /// Files that they are in.
    pub files: u64,
    /// Files of strangers that were passed over.
    pub strangers: u64,
    /// Files that strangers have laid.
    pub laid: u64,
    /// What was not as it must be, with the smallest schedule that shows it.
    pub violations: Vec<String>,
}

/// Runs so many schedules, the same ones in every run.
pub fn run(cases: u32) -> Report {
    let mut report = Report { schedules: cases, ..Report::default() };
    report.violations = violations(cases, &schedules(), &mut report, &check);
    report
}

/// A record of the stream.
fn record(at: usize, tenant: &str) -> Value {
    let key = json!({ "pk": { "S": format!("TENANT#{tenant}") }, "sk": { "S": format!("{at:026}") } });
    let written = BEGUN + (at / 3).cast_signed() as i64; // several in a second
    json!({
        "eventName": "INSERT",
        "dynamodb": { "ApproximateCreationDateTime": written, "Keys": key, "NewImage": key, "SequenceNumber": at.to_string() },
    })
}

/// The seal over a store that fails as this outage says.
fn writer(archive: &MemoryObjects, outage: &Outage, clock: usize) -> AuditSeal {
    let seen = Arc::new(archive.seen_through(outage.clone()));
    let key = MemoryKey::with_outage(1, outage.clone());
    AuditSeal::new(seen, Box::new(key), CLOCKS[clock])
}

/// Lays a stranger's file: nothing, anything, a file of the other tenant or of another place, one of another key, or one whose
/// signature is not its own.
fn lay(archive: &MemoryObjects, stranger: &Stranger) {
    let folder = |tenant: usize| format!("trail/{}/", TENANTS[tenant]);
    let of = |tenant: usize| {
        let keys = archive.keys();
        let files: Vec<String> = keys.into_iter().filter(|key| key.starts_with(&folder(tenant))).collect();
        files
    };
    let there = of(stranger.tenant);
    let number = there.last().and_then(|key| key.strip_prefix(&folder(stranger.tenant))?.split('.').next()?.parse().ok());
    let number: u64 = number.unwrap_or(0) + 1 + stranger.ahead;
    let place = format!("{}{}", folder(stranger.tenant), seal::file_name(number));
    let copy = |files: &[String]| files.first().and_then(|key| archive.peek(key)).map(|(bytes, _)| bytes).unwrap_or_default();
    let bytes = match stranger.kind {
        0 => Vec::new(),
        1 => b"This is no file of the trail.".to_vec(),
        2 => copy(&of(1 - stranger.tenant)),
        3 => copy(&there),
        kind => {
            let tenant = TenantId::parse(TENANTS[stranger.tenant]).expect("a tenant");
            let theirs = MemoryKey::of_seed(if kind == 4 { 2 } else { 1 });
            let name = PublicKey::of_der(&theirs.public()).expect("a key").name();
            let (_, row) =
                seal::row_of_image(&record(0, TENANTS[stranger.tenant])["dynamodb"]["NewImage"], BEGUN).expect("a row");
            // It says that it follows what nobody has sealed, or is signed by nobody.
            let before = seal::build(&tenant, (None, 1), &Peaks::default(), std::slice::from_ref(&row), CLOCKS[0](), &name);
            let peaks = before.peaks.clone();
            let before = before.sealed(vec![7; 64]);
            let signature = |text: &str| theirs.signature(seal::signed_message(text.as_bytes()).as_bytes());
            let file = seal::build(&tenant, (Some(&before), number.max(2)), &peaks, &[row], CLOCKS[0](), &name);
            let signature = if kind == 4 { signature(&file.text) } else { vec![9; 64] };
            file.sealed(signature).bytes()
        }
    };
    archive.upload(&place, &bytes, &[]);
}

/// Where the failures of an answer begin.
fn failed_at(answer: &Value) -> Option<usize> {
    answer["batchItemFailures"][0]["itemIdentifier"].as_str()?.parse().ok()
}

async fn check(schedule: &Schedule, report: &mut Report) -> Result<(), String> {
    let archive = MemoryObjects::default();
    // Some rows come one by one when everything works again, and pass over what strangers have laid behind the others.
    let strangers = || schedule.deliveries.iter().filter_map(|delivery| delivery.stranger.as_ref());
    let behind = strangers().flat_map(|stranger| std::iter::repeat_n(stranger.tenant, stranger.ahead as usize + 1));
    let tenants: Vec<usize> = schedule.rows.iter().copied().chain(0..TENANTS.len()).chain(behind).collect();
    let records: Vec<Value> = tenants.iter().enumerate().map(|(at, tenant)| record(at, TENANTS[*tenant])).collect();
    let mut writers: Vec<(Outage, AuditSeal)> = (0..WRITERS).map(|at| fresh(&archive, at)).collect();
    let mut reached = 0_usize;
    let most = schedule.rows.len();
    for delivery in &schedule.deliveries {
        if let Some(stranger) = &delivery.stranger {
            lay(&archive, stranger);
            report.laid += 1;
        }
        let ahead = if schedule.is_unordered { delivery.from } else { delivery.from.min(0) };
        let from = reached.checked_add_signed(ahead.into()).unwrap_or(0).min(most);
        let to = (from + delivery.rows).min(most);
        let batch = json!({ "Records": records[from..to] });
        let mut taken = BTreeSet::new();
        let attempts: Vec<&Attempt> = delivery.attempts.iter().filter(|attempt| taken.insert(attempt.writer)).collect();
        for attempt in &attempts {
            if attempt.is_cold {
                writers[attempt.writer] = fresh(&archive, attempt.writer);
            }
            let (outage, _) = &writers[attempt.writer];
            match attempt.dies {
                None => outage.end(),
                Some((calls, false)) => outage.begin_after(calls),
                Some((calls, true)) => outage.lose_answer_after(calls),
            }
            outage.take_turns(attempt.turns.iter().copied());
        }
        let answers = join_all(attempts.iter().map(|attempt| handle(&writers[attempt.writer].1, &batch, "test"))).await;
        for answer in answers {
            report.attempts += 1;
            let answer = answer.map_err(|error| format!("a batch was refused: {error}"))?;
            let done = failed_at(&answer).unwrap_or(to);
            report.killed += u64::from(done < to);
            // The stream goes on only where everything before was done.
            if from <= reached {
                reached = reached.max(done);
            }
        }
    }
    // In the end everything works, the stream gets to its end, and somebody offers all of it again.
    let (_, healthy) = fresh(&archive, 0);
    let last = (most..records.len()).map(|at| at..at + 1);
    for part in [reached..most, 0..most].into_iter().chain(last).chain(std::iter::once(0..records.len())) {
        let answer = handle(&healthy, &json!({ "Records": records[part] }), "test").await.map_err(|e| e.to_string())?;
        if answer["batchItemFailures"] != json!([]) {
            return Err(format!("with everything up, {answer}"));
        }
    }
    let (trails, passed) = trails(&archive)?;
    report.strangers += passed;
    for (number, tenant) in TENANTS.iter().enumerate() {
        let wanted: Vec<String> = (0..records.len()).filter(|at| tenants[*at] == number).map(|at| format!("{at:026}")).collect();
        let mut sealed = trails.get(*tenant).cloned().unwrap_or_default();
        report.rows += sealed.len() as u64;
        if schedule.is_unordered {
            sealed.sort_unstable();
        }
        if sealed != wanted {
            return Err(format!("{tenant}: sealed {sealed:?}, written {wanted:?}"));
        }
    }
    let names = archive.ever_written();
    if let Some(changed) = names.iter().find(|name| archive.history(name).len() > 1) {
        return Err(format!("{changed} was written twice"));
    }
    report.files += (names.iter().filter(|name| name.starts_with("trail/")).count() - strangers().count()) as u64;
    Ok(())
}

fn fresh(archive: &MemoryObjects, at: usize) -> (Outage, AuditSeal) {
    let outage = Outage::default();
    let writer = writer(archive, &outage, at % CLOCKS.len());
    (outage, writer)
}

/// The ids of each tenant's rows in the order of their numbers, if every trail is sound, and how many files of strangers are between.
fn trails(archive: &MemoryObjects) -> Result<(BTreeMap<&'static str, Vec<String>>, u64), String> {
    let keys = [PublicKey::of_der(&MemoryKey::of_seed(1).public()).expect("a key")];
    let mut trails = BTreeMap::new();
    let mut strangers = 0;
    for tenant in TENANTS {
        let folder = format!("trail/{tenant}/");
        let names: Vec<String> = archive.keys().iter().filter_map(|key| key.strip_prefix(&folder)).map(str::to_owned).collect();
        if names.is_empty() {
            continue;
        }
        let mut ids = Vec::new();
        let verifier = TrailVerifier::new(&keys, TenantId::parse(tenant).ok(), Start::Beginning, Vec::new());
        let read = |name: &str| Ok::<_, Infallible>(archive.peek(&format!("{folder}{name}")).map(|(b, _)| b).unwrap_or_default());
        let checked = verifier.folder(names, read, |_, line, _| ids.extend(event_of_line(line).map(|(_, id)| id)));
        let (report, _) = checked.map_err(|error| format!("{tenant} is unsound: {error}"))?;
        strangers += report.strangers.len() as u64;
        trails.insert(tenant, ids);
    }
    Ok((trails, strangers))
}

/// Many invocations at the same time over the same part of the stream, some of which die: what is in the archive afterwards.
pub fn crowd(invocations: usize, rows: usize) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let records: Vec<Value> = (0..rows).map(|at| record(at, TENANTS[0])).collect();
    let archive = MemoryObjects::default();
    let mut dice = crate::tampering::Dice::new(5);
    let mut report = Report { schedules: 1, ..Report::default() };
    let writers: Vec<(AuditSeal, Value)> = (0..invocations)
        .map(|at| {
            let (outage, writer) = fresh(&archive, at);
            outage.take_turns((0..200).map(|_| dice.below(12) as u8).collect::<Vec<_>>());
            if dice.below(3) == 0 {
                let calls = dice.below(12) as u64;
                if dice.below(2) == 0 { outage.begin_after(calls) } else { outage.lose_answer_after(calls) }
            }
            let from = dice.below(rows);
            let to = (from + 1 + dice.below(50)).min(rows);
            (writer, json!({ "Records": records[from..to] }))
        })
        .collect();
    let answers = runtime.block_on(join_all(writers.iter().map(|(writer, batch)| handle(writer, batch, "bench"))));
    for answer in answers {
        report.attempts += 1;
        report.killed += u64::from(answer.is_ok_and(|answer| answer["batchItemFailures"] != json!([])));
    }
    let (_, healthy) = fresh(&archive, 0);
    let ended = runtime.block_on(handle(&healthy, &json!({ "Records": records }), "bench"));
    if !ended.is_ok_and(|answer| answer["batchItemFailures"] == json!([])) {
        report.violations.push("with everything up, rows are not sealed".to_owned());
    }
    match trails(&archive) {
        Ok((trails, _)) => {
            let mut sealed = trails.get(TENANTS[0]).cloned().unwrap_or_default();
            report.rows = sealed.len() as u64;
            sealed.sort_unstable();
            if sealed != (0..rows).map(|at| format!("{at:026}")).collect::<Vec<_>>() {
                report.violations.push("a row is missing or there twice".to_owned());
            }
        }
        Err(unsound) => report.violations.push(unsound),
    }
    report.files = archive.keys().iter().filter(|name| name.starts_with("trail/")).count() as u64;
    report
}
