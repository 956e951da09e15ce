//! Versions of a document: a new one takes the place of the one before, which can be opened until its time is over.

use super::{House, event, event_with_body, object_event, set_claim, set_document};
use domain::audit::EventType;
use domain::documents::attributes::Group;
use serde_json::{Value, json};

const KEY: &str = "tenants/main/visits.txt";
const OLD: &str = "Visitors may come between 10:00 and 20:00.";
const NEW: &str = "Visitors may come between 14:00 and 18:00.";

fn at(name: &str, id: &str) -> Value {
    let mut event = event(name);
    set_document(&mut event, id);
    event
}

fn of_version(id: &str, version: &str) -> Value {
    let mut event = at("documents.content", id);
    event["queryStringParameters"] = json!({ "version": version });
    event["multiValueQueryStringParameters"] = json!({ "version": [version] });
    event
}

#[tokio::test]
async fn a_new_version_keeps_the_document_and_the_one_before_can_still_be_opened() {
    let house = House::new();
    let id = house.index(KEY, OLD, 1).await;
    let id = id.as_str();
    let announced = house.call(&at("documents.replace", id)).await;
    let body = announced.ok(201);
    assert_eq!(
        (&body["document"]["id"], &body["document"]["status"]),
        (&json!(id), &json!("indexed")),
        "the one before is cited"
    );
    assert_eq!(body["upload"]["url"], format!("memory://{KEY}"));
    assert_eq!(house.history().last(), Some(&EventType::DocumentUploadRequested));
    assert_eq!(house.index(KEY, NEW, 2).await.as_str(), id);

    let listed = house.call(&at("documents.versions", id)).await;
    assert_eq!(house.history().last(), Some(&EventType::DocumentShown));
    let versions = &listed.ok(200)["versions"];
    let seen: Vec<_> =
        versions.as_array().expect("versions").iter().map(|v| (&v["version"], &v["is_newest"], &v["is_searchable"])).collect();
    assert_eq!(seen, [(&json!("v2"), &json!(true), &json!(true)), (&json!("v1"), &json!(false), &json!(false))]);
    let cited = house.question("When may visitors come?").await;
    assert_eq!(cited.ok(200)["answer"][0]["citations"][0]["version"], "v2");

    let views = house.history().len();
    for version in ["v1", "v2"] {
        let opened = house.call(&of_version(id, version)).await;
        assert_eq!(opened.ok(200)["url"], format!("memory://{KEY}?versionId={version}"));
    }
    assert_eq!(house.history()[views..], [EventType::DocumentViewed, EventType::DocumentViewed]);
    for absent in ["v3", "", "null", "../v1"] {
        assert_eq!(house.call(&of_version(id, absent)).await.problem(), (404, "not-found"), "{absent:?}");
    }
}

#[tokio::test]
async fn a_version_that_cannot_be_read_is_listed_and_the_one_before_stays_the_one_that_answers_cite() {
    let house = House::new();
    let id = house.index(KEY, OLD, 1).await;
    house.documents.upload(KEY, b"!encrypted", &[]);
    assert_eq!(house.deliver(&object_event("Object Created", KEY, 2)).await, [""; 0]);
    let listed = house.call(&at("documents.versions", id.as_str())).await;
    let seen: Vec<_> =
        listed.ok(200)["versions"].as_array().expect("versions").iter().map(|v| v["is_searchable"].clone()).collect();
    assert_eq!(seen, [json!(false), json!(true)]);
}

#[tokio::test]
async fn the_versions_of_what_one_may_not_see_or_was_deleted_are_not_there() {
    let house = House::new();
    let id = house.index(KEY, OLD, 1).await;
    let mut described = event_with_body("documents.describe", &json!({ "groups": ["icu"] }));
    set_document(&mut described, id.as_str());
    set_claim(&mut described, "cognito:groups", "document-admin,access-admin");
    assert_eq!(house.call(&described).await.ok(200)["groups"], json!([Group::parse("icu").expect("a group").as_str()]));
    for name in ["documents.versions", "documents.replace"] {
        let mut admin = at(name, id.as_str());
        set_claim(&mut admin, "cognito:groups", "document-admin,clinician,access-admin");
        assert_eq!(house.call(&admin).await.problem(), (404, "not-found"), "{name}: the list is all that an access admin sees");
    }
    let house = House::new();
    let id = house.index(KEY, OLD, 1).await;
    house.call(&at("documents.delete", id.as_str())).await.ok(202);
    for event in [at("documents.versions", id.as_str()), at("documents.replace", id.as_str()), of_version(id.as_str(), "v1")] {
        assert_eq!(house.call(&event).await.problem(), (404, "not-found"), "a link would bring back what was deleted");
    }
}

#[tokio::test]
async fn a_bad_announcement_of_a_version_is_refused_and_leaves_nothing() {
    let house = House::new();
    let id = house.index(KEY, OLD, 1).await;
    let sha256 = "0".repeat(64);
    let rows = house.history().len();
    for (status, kind, body) in [
        (400, "bad-body", json!({ "sha256": sha256 })),
        (400, "bad-body", json!({ "size_bytes": 5, "sha256": sha256, "name": "other.txt" })),
        (400, "bad-document", json!({ "size_bytes": 0, "sha256": sha256 })),
        (400, "bad-document", json!({ "size_bytes": (50 << 20) + 1, "sha256": sha256 })),
        (400, "bad-document", json!({ "size_bytes": 5, "sha256": "0" })),
        (400, "bad-document", json!({ "size_bytes": 5, "sha256": sha256, "media_type": "application/pdf" })),
    ] {
        let mut event = event_with_body("documents.replace", &body);
        set_document(&mut event, id.as_str());
        assert_eq!(house.call(&event).await.problem(), (status, kind), "{body}");
    }
    assert_eq!(house.history()[rows..], [EventType::RequestRefused; 6], "the refusals, and nothing else");
}
