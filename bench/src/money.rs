//! A thousand chats at once with room for a few, and five hundred requests of one person with room for fifty: on the
//! in-process store, 20 trials each.

use anyhow::{Result, ensure};
use domain::context::Role;
use domain::ids::{RequestId, SubjectId};
use domain::limits::{AdmissionLog, Limit, LimitKey, Rule};
use domain::spending::{
    Attempt, AttemptOutcome, Caps, Catalogue, Grade, Ledger, LedgerStore, MicroDollars, Provider, ReserveBudgetError, TokenUsage,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Instant;
use testkit::{CountingIds, MemoryAdmissions, MemoryAlerts, MemoryAuditLog, MemoryLedger, fixed_now};

const TRIALS: u32 = 20;
const CHATS: u32 = 1_000;
/// Tokens of a chat's prompt and of its answer.
const TOKENS: (u32, u32) = (3_000, 500);

/// Prints both.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    println!("{CHATS} chats at once, {TRIALS} trials; the cap has room for so many of them\n");
    println!("{:>6} {:>8} {:>12} {:>14} {:>10} {:>12}", "room", "paid", "cap", "most booked", "of cap", "µs a chat");
    for room in [0_u64, 1, 7, 50, 999] {
        runtime.block_on(budget(room))?;
    }
    println!("\n500 requests of one person at once, 50 an hour, {TRIALS} trials\n");
    println!("{:>28} {:>10} {:>14}", "clocks", "admitted", "longest wait");
    for (what, spread_ms) in [("the same", 0), ("across the hour", 4_000), ("5 s off either way", 10_000)] {
        runtime.block_on(rush(what, spread_ms))?;
    }
    Ok(())
}

async fn budget(room: u64) -> Result<()> {
    let catalogue = Catalogue::shipped()?;
    let now: Timestamp = "2026-11-22T12:00:00Z".parse()?;
    let model = catalogue.default_model(Provider::Gemini, Grade::Usual).expect("a default").clone();
    let bound = model.at_most(TOKENS.0, TOKENS.1, now).expect("a price");
    let cap = MicroDollars::new(bound.micros() * room);
    let caps = Caps { deployment: cap, department: cap, person: cap, threshold_percent: 100 };
    let (mut least, mut most_paid, mut most) = (u64::MAX, 0, MicroDollars::ZERO);
    let begun = Instant::now();
    for _ in 0..TRIALS {
        let store = MemoryLedger::default();
        let ledger = Ledger {
            store: Arc::new(store.clone()),
            caps,
            alerts: Arc::new(MemoryAlerts::default()),
            audit: Arc::new(MemoryAuditLog::default()),
            ids: Arc::new(CountingIds::default()),
        };
        let chats = (0..CHATS).map(|_| {
            let (ledger, model) = (ledger.clone(), model.clone());
            tokio::spawn(async move {
                let context = testkit::context("main", &[Role::Clinician]);
                match ledger.reserve(&context, &model, TOKENS, now).await {
                    Ok(reservation) => {
                        let usage = TokenUsage { input: TOKENS.0, output: TOKENS.1, ..TokenUsage::default() };
                        let outcome = AttemptOutcome::Answered;
                        let attempt = Attempt { outcome, usage: Some(usage), latency_ms: 0, sent: None, ended: now };
                        ledger.settle(reservation, attempt).await.map(|_| 1).map_err(ReserveBudgetError::Port)
                    }
                    Err(ReserveBudgetError::Refused { .. }) => Ok(0),
                    Err(error) => Err(error),
                }
            })
        });
        let mut paid = 0;
        for chat in chats.collect::<Vec<_>>() {
            paid += chat.await??;
        }
        (least, most_paid) = (least.min(paid), most_paid.max(paid));
        most = most.max(store.most_booked());
        let books = store.books(now.to_zoned(TimeZone::UTC).date()).await?;
        ensure!(books.booked <= cap && books.holds.is_empty(), "the books are not closed");
    }
    ensure!(most <= cap, "the cap was passed");
    let share = if room == 0 { "-".to_owned() } else { format!("{:.1} %", least as f64 / room as f64 * 100.0) };
    let each = begun.elapsed().as_micros() as f64 / f64::from(TRIALS * CHATS);
    let paid = if least == most_paid { least.to_string() } else { format!("{least}-{most_paid}") };
    println!("{room:>6} {paid:>8} {:>12} {:>14} {share:>10} {each:>12.1}", cap.to_string(), most.to_string());
    Ok(())
}

async fn rush(what: &str, spread_ms: i64) -> Result<()> {
    let (mut least, mut most, mut longest) = (usize::MAX, 0, 0);
    for trial in 0..i64::from(TRIALS) {
        let log = MemoryAdmissions::default();
        let person = testkit::context("main", &[Role::Clinician]);
        let key = LimitKey { tenant: person.tenant, subject: SubjectId::parse("person-1")?, limit: Limit::Questions };
        let requests = (0..500_i64).map(|number| {
            let (log, key) = (log.clone(), key.clone());
            let shift = (number * 7_919 + trial * 104_729) % (spread_ms + 1) - spread_ms / 2;
            let now = fixed_now() + SignedDuration::from_millis(shift);
            tokio::spawn(async move {
                log.admit(&key, &Rule::new(50, None), &RequestId::new(&format!("request-{number}")), now).await
            })
        });
        let mut admitted = 0;
        for request in requests.collect::<Vec<_>>() {
            match request.await?? {
                Ok(()) => admitted += 1,
                Err(wait) => longest = longest.max(wait),
            }
        }
        (least, most) = (least.min(admitted), most.max(admitted));
    }
    let admitted = if least == most { least.to_string() } else { format!("{least}-{most}") };
    println!("{what:>28} {admitted:>10} {:>14}", format!("{longest} s"));
    Ok(())
}
