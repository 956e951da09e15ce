//! Keys of Gemini made and revoked through Google's API, over real sockets to a double that checks every signature.

use domain::audit::Label;
use domain::keys::KeyVersion;
use domain::keys::pool::{KeySource as _, Revocation, SourceError};
use llm::{Address, GoogleKeys, HttpClient};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use testkit::{MemorySecret, fixed_now};
use tests::google_double::{GoogleDouble, value_of};

fn double() -> GoogleDouble {
    GoogleDouble::open(&crate::repository::text("tests/it/keys/synthetic-account.txt")).expect("a double")
}

fn keys(google: &GoogleDouble, account: &str) -> GoogleKeys {
    GoogleKeys {
        http: HttpClient::new(Duration::from_secs(2)).expect("a client"),
        address: Address::parse(&google.url()).expect("an address"),
        account: Arc::new(MemorySecret::of(account)),
        clock: fixed_now,
    }
}

fn version(name: &str) -> KeyVersion {
    KeyVersion(name.to_owned())
}

#[tokio::test]
async fn a_key_is_made_once_marked_if_it_is_no_good_and_deleted_when_it_is_not_used_any_more() {
    let google = double();
    let source = keys(&google, &google.account());
    google.take_looks(2);
    let first = source.offer(Some(&version("v1"))).await.expect("a key");
    let name = first.id.clone().expect("a name");
    assert_eq!(first.key.expose(), value_of(name.as_str()));
    assert_eq!(google.targets(name.as_str()), json!([{ "service": "generativelanguage.googleapis.com" }]));
    // Asked again, by whoever was cut off or runs at the same time: the same key.
    assert_eq!(source.offer(Some(&version("v1"))).await.expect("the key"), first);
    assert_eq!(google.keys(), [name.as_str()]);
    // No good: another one is made. After another version: another one.
    source.refused(&name, fixed_now()).await.expect("marked");
    let second = source.offer(Some(&version("v1"))).await.expect("a key");
    let third = source.offer(Some(&version("v2"))).await.expect("a key");
    assert_eq!(google.keys().len(), 3);
    assert!(second != first && third != second);
    // Revoked twice is revoked; its name is not used again.
    for _ in 0..2 {
        assert_eq!(source.revoke(third.id.as_ref().expect("a name")).await.expect("deleted"), Revocation::Done);
    }
    assert!(!google.keys().contains(&third.id.as_ref().expect("a name").as_str().to_owned()));
    assert_ne!(source.offer(Some(&version("v2"))).await.expect("a key"), third);
    // One that the API has never heard of is not done with: it may be another project's.
    let stranger = Label::parse("clinchat-of-another-project").expect("a label");
    assert_eq!(source.revoke(&stranger).await.expect("said"), Revocation::Unknown);
    // A key that an operator has made is an operator's.
    let before = google.requests().len();
    assert_eq!(source.revoke(&Label::parse("key-of-somebody").expect("a label")).await.expect("said"), Revocation::ByOperator);
    assert_eq!(google.requests().len(), before);
    assert_eq!(source.depth().await.expect("a depth"), None);
}

#[tokio::test]
async fn what_google_refuses_is_said_by_its_code() {
    let google = double();
    let account = google.account();
    let other = account.replace("\"k1\"", "\"k2\"");
    let code = async |account: &str| match keys(&google, account).offer(None).await {
        Err(SourceError::Minting { code }) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code("{}").await, "service_account_shape");
    assert_eq!(code(&account.replace("synthetic-project\"", "../x\"")).await, "service_account_shape");
    assert_eq!(code(&account.replace("MII", "AAA")).await, "service_account_key");
    assert_eq!(code(&account.replace("http://127.0.0.1", "http://example.org")).await, "service_account_address");
    assert_eq!(code(&other).await, "token_invalid_grant");
    for (status, said) in [(403, "PERMISSION_DENIED"), (429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE")] {
        google.next(status, &json!({ "error": { "code": status, "status": said, "message": "canary-of-the-message" } }));
        assert_eq!(code(&account).await, said);
    }
    google.next(200, &json!({ "keys": [] }));
    google.next(200, &json!({ "name": "operations/akmf.p7-x", "done": true, "error": { "code": 8 } }));
    assert_eq!(code(&account).await, "operation_8");
    google.next(200, &json!({ "keys": [] }));
    google.next(200, &json!({ "name": "../../v1/projects" }));
    assert_eq!(code(&account).await, "operation");
    assert!(google.keys().is_empty());
}
