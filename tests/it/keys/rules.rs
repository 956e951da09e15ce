//! One after the other what the histories mix: the grace period, revoking, the way back, what operators are told - and that no key
//! is in anything that is written.

use super::house::{House, Source};
use domain::audit::Label;
use domain::context::Context;
use domain::keys::rotation::{KeyRotation, RollbackReason, RotateKeyError, RotationStep, Trigger};
use domain::keys::secret::{SecretStore as _, SecretText};
use domain::keys::{ApiKey, KeyVersion, RefusalLog as _, SecretStage};
use jiff::SignedDuration;
use std::sync::Arc;
use testkit::{Outage, context, fixed_now};

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
    house.rotation().tend(&later).await.expect("tended").retired
}

#[tokio::test]
async fn a_replaced_key_stays_usable_for_a_day_and_is_tried_until_it_is_refused() {
    let house = House::new(Source::Pool, &["key-1"]).await;
    house.rotate().await.expect("rotated");
    assert_eq!((house.key(SecretStage::Current), house.key(SecretStage::Previous)), ("key-1".into(), "key-0".into()));
    for step in ["created", "set", "tested", "finished"].map(|step| format!("key_rotation_{step}")) {
        assert!(kinds(&house).contains(&step.as_str()), "{step}");
    }
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
    assert!(house.rotation().tend(&hours_later(0)).await.expect("tended").is_back, "taken back");
    assert_eq!((house.key(SecretStage::Current), house.key(SecretStage::Previous)), ("key-0".into(), "key-1".into()));
    let alert = house.alerts.alerts().into_iter().find(|alert| alert.kind == "key_rolled_back").expect("an alert");
    assert_eq!(alert.severity.as_str(), "critical");
    assert!(kinds(&house).contains(&"key_rolled_back"));
    // Once is enough.
    assert!(!house.rotation().tend(&hours_later(0)).await.expect("tended").is_back);
}

