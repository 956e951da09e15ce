//! What every ledger, admission log and breaker store promises, in memory or on DynamoDB.

use super::{asking, ended, model};
use domain::breaker::{BreakerRules, BreakerStore, Breakers, Permission, Shown};
use domain::fault::PortError;
use domain::ids::{RequestId, SubjectId, TenantId};
use domain::limits::{AdmissionLog, Limit, LimitKey, Rule};
use domain::spending::{
    AttemptOutcome, Cap, Caps, Grade, Ledger, LedgerStore, MicroDollars, Reservation, ReserveBudgetError, Threshold,
};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use std::sync::Arc;
use testkit::{CountingIds, MemoryAdmissions, MemoryAlerts, MemoryAuditLog, MemoryBreakers, MemoryLedger};

/// Days that nobody else uses, one for each promise.
#[derive(Clone, Copy)]
pub struct Days(pub Date);

impl Days {
    fn noon(self, number: i32) -> Timestamp {
        let day = self.0.checked_add(Span::new().days(number)).expect("a day");
        day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).expect("a time").timestamp()
    }
}

fn micros(amount: u64) -> MicroDollars {
    MicroDollars::new(amount)
}

fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now + SignedDuration::from_secs(seconds)
}

struct Day {
    ledger: Ledger,
    alerts: MemoryAlerts,
    now: Timestamp,
}

impl Day {
    fn new(store: &Arc<dyn LedgerStore>, caps: Caps, now: Timestamp) -> Self {
        let alerts = MemoryAlerts::default();
        let ledger = Ledger {
            store: store.clone(),
            caps,
            alerts: Arc::new(alerts.clone()),
            audit: Arc::new(MemoryAuditLog::default()),
            ids: Arc::new(CountingIds::default()),
        };
        Self { ledger, alerts, now }
    }

    async fn reserve(&self, person: &str, grade: Grade, tokens: u32, now: Timestamp) -> Result<Reservation, ReserveBudgetError> {
        self.ledger.reserve(&asking(person, Some("icu"), now), &model(grade), (tokens, 0), now).await
    }

    async fn settle(&self, reservation: Reservation, tokens: u32, now: Timestamp) {
        let attempt = ended(AttemptOutcome::Answered, Some(tokens), now);
        let settled = self.ledger.settle(reservation, attempt).await.expect("settled");
        assert!(settled.untold.is_none());
    }

    async fn books(&self) -> domain::spending::DayBooks {
        self.ledger.store.books(self.now.to_zoned(TimeZone::UTC).date()).await.expect("books")
    }
}

fn cap_of(result: Result<Reservation, ReserveBudgetError>) -> Cap {
    match result {
        Err(ReserveBudgetError::Refused { cap }) => cap,
        other => panic!("not refused: {other:?}"),
    }
}

/// Everything that [`LedgerStore`] says, through the ledger.
pub async fn a_ledger_store(store: Arc<dyn LedgerStore>, days: Days) {
    books_are_what_was_booked(&store, days.noon(0)).await;
    caps_hold(&store, days.noon(1)).await;
    orphans_end(&store, days.noon(2)).await;
    a_late_settlement_counts_once(&store, days.noon(3)).await;
    somebody_is_told_once(&store, days.noon(4)).await;
}

async fn books_are_what_was_booked(store: &Arc<dyn LedgerStore>, now: Timestamp) {
    let caps = Caps { deployment: micros(10_000), department: micros(10_000), person: micros(10_000), threshold_percent: 80 };
    let day = Day::new(store, caps, now);
    assert_eq!(day.books().await, domain::spending::DayBooks::default(), "a day without bookings");
    let first = day.reserve("ana", Grade::Usual, 800, now).await.expect("room");
    let second = day.reserve("ben", Grade::Cheaper, 300, now).await.expect("room");
    let books = day.books().await;
    assert_eq!((books.booked, books.spent, books.reserved(), books.holds.len()), (micros(1_100), micros(0), micros(1_100), 2));
    day.settle(first, 120, later(now, 2)).await;
    let books = day.books().await;
    assert_eq!((books.booked, books.spent, books.hours[12]), (micros(420), micros(120), micros(120)));
    assert_eq!((books.models["one-usual"].spent, books.models["one-usual"].attempts), (micros(120), 1));
    assert_eq!(books.departments.values().copied().collect::<Vec<_>>(), [micros(420)]);
    let mut people: Vec<_> = books.people.values().copied().collect();
    people.sort();
    assert_eq!(people, [micros(120), micros(300)]);
    day.settle(second, 300, later(now, 3)).await;
    let rows = store.rows(now.to_zoned(TimeZone::UTC).date()).await.expect("rows");
    assert_eq!(
        rows.iter().map(|row| (row.cost, row.outcome)).collect::<Vec<_>>(),
        [(micros(120), AttemptOutcome::Answered), (micros(300), AttemptOutcome::Answered)]
    );
    // The same settlement again, as a retry whose first answer was lost.
    let hold = domain::spending::Hold {
        id: rows[0].id,
        day: rows[0].day,
        amount: rows[0].reserved,
        payer: rows[0].payer.clone(),
        grade: Grade::Usual,
        provider: rows[0].provider,
        model: rows[0].model.clone(),
        price_version: rows[0].price_version.clone(),
        request_id: rows[0].request_id.clone(),
        expires: now,
    };
    let again = store.settle(&hold, &rows[0]).await.expect("settled");
    assert_eq!((again.spent, again.booked), (micros(420), micros(420)), "the same row twice is one");
    assert_eq!(store.rows(rows[0].day).await.expect("rows"), rows);
}

