//! The ledger, the limits and the breakers on the local DynamoDB: the same promises as the fakes, and the same races.

use super::harness::stack;
use crate::money::contract::{self, Days};
use crate::money::{asking, ended, model};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;
use aws_types::region::Region;
use domain::ids::{RequestId, SubjectId, TenantId};
use domain::limits::{AdmissionLog, Limit, LimitKey, Rule};
use domain::spending::{AttemptOutcome, Caps, Grade, Ledger, LedgerStore, MicroDollars, ReserveBudgetError};
use futures_util::future::join_all;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::{LedgerTable, LimitsTable};
use testkit::{CountingIds, MemoryAlerts, MemoryAuditLog};

/// A call to the local DynamoDB on a busy machine, with a few hundred others.
const PATIENCE: Duration = Duration::from_mins(1);

async fn sdk() -> SdkConfig {
    let environment: HashMap<&str, String> = stack().environment().into_iter().collect();
    let (key, secret) = (&environment["AWS_ACCESS_KEY_ID"], &environment["AWS_SECRET_ACCESS_KEY"]);
    let credentials = SharedCredentialsProvider::new(Credentials::new(key, secret, None, None, "local"));
    let config = runtime::aws::sdk_config(PATIENCE).await.into_builder().credentials_provider(credentials);
    config.region(Region::new(environment["AWS_REGION"].clone())).endpoint_url(&environment["AWS_ENDPOINT_URL"]).build()
}

#[tokio::test]
async fn the_tables_keep_the_promises() {
    let sdk = sdk().await;
    let limits = Arc::new(LimitsTable::new(&sdk, stack().output("LimitsTable").to_owned()));
    contract::an_admission_log(limits.clone(), "contract").await;
    contract::a_breaker_store(limits).await;
    let ledger = Arc::new(LedgerTable::new(&sdk, stack().output("LedgerTable").to_owned()));
    contract::a_ledger_store(ledger, Days("2031-01-01".parse().expect("a day"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_at_once_never_pass_the_cap_on_dynamodb() {
    let sdk = sdk().await;
    let store = Arc::new(LedgerTable::new(&sdk, stack().output("LedgerTable").to_owned()));
    let first: Timestamp = "2032-01-01T12:00:00Z".parse().expect("a time");
    for (number, room) in (0_i64..).zip([0_u64, 1, 7, 50]) {
        let now = first + SignedDuration::from_hours(24 * number);
        let cap = MicroDollars::new(room * 1_000);
        let ledger = Ledger {
            store: store.clone(),
            caps: Caps { deployment: cap, department: cap, person: cap, threshold_percent: 100 },
            alerts: Arc::new(MemoryAlerts::default()),
            audit: Arc::new(MemoryAuditLog::default()),
            ids: Arc::new(CountingIds::default()),
        };
        let model = model(Grade::Usual);
        let chats = (0..100).map(|chat| {
            let (ledger, model) = (ledger.clone(), model.clone());
            tokio::spawn(async move {
                let context = asking(&format!("person-{}", chat % 5), Some("icu"), now);
                match ledger.reserve(&context, &model, (1_000, 0), now).await {
                    Ok(reservation) => {
                        let attempt = ended(AttemptOutcome::Answered, Some(1_000), now);
                        let _ = ledger.settle(reservation, attempt).await.expect("settled");
                        1
                    }
                    Err(ReserveBudgetError::Refused { .. }) => 0,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let paid: u64 = join_all(chats).await.into_iter().map(|paid| paid.expect("no panic")).sum();
        let books = store.books(now.to_zoned(TimeZone::UTC).date()).await.expect("books");
        assert_eq!((paid, books.spent, books.booked, books.holds.len()), (room, cap, cap, 0), "room for {room}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_fifty_of_five_hundred_are_admitted_on_dynamodb() {
    let sdk = sdk().await;
    let log = Arc::new(LimitsTable::new(&sdk, stack().output("LimitsTable").to_owned()));
    let key = LimitKey {
        tenant: TenantId::parse("main").expect("a tenant"),
        subject: SubjectId::parse("rush").expect("a subject"),
        limit: Limit::Questions,
    };
    let edge: Timestamp = "2026-11-22T09:59:58Z".parse().expect("a time");
    let requests = (0..500_i64).map(|number| {
        let (log, key) = (log.clone(), key.clone());
        // Clocks up to five seconds off either way, across the hour.
        let now = edge + SignedDuration::from_millis(number * 7_919 % 10_001 - 5_000);
        tokio::spawn(async move {
            let request = RequestId::new(&format!("request-{number}"));
            log.admit(&key, &Rule::new(50, None), &request, now).await.expect("the table is there")
        })
    });
    let verdicts: Vec<Result<(), u32>> = join_all(requests).await.into_iter().map(|verdict| verdict.expect("no panic")).collect();
    assert_eq!(verdicts.iter().filter(|verdict| verdict.is_ok()).count(), 50);
    assert!(verdicts.iter().filter_map(|verdict| verdict.err()).all(|wait| (3_589..=3_610).contains(&wait)));
}

#[test]
fn an_operator_sees_the_cost_and_nobody_else_does() {
    let seen = stack().person("money", &["operator"]).call("GET", "/admin/cost", None);
    assert_eq!(seen.status, 200, "{}", seen.body);
    assert_eq!((&seen.body["cap"], &seen.body["threshold"]), (&100_000_000.into(), &80_000_000.into()));
    assert_eq!(stack().person("money", &["clinician"]).call("GET", "/admin/cost", None).status, 403);
    let events = stack().audit_rows("money");
    assert!(events.iter().any(|row| row["event_type"]["S"] == "cost_viewed"), "the look is in the trail");
}
