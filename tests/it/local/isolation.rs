//! Tenants do not see each other.

use super::harness::{citations, stack};
use serde_json::{Value, json};

/// A problem without what differs from request to request.
fn stripped(mut body: Value) -> Value {
    body.as_object_mut().expect("a problem").remove("trace_id");
    body
}

#[test]
fn another_tenants_document_cannot_be_listed_shown_opened_deleted_asked_about_or_told_from_an_absent_one() {
    const QUESTION: &str = "Who repairs the hot water boiler of the east wing?";
    let (owner, stranger) = (stack().staff("isolation-a"), stack().staff("isolation-b"));
    let id = owner.index("boiler.txt", None, b"The hot water boiler of the east wing is repaired by the night engineer.");
    assert_eq!(citations(&owner.ask(QUESTION))[0]["document_id"], id);

    assert_eq!(stranger.list(), [json!(null); 0]);
    let absent = "doc_01h2xcejqtf2nbrexx3vqjhp41";
    for (method, suffix) in [("GET", ""), ("GET", "/content"), ("DELETE", "")] {
        let of = |id: &str| stranger.call(method, &format!("/documents/{id}{suffix}"), None);
        let (foreign, missing) = (of(&id), of(absent));
        assert_eq!(foreign.problem(), (404, "not-found"), "{method} {suffix}");
        assert_eq!(stripped(foreign.body), stripped(missing.body), "{method} {suffix}");
    }
    let answer = stranger.ask(QUESTION);
    assert_eq!((&answer["refusal"]["reason"], &answer["refusal"]["nearest"]), (&json!("no_documents"), &json!([])));
    let filtered = json!({ "question": QUESTION, "filters": { "documents": [id] } });
    let answer = stranger.call("POST", "/chat", Some(&filtered)).ok(200);
    assert_eq!((&answer["refusal"]["reason"], answer.to_string().contains("engineer")), (&json!("no_documents"), false));

    assert_eq!(owner.show(&id)["status"], "indexed", "nothing was deleted");
    assert!(stack().audit_rows("isolation-a").iter().all(|row| row["pk"]["S"] == "TENANT#isolation-a"));
}

#[test]
fn a_tenant_named_in_the_body_or_in_the_file_name_counts_for_nothing() {
    let stranger = stack().staff("isolation-c");
    let body = json!({ "question": "Anything?", "tenant": "main" });
    assert_eq!(stranger.call("POST", "/chat", Some(&body)).problem(), (400, "bad-body"));
    let body = json!({ "name": "../../main/x.txt", "size_bytes": 1, "sha256": "0".repeat(64) });
    assert_eq!(stranger.call("POST", "/documents", Some(&body)).problem(), (400, "bad-document"));
}

#[test]
fn nobody_can_move_themselves_to_another_tenant() {
    let person = stack().staff("isolation-d");
    let change = json!({ "AccessToken": person.access_token, "UserAttributes": [{ "Name": "custom:tenant", "Value": "main" }] });
    assert_eq!(stack().aws("cognito-idp", "update_user_attributes", change), Err("NotAuthorizedException".to_owned()));
}

#[test]
fn an_access_group_opens_a_document_and_everybody_else_of_the_tenant_finds_nothing() {
    const TENANT: &str = "isolation-groups";
    const QUESTION: &str = "Where is the key of the blood fridge kept?";
    let nurse = stack().person(TENANT, &["clinician", "document-admin", "access:icu"]);
    let other = stack().person(TENANT, &["clinician", "document-admin", "access:theatre"]);
    let id = nurse.index("fridge.txt", None, b"The key of the blood fridge is kept in the drawer below the monitor.");
    assert_eq!(citations(&other.ask(QUESTION))[0]["document_id"], id, "nothing is said about it yet");
    let document = format!("/documents/{id}");
    let foreign = other.call("PATCH", &document, Some(&json!({ "groups": ["icu"] })));
    assert_eq!(foreign.problem(), (403, "denied"), "not a group of theirs");
    let change = json!({ "groups": ["icu"], "tags": ["Blood", "fridges"], "date": "2026-03-01" });
    let described = nurse.call("PATCH", &document, Some(&change)).ok(200);
    assert_eq!((&described["groups"], &described["tags"]), (&json!(["icu"]), &json!(["blood", "fridges"])));

    assert_eq!(other.list(), [json!(null); 0]);
    for (method, path) in [("GET", document.clone()), ("GET", format!("{document}/content")), ("DELETE", document.clone())] {
        assert_eq!(other.call(method, &path, None).problem(), (404, "not-found"), "{method} {path}");
    }
    let answer = other.ask(QUESTION);
    assert_eq!((&answer["refusal"]["nearest"], answer.to_string().contains("drawer")), (&json!([]), false));

    assert_eq!(nurse.show(&id)["date"], "2026-03-01");
    let ask = |filters: Value| nurse.call("POST", "/chat", Some(&json!({ "question": QUESTION, "filters": filters }))).ok(200);
    assert_eq!(citations(&ask(json!({ "tags": ["fridges"], "from": "2026-03-01" })))[0]["document_id"], id);
    assert_eq!(ask(json!({ "tags": ["pumps"] }))["refused"], true);
    let tagged = nurse.call("GET", "/documents?tag=fridges", None).ok(200);
    assert_eq!(tagged["documents"].as_array().map(Vec::len), Some(1));
    assert_eq!(nurse.call("GET", "/documents?tag=pumps", None).ok(200)["documents"], json!([]));
}
