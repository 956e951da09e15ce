//! What is wrong with a secret, a pool or an event is said in words that name what to mend, and no label is moved.

use super::house::{House, Source};
use domain::keys::rotation::{KeyRotation, RotationStep};
use domain::keys::{KeyVersion, SecretStage};
use key_rotation::{Keys, Rotations, handle};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::{MemorySecret, context, fixed_now};

const ARN: &str = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:GroqKey-a1b2c3d4e5f6-Xy9zAb";

fn app(house: &House, rotation: KeyRotation) -> Rotations {
    let keys = Keys { provider: domain::spending::Provider::Groq, secret: ARN.to_owned(), rotation, pool: house.stock() };
    Rotations { keys: vec![keys], tenant: context("main", &[]).tenant, clock: fixed_now }
}

/// Hands an event to the function; what it says, and that nothing has moved.
async fn refused(house: &House, secret: Option<MemorySecret>, event: &Value) -> String {
    let before = stages(house);
    let mut rotation = house.rotation();
    if let Some(secret) = secret {
        rotation.store = Arc::new(secret);
    }
    let said = match handle(&app(house, rotation), event, "request-1").await {
        Err(error) => error.to_string(),
        Ok(answer) => {
            answer["groq"]["error"]["message"].as_str().unwrap_or_else(|| panic!("{event} was done: {answer}")).to_owned()
        }
    };
    assert_eq!(stages(house), before, "{event}: {said}");
    said
}

/// What is current, pending and previous.
fn stages(house: &House) -> Vec<Option<KeyVersion>> {
    let state = house.secret.state();
    SecretStage::ALL.iter().map(|stage| state.in_stage(*stage).cloned()).collect()
}

fn step(step: &str, token: &str) -> Value {
    json!({ "Step": step, "SecretId": ARN, "ClientRequestToken": token })
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_moves() {
    const TOKEN: &str = "6d1f8a5e-2b7c-4c39-9a10-3f5f7f0c2b41";
    let token = KeyVersion(TOKEN.to_owned());
    let rotate = json!({ "command": "rotate", "provider": "groq" });

    let house = House::new(Source::Pool, &["key-1"]).await;
    assert!(refused(&house, None, &step("createSecret", TOKEN)).await.contains("rotation is not enabled"));
    house.secret.enable_rotation();
    assert!(refused(&house, None, &step("createSecret", TOKEN)).await.contains("no version of this token"));
    assert!(refused(&house, None, &step("dropSecret", TOKEN)).await.contains("unknown step"));
    assert!(refused(&house, None, &json!({ "Step": "createSecret" })).await.contains("neither"));
    assert!(refused(&house, None, &json!({ "command": "dance" })).await.contains("unknown command"));
    let foreign = json!({ "Step": "createSecret", "SecretId": "arn:another", "ClientRequestToken": TOKEN });
    assert!(refused(&house, None, &foreign).await.contains("no such secret"));
    assert!(house.secret.begin_rotation(&token));
    assert!(refused(&house, None, &step("setSecret", TOKEN)).await.contains("createSecret comes first"));
    assert!(refused(&house, None, &step("finishSecret", TOKEN)).await.contains("testSecret comes first"));

    let house = House::new(Source::Pool, &["key-1"]).await;
    assert!(refused(&house, Some(MemorySecret::missing()), &rotate).await.contains("deploy the stack"));
    let previous = house.secret.state().in_stage(SecretStage::Current).expect("a version").0.clone();
    house.secret.enable_rotation();
    house.secret.set_text("key-0");
    assert!(refused(&house, None, &step("createSecret", &previous)).await.contains("AWSPENDING"));

    for malformed in ["{broken", "[\"key-0\"]", "{\"key\":\"key-0\"}", "two words"] {
        let house = House::new(Source::Pool, &["key-1"]).await;
        house.secret.enable_rotation();
        house.secret.set_text(malformed);
        assert!(house.secret.begin_rotation(&token));
        for begun in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            let said = refused(&house, None, &step(begun, TOKEN)).await;
            assert!(said.contains("AWSCURRENT in the secret is not a key"), "{said}");
            assert!(said.contains("`clinchat keys rotate` replaces it"), "{said}");
        }
    }
    for malformed in [
        "{broken",
        "[]",
        "{\"keys\":[{\"id\":\"a\"}]}",
        "{\"keys\":[{\"id\":\"A B\",\"added_at\":\"2026-01-01T00:00:00Z\",\"api_key\":\"x\"}]}",
    ] {
        let house = House::new(Source::Pool, &[]).await;
        house.pool.set_text(malformed);
        let said = refused(&house, None, &rotate).await;
        assert!(said.contains("the pool's text is not"), "{malformed}: {said}");
    }

    let house = House::new(Source::Pool, &[]).await;
    assert!(refused(&house, None, &rotate).await.contains("the pool is empty: add a key"));
    let mut house = House::new(Source::Pool, &["key-1"]).await;
    house.pool = MemorySecret::missing();
    assert!(refused(&house, None, &rotate).await.contains("the pool's secret does not exist"));
    let house = House::new(Source::Pool, &["key-1"]).await;
    house.pool.delete();
    assert!(refused(&house, None, &rotate).await.contains("the pool's secret is scheduled for deletion"));
    let house = House::new(Source::Pool, &["key-1"]).await;
    house.secret.delete();
    for event in [rotate.clone(), json!({ "command": "status" }), step("testSecret", TOKEN)] {
        assert!(refused(&house, None, &event).await.contains("scheduled for deletion: restore it"));
    }

    let house = House::new(Source::Pool, &[]).await;
    house.fill_pool_with_current();
    assert!(refused(&house, None, &rotate).await.contains("the next key is the one in use"));
    let add = |key: &str| json!({ "command": "add", "provider": "groq", "key": key });
    let remove = json!({ "command": "remove", "provider": "groq", "id": "nobody" });
    assert!(refused(&house, None, &remove).await.contains("no key of this name waits"));
    assert!(refused(&house, None, &add("key-0")).await.contains("the one in use"));
    assert!(refused(&house, None, &add("nobody-knows-this-one")).await.contains("the provider refuses the key"));
    assert!(refused(&house, None, &add("two words")).await.contains("paste it again"));
    house.provider.set_down(true);
    assert!(refused(&house, None, &add("nobody-knows-this-one")).await.contains("could not be tried"));
    assert!(refused(&house, None, &json!({ "command": "rollback", "provider": "groq" })).await.contains("no previous key"));
}