#[tokio::test]
async fn a_dead_key_is_replaced_by_the_one_before_or_by_the_next_and_never_by_a_dead_one() {
    let house = House::new(Source::Pool, &["key-1", "key-2"]).await;
    house.rotate().await.expect("rotated");
    house.provider.revoke_key("key-1");
    let checked = house.rotation().check(&hours_later(1)).await.expect("checked");
    assert!(
        checked.tended.troubles.is_empty() && checked.tended.is_back && checked.health.is_accepted == Some(false),
        "{checked:?}"
    );
    assert_eq!(house.key(SecretStage::Current), "key-0");
    // The one before is dead as well: the next of the pool.
    house.provider.revoke_key("key-0");
    house.rotation().check(&hours_later(2)).await.expect("checked");
    assert_eq!(house.key(SecretStage::Current), "key-2");
    // None is left: somebody is told, and nothing is made worse.
    house.provider.revoke_key("key-2");
    let checked = house.rotation().check(&hours_later(3)).await.expect("checked");
    assert!(matches!(checked.tended.troubles[..], [RotateKeyError::Source(_)]), "{checked:?}");
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
async fn a_key_comes_of_age_only_if_it_cannot_be_replaced_and_somebody_is_told_before() {
    // Keys wait, so that only the age is told of; each state once a day, however often it is looked at.
    let house = House::new(Source::Pool, &["key-1", "key-2", "key-3"]).await;
    let ages = || house.alerts.alerts().into_iter().filter(|alert| alert.kind == "key_age").collect::<Vec<_>>();
    house.rotation().check(&hours_later(24 * 27)).await.expect("checked");
    assert!(ages().is_empty(), "{:?}", ages());
    for hour in 0..3 {
        house.rotation().check(&hours_later(24 * 28 + hour)).await.expect("checked");
    }
    assert_eq!(ages().iter().map(|alert| alert.severity.as_str()).collect::<Vec<_>>(), ["notice"]);
    // The provider is down on the day itself.
    house.provider.set_down(true);
    let late = hours_later(24 * 30);
    house.secret.set_time(late.now);
    let checked = house.rotation().check(&late).await.expect("checked");
    assert!(checked.health.age.is_some_and(|age| age >= SignedDuration::from_hours(24 * 30)), "{checked:?}");
    assert_eq!(ages().last().map(|alert| alert.severity.as_str()), Some("critical"));
    // The figure that the alarm looks at is taken after the rotation.
    house.provider.set_down(false);
    let checked = house.rotation().check(&late).await.expect("checked");
    assert_eq!(
        (checked.health.age, house.key(SecretStage::Current)),
        (Some(SignedDuration::ZERO), "key-1".into()),
        "{checked:?}"
    );
}

#[tokio::test]
async fn a_malformed_key_in_use_is_replaced_and_a_malformed_one_beside_it_is_given_up() {
    // There is one before it: that one is used again.
    let house = House::new(Source::Pool, &["key-1"]).await;
    house.secret.set_text("{broken");
    assert!(house.rotation().tend(&hours_later(0)).await.expect("tended").is_back);
    assert_eq!(house.key(SecretStage::Current), "key-0");
    let status = house.rotation().overview(&hours_later(0)).await.expect("an overview");
    assert!(status.replaced.iter().any(|replaced| replaced.shown.is_malformed), "{status:?}");
    // There is none, or an operator says so: the next one is.
    for by_operator in [false, true] {
        let house = House::new(Source::Pool, &["key-1"]).await;
        house.provider.revoke_key("key-0");
        house.secret.set_text("{broken");
        if by_operator {
            house.rotate().await.expect("rotated");
        } else {
            assert!(house.rotation().tend(&hours_later(0)).await.expect("tended").is_back);
        }
        assert_eq!(house.key(SecretStage::Current), "key-1", "{by_operator}");
    }
    // Beside it: given up, and the next rotation is not kept by it.
    let house = House::new(Source::Pool, &["key-1"]).await;
    let scribbled = KeyVersion("scribbled-by-somebody-with-rights".into());
    let text = SecretText::new("[]".to_owned());
    house.secret.put(&scribbled, &text, "AWSPENDING").await.expect("a secret");
    let tended = house.rotation().tend(&hours_later(0)).await.expect("tended");
    assert!(tended.troubles.is_empty() && house.secret.state().in_stage(SecretStage::Pending).is_none(), "{tended:?}");
    assert_eq!(
        (house.alerts.alerts()[0].kind.as_str(), house.key(SecretStage::Current)),
        ("key_rotation_failed", "key-0".into())
    );
    house.rotate().await.expect("rotated");
    assert_eq!(house.key(SecretStage::Current), "key-1");
}

#[tokio::test]
async fn what_was_taken_back_is_not_brought_again() {
    for source in [Source::Minted, Source::Pool] {
        let house = House::new(source, &["key-1", "key-2"]).await;
        house.rotate().await.expect("rotated");
        let bad = house.key(SecretStage::Current);
        house.rotation().roll_back(RollbackReason::Operator, &hours_later(0)).await.expect("rolled back");
        house.rotate().await.expect("rotated");
        let next = house.key(SecretStage::Current);
        assert!(next != bad && next != "key-0", "{source:?}: {next} after {bad}");
    }
    // Even if the source was away when it was told.
    let house = House::new(Source::Minted, &[]).await;
    house.rotate().await.expect("rotated");
    let bad = house.key(SecretStage::Current);
    let deaf = Arc::new(house.provider.seen_through({
        let outage = Outage::default();
        outage.begin_after(0);
        outage
    }));
    let rotation = KeyRotation { source: deaf, ..house.rotation() };
    rotation.roll_back(RollbackReason::Operator, &hours_later(0)).await.expect("rolled back all the same");
    assert_eq!(house.key(SecretStage::Current), "key-0");
    house.rotate().await.expect("rotated");
    assert!(![bad.as_str(), "key-0"].contains(&house.key(SecretStage::Current).as_str()));
}

#[tokio::test]
async fn a_source_that_is_away_keeps_no_refused_key_in_use_and_every_trouble_is_told() {
    let house = House::new(Source::Pool, &["key-1", "key-2"]).await;
    house.rotate().await.expect("rotated");
    house.provider.revoke_key("key-1");
    let current = house.secret.state().in_stage(SecretStage::Current).expect("a version").clone();
    house.refusals.note("groq", &current, fixed_now()).await.expect("noted");
    house.pool.delete();
    let tended = house.rotation().tend(&hours_later(0)).await.expect("tended");
    assert!(tended.is_back && house.key(SecretStage::Current) == "key-0", "{tended:?}");
    // Neither do alerts that nobody takes: the run fails, the key is taken back.
    let mute = House::new(Source::Pool, &["key-1"]).await;
    mute.rotate().await.expect("rotated");
    let outage = Outage::default();
    outage.begin_after(0);
    let rotation = KeyRotation { alerts: Arc::new(mute.alerts.seen_through(outage)), ..mute.rotation() };
    assert!(rotation.roll_back(RollbackReason::Operator, &hours_later(0)).await.is_err(), "nobody was told");
    assert_eq!(mute.key(SecretStage::Current), "key-0");
    // The depth is unknown, the rest of the check is done, and the status shows what there is.
    let checked = house.rotation().check(&hours_later(1)).await.expect("checked");
    assert_eq!((checked.health.is_accepted, checked.health.depth), (Some(true), None), "{checked:?}");
    assert!(checked.tended.troubles.iter().any(|error| error.to_string().contains("restore-secret")), "{checked:?}");
    let status = house.rotation().overview(&hours_later(1)).await.expect("an overview");
    assert!(status.current.is_some() && status.trouble.is_some_and(|why| why.contains("restore-secret")));
}

#[tokio::test]
async fn no_working_key_is_told_even_if_the_run_was_overtaken() {
    let house = House::new(Source::Minted, &[]).await;
    house.provider.set_mints_bad(true);
    house.provider.revoke_key("key-0");
    for hour in 0..3 {
        let _ = house.rotation().check(&hours_later(hour)).await.expect("checked");
    }
    let told = house.alerts.alerts().into_iter().filter(|alert| alert.kind == "key_none_works").collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "once a day: {told:?}");
    assert!(told[0].headline.contains("no new one could be made"), "{}", told[0].headline);
}