async fn caps_hold(store: &Arc<dyn LedgerStore>, now: Timestamp) {
    let caps = Caps { deployment: micros(1_000), department: micros(900), person: micros(300), threshold_percent: 50 };
    let day = Day::new(store, caps, now);
    assert_eq!(cap_of(day.reserve("ana", Grade::Usual, 1_001, now).await), Cap::Deployment, "more than a day has");
    let a = day.reserve("ana", Grade::Usual, 300, now).await.expect("room");
    assert_eq!(cap_of(day.reserve("ana", Grade::Usual, 1, now).await), Cap::Person);
    let b = day.reserve("ben", Grade::Usual, 300, now).await.expect("room");
    let c = day.reserve("cleo", Grade::Usual, 300, now).await.expect("room");
    assert_eq!(cap_of(day.reserve("dan", Grade::Usual, 1, now).await), Cap::Department);
    let elsewhere = asking("eve", Some("ward"), now);
    let over = day.ledger.reserve(&elsewhere, &model(Grade::Usual), (101, 0), now).await;
    assert_eq!(cap_of(over), Cap::Deployment);
    day.settle(a, 300, now).await;
    day.settle(b, 200, now).await;
    day.settle(c, 0, now).await;
    assert_eq!(cap_of(day.reserve("eve", Grade::Usual, 1, now).await), Cap::Threshold);
    assert!(day.reserve("eve", Grade::Cheaper, 1, now).await.is_ok());
}

async fn orphans_end(store: &Arc<dyn LedgerStore>, now: Timestamp) {
    let all = micros(10_000);
    let day = Day::new(store, Caps { deployment: all, department: all, person: all, threshold_percent: 100 }, now);
    drop(day.reserve("ana", Grade::Usual, 500, now).await.expect("room"));
    drop(day.reserve("ana", Grade::Usual, 500, now).await.expect("room"));
    let _kept = day.reserve("ana", Grade::Usual, 9_000, later(now, 60)).await.expect("room");
    assert_eq!(cap_of(day.reserve("ana", Grade::Usual, 400, later(now, 119)).await), Cap::Deployment);
    let _more = day.reserve("ana", Grade::Usual, 400, later(now, 121)).await.expect("room again");
    let books = day.books().await;
    assert_eq!((books.lapsed, books.spent, books.booked), (micros(500), micros(500), micros(9_900)));
    let rows = store.rows(now.to_zoned(TimeZone::UTC).date()).await.expect("rows");
    let mut costs: Vec<_> = rows.iter().map(|row| (row.outcome, row.cost)).collect();
    costs.sort_by_key(|(_, cost)| *cost);
    assert_eq!(costs, [(AttemptOutcome::Lapsed, micros(0)), (AttemptOutcome::Lapsed, micros(500))]);
}

async fn a_late_settlement_counts_once(store: &Arc<dyn LedgerStore>, now: Timestamp) {
    let all = micros(10_000);
    let day = Day::new(store, Caps { deployment: all, department: all, person: all, threshold_percent: 100 }, now);
    let released = day.reserve("ana", Grade::Usual, 500, now).await.expect("room");
    let kept = day.reserve("ana", Grade::Usual, 400, now).await.expect("room");
    let whole = day.reserve("ana", Grade::Usual, 9_601, later(now, 200)).await;
    assert_eq!(cap_of(whole), Cap::Deployment, "only one of the two was given back");
    day.settle(released, 300, later(now, 201)).await;
    day.settle(kept, 100, later(now, 202)).await;
    let books = day.books().await;
    assert_eq!((books.spent, books.booked, books.lapsed), (micros(400), micros(400), micros(500)));
    assert_eq!(books.models["one-usual"].spent, micros(400));
}

