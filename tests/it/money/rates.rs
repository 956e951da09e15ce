//! Five hundred requests of one person at once: exactly so many as there is room for, whatever the clocks say.

use super::asking;
use domain::ids::RequestId;
use domain::limits::{AdmitRequest, AdmitRequestError, Limit, Limits, Rule};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use testkit::{CountingIds, MemoryAdmissions, MemoryAuditLog};

/// Asks at these times, all at once on several threads. Gives back the longest wait and how many were admitted.
async fn rush(log: &MemoryAdmissions, people: u32, times: Vec<Timestamp>, round: u32) -> (u32, usize) {
    let limits = Arc::new(Limits { questions: Rule::new(50, None), uploads: Rule::new(20, None) });
    let tasks = times.into_iter().zip(0_u32..).map(|(now, number)| {
        let (log, limits) = (log.clone(), limits.clone());
        tokio::spawn(async move {
            let mut context = asking(&format!("person-{}", number % people), None, now);
            context.request_id = RequestId::new(&format!("request-{round}-{number}"));
            let (audit, ids) = (MemoryAuditLog::default(), CountingIds::default());
            let admit = AdmitRequest { limits: &limits, log: &log, audit: &audit, ids: &ids };
            match admit.run(&context, Limit::Questions).await {
                Ok(()) => (0, 1),
                Err(AdmitRequestError::TooMany { retry_after_s }) => {
                    assert_eq!(audit.events().len(), 1, "who is refused is in the trail");
                    (retry_after_s, 0)
                }
                Err(error) => panic!("{error}"),
            }
        })
    });
    let results = join_all(tasks).await;
    results
        .into_iter()
        .map(|result| result.expect("no panic"))
        .fold((0, 0), |(longest, sum), (wait, admitted)| (longest.max(wait), sum + admitted))
}

/// Just before an hour ends.
fn edge() -> Timestamp {
    "2026-11-22T09:59:58Z".parse().expect("a time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_fifty_of_five_hundred_are_admitted_across_the_hour_and_with_clocks_that_differ() {
    for trial in 0..20_i64 {
        for (what, spread_ms) in [("at once", 0), ("across the hour", 4_000), ("five seconds off either way", 10_000)] {
            let log = MemoryAdmissions::default();
            // Every clock is somewhere in the spread, in no order.
            let times = (0..500_i64).map(|n| {
                let shift = (n * 7_919 + trial * 104_729) % (spread_ms + 1) - spread_ms / 2;
                edge() + SignedDuration::from_millis(shift)
            });
            let (wait, admitted) = rush(&log, 1, times.collect(), 0).await;
            assert_eq!(admitted, 50, "{what}, trial {trial}");
            assert!((3_589..=3_610).contains(&wait), "{what}, trial {trial}: {wait} s");
            // An hour after the last clock all of it is free again, and not a moment before the first.
            let early = edge() + SignedDuration::from_millis(3_599_999 - spread_ms);
            assert_eq!(rush(&log, 1, vec![early; 500], 1).await.1, 0, "{what}, trial {trial}");
            let late = edge() + SignedDuration::from_millis(3_600_000 + spread_ms);
            assert_eq!(rush(&log, 1, vec![late; 500], 2).await.1, 50, "{what}, trial {trial}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_people_do_not_take_each_others_room() {
    let log = MemoryAdmissions::default();
    assert_eq!(rush(&log, 100, vec![edge(); 6_000], 0).await.1, 5_000);
}