#[tokio::test]
async fn the_frequent_look_costs_one_question_until_a_key_is_refused() {
    let house = House::new(Source::Pool, &["key-1"]).await;
    house.rotate().await.expect("rotated");
    // Nothing but the log of refusals may be asked.
    house.outage.begin_after(0);
    assert!(house.rotation().watch(&hours_later(0)).await.expect("looked").is_none());
    house.outage.end();
    let current = house.secret.state().in_stage(SecretStage::Current).expect("a version").clone();
    house.provider.revoke_key("key-1");
    house.refusals.note("groq", &current, fixed_now()).await.expect("noted");
    assert!(house.rotation().watch(&hours_later(0)).await.expect("looked").is_some_and(|tended| tended.is_back));
    assert_eq!(house.key(SecretStage::Current), "key-0");
}

#[tokio::test]
async fn a_key_is_named_as_in_the_console_and_that_name_is_to_be_revoked() {
    let house = House::new(Source::Pool, &[]).await;
    let rotation = house.rotation();
    let name = Label::parse("ward-2026-11").expect("a label");
    house.provider.accept("key-1");
    let added = rotation.add(&house.stock(), &ApiKey::new("key-1"), Some(&name), &hours_later(0)).await.expect("added");
    assert_eq!(added, name);
    house.provider.accept("key-2");
    let taken = rotation.add(&house.stock(), &ApiKey::new("key-2"), Some(&name), &hours_later(0)).await;
    assert!(taken.expect_err("the name is taken").to_string().contains("another key has this name"));
    house.rotate().await.expect("rotated");
    rotation.add(&house.stock(), &ApiKey::new("key-2"), None, &hours_later(0)).await.expect("added");
    house.rotate().await.expect("rotated");
    for hour in [25, 26, 27] {
        tend(&house, hour).await;
    }
    let asked: Vec<String> =
        house.alerts.alerts().into_iter().filter(|a| a.kind == "key_to_revoke").map(|alert| alert.headline).collect();
    assert_eq!(asked.iter().filter(|headline| headline.contains("revoke the key ward-2026-11 (version")).count(), 1, "{asked:?}");
    // A key of which the console knows no name is told of as such.
    house.provider.revoke_key("key-1");
    house.provider.accept("key-3");
    rotation.add(&house.stock(), &ApiKey::new("key-3"), None, &hours_later(0)).await.expect("added");
    house.rotate().await.expect("rotated");
    for hour in [60, 90, 91] {
        tend(&house, hour).await;
    }
    assert!(house.alerts.alerts().iter().any(|alert| alert.headline.contains("without a name of the console's")));
}