async fn somebody_is_told_once(store: &Arc<dyn LedgerStore>, now: Timestamp) {
    let all = micros(1_000);
    let day = Day::new(store, Caps { deployment: all, department: all, person: all, threshold_percent: 80 }, now);
    let reservation = day.reserve("ana", Grade::Usual, 850, now).await.expect("room");
    day.settle(reservation, 850, now).await;
    for _ in 0..3 {
        assert_eq!(cap_of(day.reserve("ana", Grade::Usual, 1, now).await), Cap::Threshold);
        assert_eq!(cap_of(day.reserve("ana", Grade::Cheaper, 151, now).await), Cap::Deployment);
    }
    let kinds: Vec<String> = day.alerts.alerts().iter().map(|alert| alert.kind.clone()).collect();
    assert_eq!(kinds, ["budget_threshold", "budget_stop"]);
    let books = day.books().await;
    assert_eq!(books.announced, [Threshold::Cheaper, Threshold::Stop]);
    let date = now.to_zoned(TimeZone::UTC).date();
    assert!(!store.claim_announcement(date, Threshold::Stop, later(now, 3_600)).await.expect("a claim"), "it is said");
}

/// Everything that [`AdmissionLog`] says. The person is nobody else's.
pub async fn an_admission_log(log: Arc<dyn AdmissionLog>, person: &str) {
    let key = |limit| LimitKey {
        tenant: TenantId::parse("main").expect("a tenant"),
        subject: SubjectId::parse(person).expect("a subject"),
        limit,
    };
    let questions = key(Limit::Questions);
    let rule = Rule::new(60, Some(3));
    let start: Timestamp = "2026-11-22T09:59:58Z".parse().expect("a time");
    let admit = async |number: u32, now: Timestamp| {
        log.admit(&questions, &rule, &RequestId::new(&format!("request-{number}")), now).await.expect("the log is up")
    };
    for number in 0..3 {
        assert_eq!(admit(number, later(start, 1)).await, Ok(()));
    }
    assert_eq!(admit(2, later(start, 1)).await, Ok(()), "the same request again is no other one");
    assert_eq!(admit(3, later(start, 11)).await, Err(50));
    assert_eq!(admit(4, later(start, 60)).await, Err(1));
    assert_eq!(log.admit(&key(Limit::Uploads), &rule, &RequestId::new("u"), start).await.expect("up"), Ok(()));
    // Three a minute until the hour is full, and on for more hours than the list is long.
    let mut number = 10;
    for minute in 1..19_i64 {
        for _ in 0..3 {
            assert_eq!(admit(number, later(start, 1 + minute * 60)).await, Ok(()), "minute {minute}");
            number += 1;
        }
    }
    for _ in 0..3 {
        assert_eq!(admit(number, later(start, 1 + 19 * 60)).await, Ok(()));
        number += 1;
    }
    assert_eq!(admit(number, later(start, 1 + 20 * 60)).await, Err(40 * 60), "sixty within the hour");
    for round in 0..60_i64 {
        assert_eq!(admit(number, later(start, 1 + 3_600 + round * 60)).await, Ok(()), "round {round}");
        number += 1;
    }
}

/// Everything that [`BreakerStore`] says.
pub async fn a_breaker_store(store: Arc<dyn BreakerStore>) {
    let breakers = Breakers { store: store.clone(), rules: BreakerRules::default(), ids: Arc::new(CountingIds::default()) };
    let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
    for _ in 0..3 {
        let permit = breakers.permit("contract", now).await.expect("a permit");
        assert_eq!(permit.permission, Permission::Ask);
        breakers.report(permit, Shown::Unwell, now).await.expect("reported");
    }
    let blocked = breakers.permit("contract", later(now, 14)).await.expect("a permit");
    assert_eq!(blocked.permission, Permission::Blocked { until: later(now, 15) });
    let read = store.load("contract").await.expect("a state");
    let probe = breakers.permit("contract", later(now, 15)).await.expect("a permit");
    assert!(matches!(probe.permission, Permission::Probe(_)));
    let other = breakers.permit("contract", later(now, 16)).await.expect("a permit");
    assert_eq!(other.permission, Permission::Blocked { until: later(now, 55) }, "one probe at a time");
    let lost = store.replace("contract", &read, &read.state).await;
    assert!(matches!(lost, Err(PortError::Conflict { .. })), "{lost:?}");
    breakers.report(probe, Shown::Well, later(now, 17)).await.expect("reported");
    assert_eq!(breakers.permit("contract", later(now, 18)).await.expect("a permit").permission, Permission::Ask);
    assert_eq!(breakers.permit("another", now).await.expect("a permit").permission, Permission::Ask);
}

#[tokio::test]
async fn the_fakes_keep_the_promises() {
    let days = Days("2030-01-01".parse().expect("a day"));
    a_ledger_store(Arc::new(MemoryLedger::default()), days).await;
    an_admission_log(Arc::new(MemoryAdmissions::default()), "contract").await;
    a_breaker_store(Arc::new(MemoryBreakers::default())).await;
}
