//! One after the other what the histories mix: the grace period, revoking, the way back, what operators are told - and that no key
//! is in anything that is written.

use super::house::{House, Source};
use domain::context::Context;
use domain::keys::SecretStage;
use domain::keys::rotation::RotateKeyError;
use domain::keys::{KeyVersion, RefusalLog as _};
use jiff::SignedDuration;
use testkit::{context, fixed_now};

fn hours_later(hours: i64) -> Context {
    let mut later = context("main", &[]);
    later.now = fixed_now() + SignedDuration::from_hours(hours);
    later
}

fn kinds(house: &House) -> Vec<&'static str> {
    house.audit.events().iter().map(|event| event.event_type.as_str()).collect()
}

async fn tend(house: &House, hours: i64) -> domain::keys::rotation::Retired {
    let later = hours_later(hours);
    house.secret.set_time(later.now);
    house.rotation().tend(&later).await.expect("tended").1
}

#[tokio::test]
async fn a_replaced_key_stays_usable_for_a_day_and_is_tried_until_it_is_refused() {
    let house = House::new(Source::Pool, &["key-1"]).await;
    house.rotate().await.expect("rotated");
    assert_eq!((house.key(SecretStage::Current), house.key(SecretStage::Previous)), ("key-1".into(), "key-0".into()));
    assert_eq!((tend(&house, 23).await.retired, house.key(SecretStage::Previous)), (0, "key-0".into()));
    assert_eq!((tend(&house, 25).await.retired, house.key(SecretStage::Previous)), (1, String::new()));
    // It still works: an operator is told which key to revoke, and is told again the next day.
    assert_eq!(tend(&house, 26).await.waiting, 1);
    let alert = house.alerts.alerts().into_iter().find(|alert| alert.kind == "key_to_revoke").expect("an alert");
    assert!(alert.headline.contains("revoke the key first") && alert.headline.contains("groq"), "{}", alert.headline);
    assert!(!kinds(&house).contains(&"key_revoked_confirmed"));
    house.provider.revoke_key("key-0");
    assert_eq!(tend(&house, 27).await.confirmed, 1);
    assert_eq!(kinds(&house).last(), Some(&"key_revoked_confirmed"));
    assert_eq!(house.secret.state().versions.len(), 1);
}

#[tokio::test]
async fn a_key_that_was_made_is_revoked_by_the_api() {
    let house = House::new(Source::Minted, &[]).await;
    house.rotate().await.expect("rotated");
    let first = house.key(SecretStage::Current);
    house.rotate().await.expect("rotated again");
    for hour in [25, 26] {
        tend(&house, hour).await;
    }
    assert!(!house.provider.accepts(&first) && house.provider.accepts(&house.key(SecretStage::Current)));
    let events = kinds(&house);
    assert!(events.contains(&"key_revocation_requested") && events.contains(&"key_revoked_confirmed"), "{events:?}");
}

#[tokio::test]
async fn refusals_of_the_key_in_use_take_it_back_and_refusals_of_others_do_not() {
    let house = House::new(Source::Pool, &["key-1"]).await;
    house.rotate().await.expect("rotated");
    let current = house.secret.state().in_stage(SecretStage::Current).expect("a version").clone();
    let note = async |version: &KeyVersion, times: u32| {
        for _ in 0..times {
            house.refusals.note("groq", version, fixed_now()).await.expect("noted");
        }
    };
    note(&KeyVersion("another".into()), 9).await;
    note(&current, 2).await;
    tend(&house, 0).await;
    assert_eq!(house.key(SecretStage::Current), "key-1");
    // Too long ago to count.
    note(&current, 1).await;
    tend(&house, 1).await;
    assert_eq!(house.key(SecretStage::Current), "key-1");
    assert!(house.rotation().tend(&hours_later(0)).await.expect("tended").0, "taken back");
    assert_eq!((house.key(SecretStage::Current), house.key(SecretStage::Previous)), ("key-0".into(), "key-1".into()));
    let alert = house.alerts.alerts().into_iter().find(|alert| alert.kind == "key_rolled_back").expect("an alert");
    assert_eq!(alert.severity.as_str(), "critical");
    assert!(kinds(&house).contains(&"key_rolled_back"));
    // Once is enough.
    assert!(!house.rotation().tend(&hours_later(0)).await.expect("tended").0);
}

#[tokio::test]
async fn a_dead_key_is_replaced_by_the_one_before_or_by_the_next_and_never_by_a_dead_one() {
    let house = House::new(Source::Pool, &["key-1", "key-2"]).await;
    house.rotate().await.expect("rotated");
    house.provider.revoke_key("key-1");
    let checked = house.rotation().check(&hours_later(1)).await.expect("checked");
    assert!(checked.trouble.is_none() && checked.health.is_accepted == Some(false), "{checked:?}");
    assert_eq!(house.key(SecretStage::Current), "key-0");
    // The one before is dead as well: the next of the pool.
    house.provider.revoke_key("key-0");
    house.rotation().check(&hours_later(2)).await.expect("checked");
    assert_eq!(house.key(SecretStage::Current), "key-2");
    // None is left: somebody is told, and nothing is made worse.
    house.provider.revoke_key("key-2");
    let checked = house.rotation().check(&hours_later(3)).await.expect("checked");
    assert!(matches!(checked.trouble, Some(RotateKeyError::Source(_))), "{checked:?}");
    assert_eq!(house.key(SecretStage::Current), "key-2");
    assert!(house.alerts.alerts().iter().any(|alert| alert.kind == "key_none_works"));
}

#[tokio::test]
async fn somebody_is_told_before_the_pool_is_empty_and_before_a_key_comes_of_age() {
    let house = House::new(Source::Pool, &["key-1", "key-2"]).await;
    let kinds = || house.alerts.alerts().iter().map(|alert| alert.kind.clone()).collect::<Vec<_>>();
    house.rotation().check(&hours_later(0)).await.expect("checked");
    assert!(kinds().is_empty(), "{:?}", kinds());
    house.rotate().await.expect("rotated");
    house.rotation().check(&hours_later(1)).await.expect("checked");
    assert_eq!(kinds(), ["key_pool_low"]);
    house.empty_pool().await;
    house.rotation().check(&hours_later(24 * 25)).await.expect("checked");
    assert!(kinds().contains(&"key_age".to_owned()), "{:?}", kinds());
}

#[tokio::test]
async fn no_key_is_in_anything_that_is_written() {
    let house = House::new(Source::Pool, &["canary-4711", "canary-4712"]).await;
    house.rotate().await.expect("rotated");
    house.provider.revoke_key("canary-4711");
    for hour in [1, 2, 26, 28, 50] {
        let _ = house.rotation().check(&hours_later(hour)).await;
    }
    let rotation = house.rotation();
    let overview = rotation.overview(&hours_later(51)).await.expect("an overview");
    let mut written = vec![format!("{overview:?}"), serde_json::to_string(&overview).expect("JSON")];
    written.extend(house.audit.events().iter().map(|event| format!("{event:?}")));
    written.extend(house.alerts.alerts().iter().map(|alert| format!("{alert:?}")));
    written.extend(house.secret.state().versions.iter().map(|version| format!("{version:?}")));
    house.empty_pool().await;
    written.push(format!("{:?}", rotation.rotate(SignedDuration::ZERO, &hours_later(52)).await));
    for written_for_sure in ["KeyRotationFinished", "KeyRetired", "key_rolled_back"] {
        assert!(written.iter().any(|line| line.contains(written_for_sure)), "{written_for_sure}");
    }
    for line in written {
        assert!(!line.contains("canary-471"), "{line}");
    }
}