/// The sample events are what the function reads.
#[tokio::test]
async fn the_sample_events_drive_a_rotation() {
    let sample = |case: &str| -> Value {
        serde_json::from_str(&crate::repository::text(format!("events/key-rotation.{case}.json"))).expect("JSON")
    };
    let house = House::new(Source::Pool, &["key-1", "key-2"]).await;
    house.secret.enable_rotation();
    let app = app(&house, house.rotation());
    let token = KeyVersion(sample("create-secret")["ClientRequestToken"].as_str().expect("a token").to_owned());
    assert!(house.secret.begin_rotation(&token));
    for step in RotationStep::ALL {
        let case = step.as_str().replace("Secret", "-secret");
        handle(&app, &sample(&case), "request-1").await.unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    assert_eq!((house.key(SecretStage::Current), house.key(SecretStage::Previous)), ("key-1".into(), "key-0".into()));
    // Repeated at the end, as Secrets Manager may: nothing more happens.
    let before = house.secret.state();
    handle(&app, &sample("finish-secret"), "request-2").await.expect("done before");
    assert_eq!(house.secret.state(), before);
    // A schedule that comes early does nothing, an operator's command does.
    handle(&app, &sample("schedule"), "request-3").await.expect("not due");
    assert_eq!(house.key(SecretStage::Current), "key-1");
    handle(&app, &sample("rotate"), "request-4").await.expect("rotated");
    assert_eq!(house.key(SecretStage::Current), "key-2");
    handle(&app, &sample("rollback"), "request-5").await.expect("rolled back");
    assert_eq!(house.key(SecretStage::Current), "key-1");
    house.provider.accept("a-key-from-the-console");
    for case in ["add", "check", "tend", "watch", "status"] {
        let answer = handle(&app, &sample(case), "request-6").await.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(answer["groq"].get("error").is_none(), "{case}: {answer}");
    }
    let status = handle(&app, &sample("status"), "request-7").await.expect("a status");
    assert_eq!((&status["groq"]["depth"], status["groq"]["current"]["key"].is_string()), (&json!(1), true), "{status}");
    assert!(!status.to_string().contains("a-key-from-the-console"));
    assert_eq!(status["groq"]["pool"][0]["id"], "made-in-november");
    let removed = handle(&app, &sample("remove"), "request-8").await.expect("removed");
    assert_eq!(removed["groq"]["removed"], "made-in-november");
}
