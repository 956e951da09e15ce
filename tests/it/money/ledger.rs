//! One reservation after the other: what fits, what is booked, who is told.

use super::{Books, asking, caps, ended, model};
use domain::audit::EventType;
use domain::spending::{
    Attempt, AttemptOutcome, Cap, Caps, Grade, LedgerStore as _, MicroDollars, Reservation, ReserveBudgetError, Threshold,
};
use jiff::{SignedDuration, Timestamp};
use testkit::{MemoryAlerts, MemoryLedger, Outage, fixed_now};

fn day() -> jiff::civil::Date {
    fixed_now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn after(seconds: i64) -> Timestamp {
    fixed_now() + SignedDuration::from_secs(seconds)
}

fn micros(amount: u64) -> MicroDollars {
    MicroDollars::new(amount)
}

impl Books {
    async fn reserve_at(&self, grade: Grade, tokens: u32, now: Timestamp) -> Result<Reservation, ReserveBudgetError> {
        self.ledger.reserve(&asking("ana", Some("icu"), now), &model(grade), (tokens, 0), now).await
    }

    async fn reserve(&self, tokens: u32) -> Result<Reservation, ReserveBudgetError> {
        self.reserve_at(Grade::Usual, tokens, fixed_now()).await
    }

    async fn spend(&self, grade: Grade, tokens: u32) {
        let reservation = self.reserve_at(grade, tokens, fixed_now()).await.expect("room");
        let settled = self.ledger.settle(reservation, ended(AttemptOutcome::Answered, Some(tokens), fixed_now())).await;
        assert_eq!(settled.expect("settled").cost, micros(tokens.into()));
    }
}

fn cap_of(refusal: Result<Reservation, ReserveBudgetError>) -> Cap {
    match refusal {
        Err(ReserveBudgetError::Refused { cap }) => cap,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_reserved_is_booked_until_it_is_known_what_it_cost() {
    let books = Books::new(caps(1_000));
    let reservation = books.reserve(800).await.unwrap();
    assert_eq!(reservation.amount(), micros(800));
    assert_eq!(cap_of(books.reserve(201).await), Cap::Deployment);
    let _kept = books.reserve(200).await.unwrap();
    let settled = books.ledger.settle(reservation, ended(AttemptOutcome::Answered, Some(50), fixed_now())).await.unwrap();
    assert_eq!((settled.cost, settled.over_bound), (micros(50), false));
    let day = books.store.books(day()).await.unwrap();
    assert_eq!((day.spent, day.booked, day.reserved()), (micros(50), micros(250), micros(200)));
    assert!(books.reserve(750).await.is_ok());
}

#[tokio::test]
async fn every_cap_that_applies_is_checked() {
    let caps = Caps { deployment: micros(1_000), department: micros(500), person: micros(300), threshold_percent: 80 };
    let books = Books::new(caps);
    let model = model(Grade::Usual);
    let ask = async |person: &str, department: Option<&str>, tokens: u32| {
        books.ledger.reserve(&asking(person, department, fixed_now()), &model, (tokens, 0), fixed_now()).await
    };
    let _a = ask("ana", Some("icu"), 300).await.unwrap();
    assert_eq!(cap_of(ask("ana", Some("icu"), 1).await), Cap::Person);
    let _b = ask("ben", Some("icu"), 200).await.unwrap();
    assert_eq!(cap_of(ask("ben", Some("icu"), 1).await), Cap::Department);
    let _c = ask("cleo", Some("ward"), 300).await.unwrap();
    let _d = ask("dan", None, 200).await.unwrap();
    assert_eq!(cap_of(ask("eve", None, 1).await), Cap::Deployment);
}

#[tokio::test]
async fn without_a_word_from_the_provider_the_bound_is_booked_if_it_may_have_been_charged() {
    for (outcome, expected) in [
        (AttemptOutcome::Broken, 400),
        (AttemptOutcome::TimedOut, 400),
        (AttemptOutcome::Cancelled, 400),
        (AttemptOutcome::BadKey, 0),
        (AttemptOutcome::RateLimited, 0),
        (AttemptOutcome::NotSent, 0),
    ] {
        let books = Books::new(caps(1_000));
        let reservation = books.reserve(400).await.unwrap();
        let settled = books.ledger.settle(reservation, ended(outcome, None, fixed_now())).await.unwrap();
        assert_eq!(settled.cost, micros(expected), "{outcome:?}");
        assert_eq!(books.store.books(day()).await.unwrap().booked, micros(expected), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_call_counts_for_the_day_it_was_reserved_on() {
    let books = Books::new(caps(1_000));
    let midnight: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
    let before = midnight - SignedDuration::from_secs(1);
    let late = books.reserve_at(Grade::Usual, 900, before).await.unwrap();
    // The new day has its own room.
    let _early = books.reserve_at(Grade::Usual, 1_000, midnight).await.unwrap();
    let _ = books.ledger.settle(late, ended(AttemptOutcome::Answered, Some(700), midnight)).await.unwrap();
    let sunday = books.store.books("2026-11-22".parse().unwrap()).await.unwrap();
    let monday = books.store.books("2026-11-23".parse().unwrap()).await.unwrap();
    assert_eq!((sunday.spent, sunday.hours[23], sunday.reserved()), (micros(700), micros(700), micros(0)));
    assert_eq!((monday.spent, monday.booked), (micros(0), micros(1_000)));
}

#[tokio::test]
async fn a_reservation_that_nobody_settles_gives_its_room_back_within_bounds() {
    // A twentieth of 10,000 may be given back.
    let books = Books::new(caps(10_000));
    drop(books.reserve(500).await.unwrap());
    drop(books.reserve(500).await.unwrap());
    let _kept = books.reserve_at(Grade::Usual, 9_000, after(60)).await.unwrap();
    assert_eq!(cap_of(books.reserve_at(Grade::Usual, 400, after(119)).await), Cap::Deployment, "they have not run out");
    let admitted = books.reserve_at(Grade::Usual, 400, after(121)).await.unwrap();
    let day = books.store.books(day()).await.unwrap();
    assert_eq!((day.lapsed, day.spent), (micros(500), micros(500)), "one was given back, one is taken for spent");
    assert_eq!(day.booked, micros(9_900));
    assert_eq!(admitted.amount(), micros(400));
}

#[tokio::test]
async fn what_ran_out_is_ended_by_calls_that_find_room_two_at_a_time() {
    let books = Books::new(caps(10_000));
    for _ in 0..3 {
        drop(books.reserve(10).await.unwrap());
    }
    for (seconds, left) in [(119, 3), (121, 1), (122, 0)] {
        let asked = books.reserve_at(Grade::Usual, 10, after(seconds)).await.unwrap();
        let _ = books.ledger.settle(asked, ended(AttemptOutcome::Answered, Some(10), after(seconds))).await.unwrap();
        assert_eq!(books.store.books(day()).await.unwrap().holds.len(), left, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_day_that_is_full_of_calls_under_way_has_not_stopped() {
    let books = Books::new(caps(1_000));
    let under_way = books.reserve(700).await.unwrap();
    assert_eq!(cap_of(books.reserve(400).await), Cap::Deployment);
    assert_eq!(books.alerts.alerts(), [], "its room comes back");
    let _ = books.ledger.settle(under_way, ended(AttemptOutcome::Answered, Some(700), fixed_now())).await.unwrap();
    assert_eq!(cap_of(books.reserve(400).await), Cap::Deployment);
    assert_eq!(books.alerts.alerts().len(), 1, "now it does not");
}

#[tokio::test]
async fn a_permit_pays_for_the_model_and_the_tokens_that_were_set_aside() {
    let books = Books::new(caps(1_000));
    let (permit, unsettled) = books.reserve(400).await.unwrap().begin();
    assert!(permit.covers("one-usual", (400, 0)) && permit.covers("one-usual", (1, 0)));
    assert!(
        !permit.covers("one-cheaper", (400, 0)) && !permit.covers("one-usual", (401, 0)) && !permit.covers("one-usual", (1, 1))
    );
    let _ = books.ledger.settle(unsettled, ended(AttemptOutcome::NotSent, None, fixed_now())).await.unwrap();
    assert_eq!(books.store.books(day()).await.unwrap().booked, micros(0));
}

#[tokio::test]
async fn a_settlement_that_comes_after_the_end_is_booked_all_the_same() {
    let books = Books::new(caps(10_000));
    let late = books.reserve(500).await.unwrap();
    assert!(books.reserve_at(Grade::Usual, 10_000, after(200)).await.is_ok(), "it ran out and was given back");
    let _ = books.ledger.settle(late, ended(AttemptOutcome::Answered, Some(300), after(201))).await.unwrap();
    let day = books.store.books(day()).await.unwrap();
    assert_eq!((day.spent, day.lapsed), (micros(300), micros(500)));
    let rows = books.store.rows(super::ledger::day()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.outcome).collect::<Vec<_>>(), [AttemptOutcome::Answered]);
}

#[tokio::test]
async fn from_the_threshold_on_only_the_cheaper_model_is_paid_and_somebody_is_told_once() {
    let books = Books::new(Caps { threshold_percent: 80, ..caps(1_000) });
    books.spend(Grade::Usual, 799).await;
    assert_eq!(books.alerts.alerts(), []);
    books.spend(Grade::Usual, 1).await;
    assert_eq!(cap_of(books.reserve(1).await), Cap::Threshold);
    books.spend(Grade::Cheaper, 150).await;
    let kinds = || books.alerts.alerts().iter().map(|alert| alert.kind.clone()).collect::<Vec<_>>();
    assert_eq!(kinds(), ["budget_threshold"]);
    // The stop is where a call no longer fits.
    assert_eq!(cap_of(books.reserve_at(Grade::Cheaper, 51, fixed_now()).await), Cap::Deployment);
    assert_eq!(cap_of(books.reserve_at(Grade::Cheaper, 51, fixed_now()).await), Cap::Deployment);
    assert_eq!(kinds(), ["budget_threshold", "budget_stop"]);
    let events: Vec<EventType> = books.audit.events().iter().map(|event| event.event_type).collect();
    assert_eq!(events, [EventType::BudgetThreshold, EventType::BudgetStop]);
    assert_eq!(books.store.books(day()).await.unwrap().announced, [Threshold::Cheaper, Threshold::Stop]);
    // The next day begins anew.
    let tomorrow = after(86_400);
    let reservation = books.reserve_at(Grade::Usual, 900, tomorrow).await.unwrap();
    let _ = books.ledger.settle(reservation, ended(AttemptOutcome::Answered, Some(900), tomorrow)).await.unwrap();
    assert_eq!(kinds(), ["budget_threshold", "budget_stop", "budget_threshold"]);
}

#[tokio::test]
async fn a_message_that_could_not_be_sent_is_sent_by_a_later_call_and_costs_nobody_an_answer() {
    let outage = Outage::default();
    let alerts = MemoryAlerts::with_outage(outage.clone());
    let books = Books::on(MemoryLedger::default(), alerts, Caps { threshold_percent: 10, ..caps(1_000) });
    let reservation = books.reserve(200).await.unwrap();
    outage.begin_after(0);
    let settled = books.ledger.settle(reservation, ended(AttemptOutcome::Answered, Some(200), fixed_now())).await.unwrap();
    assert!(settled.untold.is_some());
    outage.end();
    // The claim of the failed attempt still holds.
    assert_eq!(cap_of(books.reserve_at(Grade::Usual, 1, after(30)).await), Cap::Threshold);
    assert_eq!(books.alerts.alerts().len(), 0);
    assert_eq!(cap_of(books.reserve_at(Grade::Usual, 1, after(90)).await), Cap::Threshold);
    assert_eq!(cap_of(books.reserve_at(Grade::Usual, 1, after(900)).await), Cap::Threshold);
    assert_eq!(books.alerts.alerts().len(), 1);
}

#[tokio::test]
async fn no_money_is_set_aside_that_cannot_be_counted() {
    let outage = Outage::default();
    let books = Books::on(MemoryLedger::with_outage(outage.clone()), MemoryAlerts::default(), caps(1_000));
    outage.begin_after(0);
    assert!(matches!(books.reserve(1).await, Err(ReserveBudgetError::Port(_))));
    outage.end();
    let dear = books.reserve_at(Grade::Usual, 1, "2019-12-31T00:00:00Z".parse().unwrap()).await;
    assert!(matches!(dear, Err(ReserveBudgetError::NoPrice)));
}

#[tokio::test]
async fn the_row_of_an_attempt_says_everything_but_the_content() {
    let books = Books::new(caps(1_000));
    let reservation = books.reserve(400).await.unwrap();
    let sent =
        domain::spending::Sent { sha256: [7; 32], bytes: 1_234, redactions: [(domain::phi::IdentifierKind::Name, 2)].into() };
    let attempt = Attempt { sent: Some(sent.clone()), ..ended(AttemptOutcome::Truncated, Some(120), after(2)) };
    let _ = books.ledger.settle(reservation, attempt).await.unwrap();
    let [row] = books.store.rows(day()).await.unwrap().try_into().expect("one row");
    assert_eq!((row.model.as_str(), row.price_version.as_str()), ("one-usual", "one-usual@2020-01-01"));
    assert_eq!((row.reserved, row.cost, row.outcome), (micros(400), micros(120), AttemptOutcome::Truncated));
    assert_eq!((row.request_id.as_str(), row.latency_ms, row.sent), ("request-1", 900, Some(sent)));
    assert_eq!(row.payer.department.map(|d| d.as_str().to_owned()).as_deref(), Some("icu"));
    assert_ne!(row.payer.person.as_str(), "ana");
}