#[tokio::test]
async fn an_unreadable_pool_is_emptied_and_a_key_is_taken_out_by_its_name() {
    let house = House::new(Source::Pool, &["key-1", "key-2"]).await;
    let (rotation, now) = (house.rotation(), hours_later(0));
    let first = house.stock().waiting().await.expect("a pool")[0].id.clone();
    let first = Label::parse(&first).expect("a label");
    rotation.remove(&house.stock(), Some(&first), &now).await.expect("taken out");
    assert!(rotation.remove(&house.stock(), Some(&first), &now).await.is_err(), "it is gone");
    house.rotate().await.expect("rotated");
    assert_eq!(house.key(SecretStage::Current), "key-2");
    house.pool.set_text("{broken");
    let said = house.rotate().await.expect_err("nobody can read it").to_string();
    assert!(said.contains("`clinchat keys remove PROVIDER --all`"), "{said}");
    rotation.remove(&house.stock(), None, &now).await.expect("emptied");
    assert_eq!(house.stock().waiting().await.expect("a pool"), []);
    assert_eq!(kinds(&house).iter().filter(|kind| **kind == "key_removed").count(), 6, "each with its intent and its end");
}

#[tokio::test]
async fn a_pool_that_nobody_reads_is_not_filled() {
    let house = House::new(Source::Minted, &[]).await;
    house.provider.accept("key-1");
    let added = house.rotation().add(&house.stock(), &ApiKey::new("key-1"), None, &hours_later(0)).await;
    let said = added.expect_err("nothing would read it").to_string();
    assert!(said.contains("MintGeminiKeys=on") && said.contains("`clinchat keys rotate` makes one"), "{said}");
    assert_eq!(house.stock().waiting().await.expect("a pool"), []);
}

#[tokio::test]
async fn a_rotation_that_is_only_tried_out_moves_nothing() {
    // Secrets Manager runs testSecret alone when rotation is switched on for later: its version is empty, or the one in use.
    let house = House::new(Source::Pool, &["key-1"]).await;
    house.secret.enable_rotation();
    let token = KeyVersion("a-version-of-secrets-manager-itself".into());
    assert!(house.secret.begin_rotation(&token));
    let test = async |token: &KeyVersion| house.rotation().step(RotationStep::Test, token, Trigger::Store, &hours_later(0)).await;
    let before = house.secret.state();
    test(&token).await.expect("the key in use is good");
    assert_eq!(house.secret.state(), before);
    let current = before.in_stage(SecretStage::Current).expect("a version").clone();
    house.secret.move_label("AWSPENDING", Some(&token), Some(&current)).await.expect("moved");
    let before = house.secret.state();
    test(&current).await.expect("the key in use is good");
    house.rotation().tend(&hours_later(0)).await.expect("tended");
    assert_eq!((house.secret.state(), kinds(&house).contains(&"key_rotation_finished")), (before, false));
    house.provider.revoke_key("key-0");
    assert!(matches!(test(&current).await, Err(RotateKeyError::NotAccepted { .. })));
    // And a label that is where it should be is left there: moving it to itself is an error to the service.
    let house = House::new(Source::Pool, &["key-1"]).await;
    house.rotate().await.expect("rotated");
    let previous = house.secret.state().in_stage(SecretStage::Previous).expect("a version").clone();
    let tested = house.secret.state().holder("TESTED").cloned();
    house.secret.move_label("TESTED", tested.as_ref(), Some(&previous)).await.expect("moved");
    house.rotation().roll_back(RollbackReason::Operator, &hours_later(0)).await.expect("rolled back");
}

#[tokio::test]
async fn a_key_that_the_api_does_not_know_is_told_of_and_recorded() {
    let house = House::new(Source::Minted, &[]).await;
    house.rotate().await.expect("rotated");
    house.rotate().await.expect("rotated again");
    house.provider.set_forgetful(true);
    for hour in [25, 26] {
        tend(&house, hour).await;
    }
    let asked = house.alerts.alerts().into_iter().filter(|alert| alert.kind == "key_to_revoke").collect::<Vec<_>>();
    assert!(asked.iter().any(|alert| alert.headline.contains("knows no such key")), "{asked:?}");
    let events = house.audit.events();
    let unknown = events.iter().find(|event| event.event_type.as_str() == "key_revocation_requested").expect("an event");
    assert!(format!("{unknown:?}").contains("unknown_key"), "{unknown:?}");
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
