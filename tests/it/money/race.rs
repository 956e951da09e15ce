//! A thousand chats at once, room for a few: never over the cap, and nearly all of it usable.

use super::{Books, asking, caps, ended, model};
use domain::spending::{AttemptOutcome, Grade, LedgerStore as _, MicroDollars, ReserveBudgetError};
use futures_util::future::join_all;
use testkit::fixed_now;

/// What one chat may cost, in tokens of a micro-dollar.
const BOUND: u32 = 1_000;

/// Asks a thousand times at once on several threads. Gives back how many were paid for.
async fn storm(books: &Books, chats: usize) -> usize {
    let model = model(Grade::Usual);
    let tasks = (0..chats).map(|number| {
        let (ledger, model) = (books.ledger.clone(), model.clone());
        tokio::spawn(async move {
            let context = asking(&format!("person-{}", number % 5), Some("icu"), fixed_now());
            match ledger.reserve(&context, &model, (BOUND, 0), fixed_now()).await {
                Ok(reservation) => {
                    tokio::task::yield_now().await;
                    let attempt = ended(AttemptOutcome::Answered, Some(BOUND), fixed_now());
                    let settled = ledger.settle(reservation, attempt).await.expect("settled");
                    assert!(!settled.over_bound);
                    1
                }
                Err(ReserveBudgetError::Refused { .. }) => 0,
                Err(error) => panic!("{error}"),
            }
        })
    });
    join_all(tasks).await.into_iter().map(|paid| paid.expect("no panic")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_chats_never_pass_the_cap_and_use_nearly_all_of_it() {
    for room in [0_u64, 1, 7, 50, 999] {
        for trial in 0..20 {
            let cap = room * u64::from(BOUND);
            let books = Books::new(caps(cap));
            let paid = storm(&books, 1_000).await;
            let most = books.store.most_booked();
            assert!(most <= MicroDollars::new(cap), "room for {room}, trial {trial}: {most} booked");
            assert_eq!(paid as u64, room, "room for {room}, trial {trial}");
            let today = fixed_now().to_zoned(jiff::tz::TimeZone::UTC).date();
            let day = books.store.books(today).await.expect("books");
            assert_eq!((day.spent, day.holds.len()), (MicroDollars::new(cap), 0));
        }
    }
}
