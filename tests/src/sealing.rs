//! What a stream and Lambda can do to the seal, as random schedules over a store in memory: batches that come twice, together,
//! late, from far back or out of order; writers that die between any two calls, or do what they were asked and lose the
//! answer; clocks that run ahead or behind by years.
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
use seal::{PublicKey, Start, TrailVerifier, event_of_line};
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
    let delivery = (-12..6_i8, 1..9_usize, vec(attempt, 1..4));
    let delivery = delivery.prop_map(|(from, rows, attempts)| Delivery { from, rows, attempts });
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
    AuditSeal::new(seen.clone(), seen, Box::new(key), CLOCKS[clock])
}

/// Where the failures of an answer begin.
fn failed_at(answer: &Value) -> Option<usize> {
    answer["batchItemFailures"][0]["itemIdentifier"].as_str()?.parse().ok()
}

async fn check(schedule: &Schedule, report: &mut Report) -> Result<(), String> {
    let archive = MemoryObjects::default();
    let records: Vec<Value> = schedule.rows.iter().enumerate().map(|(at, tenant)| record(at, TENANTS[*tenant])).collect();
    let mut writers: Vec<(Outage, AuditSeal)> = (0..WRITERS).map(|at| fresh(&archive, at)).collect();
    let mut reached = 0_usize;
    for delivery in &schedule.deliveries {
        let ahead = if schedule.is_unordered { delivery.from } else { delivery.from.min(0) };
        let from = reached.checked_add_signed(ahead.into()).unwrap_or(0).min(records.len());
        let to = (from + delivery.rows).min(records.len());
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
    for from in [reached, 0] {
        let answer = handle(&healthy, &json!({ "Records": records[from..] }), "test").await.map_err(|e| e.to_string())?;
        if answer["batchItemFailures"] != json!([]) {
            return Err(format!("with everything up, {answer}"));
        }
    }
    let trails = trails(&archive)?;
    for (number, tenant) in TENANTS.iter().enumerate() {
        let wanted: Vec<String> =
            (0..records.len()).filter(|at| schedule.rows[*at] == number).map(|at| format!("{at:026}")).collect();
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
    report.files += names.iter().filter(|name| name.starts_with("trail/")).count() as u64;
    Ok(())
}

fn fresh(archive: &MemoryObjects, at: usize) -> (Outage, AuditSeal) {
    let outage = Outage::default();
    let writer = writer(archive, &outage, at % CLOCKS.len());
    (outage, writer)
}

/// The ids of each tenant's rows in the order of their numbers, if every trail is sound.
fn trails(archive: &MemoryObjects) -> Result<BTreeMap<&'static str, Vec<String>>, String> {
    let keys = [PublicKey::of_der(&MemoryKey::of_seed(1).public()).expect("a key")];
    let mut trails = BTreeMap::new();
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
        checked.map_err(|error| format!("{tenant} is unsound: {error}"))?;
        trails.insert(tenant, ids);
    }
    Ok(trails)
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
        Ok(trails) => {
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
