//! The documents API through its function.

use super::{House, SUBJECT, document_id, event, event_with_body, object_event, set_claim, set_document, set_media_type};
use domain::audit::{AuditValue, EventType, Outcome};
use domain::documents::registry::Status;
use serde_json::{Value, json};
use sha2::Digest as _;

const KEY: &str = "tenants/main/a b+ü.txt";
const TEXT: &str = "Visitors may come between 10:00 and 20:00.";
const EVENTS: [&str; 9] = [
    "documents.create",
    "documents.list",
    "documents.show",
    "documents.content",
    "documents.versions",
    "documents.receipt",
    "documents.replace",
    "documents.describe",
    "documents.delete",
];

fn at(name: &str, id: &str) -> Value {
    let mut event = event(name);
    set_document(&mut event, id);
    event
}

#[tokio::test]
async fn an_announced_upload_is_answered_with_a_link_and_is_visible_at_once() {
    let house = House::new();
    let reply = house.call(&event("documents.create")).await;
    let body = reply.ok(201);
    let document = &body["document"];
    assert_eq!(
        (&document["title"], &document["name"], &document["format"], &document["status"], &document["size_bytes"]),
        (&json!("Hand hygiene"), &json!("hand hygiene.pdf"), &json!("pdf"), &json!("awaiting_upload"), &json!(48_213))
    );
    assert_eq!((&body["upload"]["method"], &body["upload"]["expires_in_s"]), (&json!("PUT"), &json!(3_600)));
    assert_eq!(body["upload"]["headers"]["content-type"], "application/pdf");
    let url = body["upload"]["url"].as_str().expect("a link");
    assert!(url.starts_with("memory://tenants/main/") && url.ends_with("/hand hygiene.pdf"), "{url}");
    let id = document["id"].as_str().expect("an id");
    assert_eq!(id, document_id(url.trim_start_matches("memory://")).as_str());
    assert_eq!(house.history(), [EventType::DocumentUploadRequested]);
    assert_eq!(house.call(&at("documents.show", id)).await.ok(200), document);
    let rows = house.audit.events();
    assert_eq!((rows[0].outcome, rows[1].outcome), (Outcome::Intended, Outcome::Success));
    assert_eq!(rows[1].details["intent"], AuditValue::Event(rows[0].id));
    let row = &rows[0];
    assert_eq!((row.agent.as_str(), row.entity.id()), (SUBJECT, id));
}

#[tokio::test]
async fn a_document_is_listed_shown_opened_and_deleted() {
    let house = House::new();
    let id = house.index(KEY, TEXT, 1).await;
    let id = id.as_str();
    let listed = house.call(&event("documents.list")).await;
    let mut document = listed.ok(200)["documents"][0].clone();
    for time in ["created_at", "updated_at"] {
        assert!(document[time].as_str().is_some_and(|t| t.ends_with('Z')), "{document}");
        document.as_object_mut().expect("an object").remove(time);
    }
    assert_eq!(
        document,
        json!({
            "id": id, "title": "a b+ü", "name": "a b+ü.txt", "format": "text", "status": "indexed",
            "pages": 1, "chunks": 1, "size_bytes": TEXT.len(), "identifiers": {}, "version": "v1", "searchable_version": "v1",
        })
    );
    assert!(listed.body.get("next").is_none(), "{}", listed.text);

    let opened = house.call(&at("documents.content", id)).await;
    assert_eq!(opened.ok(200), &json!({ "method": "GET", "url": format!("memory://{KEY}?versionId=v1"), "expires_in_s": 300 }));
    assert_eq!(house.history().last(), Some(&EventType::DocumentViewed));

    let deleted = house.call(&at("documents.delete", id)).await;
    assert_eq!(deleted.ok(202)["status"], "deleting");
    assert_eq!(house.documents.keys(), [""; 0], "the object is gone");
    assert_eq!(house.history().last(), Some(&EventType::DocumentDeleteRequested));
    assert_eq!(house.call(&at("documents.content", id)).await.problem(), (404, "not-found"));

    assert_eq!(house.call(&at("documents.receipt", id)).await.problem(), (409, "conflict"), "it is not deleted yet");
    assert_eq!(house.deliver(&object_event("Object Deleted", KEY, 2)).await, [""; 0]);
    assert_eq!(house.call(&event("documents.list")).await.ok(200)["documents"], json!([]));
    let shown = house.call(&at("documents.show", id)).await;
    assert_eq!((&shown.ok(200)["status"], &shown.body["title"]), (&json!("deleted"), &json!("")), "what it was called is gone");
    let rows = house.history().len();
    assert_eq!(house.call(&at("documents.delete", id)).await.ok(202)["status"], "deleted", "deleting twice is no error");
    assert_eq!(house.history().len(), rows);
}

#[tokio::test]
async fn a_receipt_says_what_was_removed_and_its_digest_is_in_the_trail() {
    let house = House::new();
    let text = "The linen store opens at seven. The key hangs behind the desk of the ward clerk.";
    let id = house.index(KEY, text, 1).await;
    house.call(&at("documents.delete", id.as_str())).await.ok(202);
    assert_eq!(house.deliver(&object_event("Object Deleted", KEY, 2)).await, [""; 0]);
    let answer = house.call(&at("documents.receipt", id.as_str())).await;
    let receipt = &answer.ok(200)["receipt"];
    let expected = json!({
        "checked_at": receipt["checked_at"], "chunks": 1, "document_id": id, "found_after": 0, "found_before": 2,
        "kept_versions": ["v1"], "objects_left": 0, "pages": 1, "questions": 2, "version": "v1",
    });
    assert_eq!(receipt, &expected);
    // Names are sorted in JSON values: this is the form that the digest is taken of.
    let digest: [u8; 32] = sha2::Sha256::digest(receipt.to_string()).into();
    assert_eq!(answer.body["sha256"], domain::text::hexadecimal(&digest));
    let rows = house.audit.events();
    let row = rows.iter().find(|row| row.event_type == EventType::DocumentDeleted && row.outcome == Outcome::Success);
    assert_eq!(row.expect("a row").details["receipt"], AuditValue::Digest(digest));
    assert!(!answer.text.contains("linen") && !answer.text.contains("a b"), "a receipt holds no words of the document");
}

#[tokio::test]
async fn what_never_arrived_has_no_receipt() {
    let house = House::new();
    let announced = house.call(&event("documents.create")).await;
    let id = announced.ok(201)["document"]["id"].as_str().expect("an id").to_owned();
    house.call(&at("documents.delete", &id)).await.ok(202);
    assert_eq!(house.call(&at("documents.receipt", &id)).await.problem(), (409, "conflict"));
}

#[tokio::test]
async fn a_list_is_walked_page_by_page_and_each_document_comes_once() {
    let house = House::new();
    let mut expected = Vec::new();
    for number in 0..7_u64 {
        expected.push(house.index(&format!("tenants/main/{number}.txt"), TEXT, number).await.as_str().to_owned());
    }
    expected.sort();
    let mut found = Vec::new();
    let mut query = json!({ "limit": "3" });
    for _ in 0..expected.len() {
        let mut event = event("documents.list");
        event["queryStringParameters"] = query.clone();
        event["multiValueQueryStringParameters"] =
            query.as_object().expect("a query").iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
        let reply = house.call(&event).await;
        let documents = reply.ok(200)["documents"].as_array().expect("documents");
        assert!(documents.len() <= 3);
        found.extend(documents.iter().map(|d| d["id"].as_str().expect("an id").to_owned()));
        match reply.body["next"].as_str() {
            Some(next) => query["after"] = next.into(),
            None => break,
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_foreign_tenants_document_and_an_impossible_id_answer_exactly_as_an_absent_one() {
    let house = House::new();
    let id = house.index(KEY, TEXT, 1).await;
    for name in &EVENTS[2..] {
        let absent = house.call(&event(name)).await;
        assert_eq!(absent.problem(), (404, "not-found"), "{name}");
        for impossible in ["", "x", "doc_../../x", "doc_01H2XCEJQTF2NBREXX3VQJHP41", &"9".repeat(3_000)] {
            assert_eq!(house.call(&at(name, impossible)).await.body, absent.body, "{name} {impossible:.40}");
        }
        let mut foreign = at(name, id.as_str());
        set_claim(&mut foreign, "custom:tenant", "west");
        assert_eq!(house.call(&foreign).await.body, absent.body, "{name} from the west");
    }
    let mut list = event("documents.list");
    set_claim(&mut list, "custom:tenant", "west");
    assert_eq!(house.call(&list).await.ok(200)["documents"], json!([]));
    assert_eq!(house.documents.keys(), [KEY], "nothing was deleted");
}

#[tokio::test]
async fn each_role_may_do_what_the_policy_says_and_nothing_else() {
    // In the order of EVENTS: create, list, show, content, versions, receipt, replace, describe, delete.
    let allowed = [
        ("clinician", [false, true, true, true, true, true, false, false, false]),
        ("document-admin", [true; 9]),
        ("auditor", [false; 9]),
        ("operator", [false, true, true, false, false, true, false, false, false]),
        // Describing tags and a date, as the sample does, is not for who decides about access.
        ("access-admin", [false, true, true, false, false, true, false, false, false]),
        ("", [false; 9]),
        ("all-staff", [false; 9]),
        ("access:icu", [false; 9]),
    ];
    for (groups, expected) in allowed {
        let house = House::new();
        let id = house.index(KEY, TEXT, 1).await;
        let mut found = Vec::new();
        for name in EVENTS {
            let mut event = at(name, id.as_str());
            set_claim(&mut event, "cognito:groups", groups);
            let reply = house.call(&event).await;
            // A document that is not deleted has no receipt, which is said to whoever might have seen one.
            let is_answered = reply.status < 400 || (name == "documents.receipt" && reply.status == 409);
            if !is_answered {
                assert_eq!(reply.problem(), (403, "denied"), "{groups}: {name}");
            }
            found.push(is_answered);
        }
        assert_eq!(found, expected, "{groups}");
        assert_eq!(house.documents.keys().is_empty(), expected[8], "{groups}");
    }
}

#[tokio::test]
async fn a_request_without_claims_is_refused_on_every_route() {
    for name in EVENTS {
        let mut event = event(name);
        event["requestContext"].as_object_mut().expect("a context").remove("authorizer");
        assert_eq!(House::new().call(&event).await.problem(), (403, "denied"), "{name}");
    }
}

#[tokio::test]
async fn other_routes_and_methods_are_no_such_route() {
    for (method, route) in [("PUT", "/documents/{id}"), ("PUT", "/documents"), ("POST", "/chat"), ("GET", "/{proxy+}")] {
        let mut event = event("documents.show");
        event["httpMethod"] = method.into();
        event["requestContext"]["httpMethod"] = method.into();
        event["requestContext"]["resourcePath"] = route.into();
        assert_eq!(House::new().call(&event).await.problem(), (404, "no-such-route"), "{method} {route}");
    }
}

#[tokio::test]
async fn bad_announcements_are_named_and_never_echoed() {
    const SECRET: &str = "Zebedee Quillfeather";
    let body = serde_json::from_str::<Value>(event("documents.create")["body"].as_str().expect("a body")).expect("JSON");
    let with = |field: &str, value: Value| {
        let mut body = body.clone();
        body[field] = value;
        body.to_string()
    };
    let without = |field: &str| {
        let mut body = body.clone();
        body.as_object_mut().expect("an object").remove(field);
        body.to_string()
    };
    let cases = [
        (400, "bad-body", "{".to_owned()),
        (400, "bad-body", without("name")),
        (400, "bad-body", without("size_bytes")),
        (400, "bad-body", without("sha256")),
        (400, "bad-body", with("tenant", json!(SECRET))),
        (400, "bad-body", with("size_bytes", json!("48213"))),
        (400, "bad-body", with("size_bytes", json!(-1))),
        (400, "bad-body", with("size_bytes", json!(1.5))),
        (413, "body-too-large", with("title", json!(SECRET.repeat(4_000)))),
        (400, "bad-document", with("size_bytes", json!(0))),
        (400, "bad-document", with("size_bytes", json!((50 << 20) + 1))),
        (400, "bad-document", with("size_bytes", json!(u64::MAX))),
        (400, "bad-document", with("name", json!(""))),
        (400, "bad-document", with("name", json!("  "))),
        (400, "bad-document", with("name", json!(SECRET))),
        (400, "bad-document", with("name", json!(format!("{SECRET}.exe")))),
        (400, "bad-document", with("name", json!(format!("../{SECRET}.pdf")))),
        (400, "bad-document", with("name", json!(format!("{SECRET}\\x.pdf")))),
        (400, "bad-document", with("name", json!(format!("{SECRET}\n.pdf")))),
        (400, "bad-document", with("name", json!(format!("{}.pdf", "é".repeat(200))))),
        (400, "bad-document", with("title", json!(" "))),
        (400, "bad-document", with("title", json!(format!("{SECRET}\u{7}")))),
        (400, "bad-document", with("title", json!("é".repeat(201)))),
        (400, "bad-document", with("media_type", json!("text/plain"))),
        (400, "bad-document", with("media_type", json!(SECRET))),
        (400, "bad-document", with("sha256", json!(""))),
        (400, "bad-document", with("sha256", json!("0".repeat(63)))),
        (400, "bad-document", with("sha256", json!("0".repeat(65)))),
        (400, "bad-document", with("sha256", json!("g".repeat(64)))),
        (400, "bad-document", with("sha256", json!("é".repeat(32)))),
    ];
    let house = House::new();
    for (status, kind, body) in cases {
        let mut event = event("documents.create");
        event["body"] = body.clone().into();
        let reply = house.call(&event).await;
        let shown: String = body.chars().take(120).collect();
        assert_eq!(reply.problem(), (status, kind), "{shown}");
        assert!(!reply.text.contains("Zebedee") && !reply.text.contains("Quillfeather"), "{shown} was echoed: {}", reply.text);
    }
    assert!(house.history().iter().all(|kind| *kind == EventType::RequestRefused), "{:?}", house.history());
    assert_eq!(house.call(&event("documents.list")).await.ok(200)["documents"], json!([]), "nothing was registered");
}

#[tokio::test]
async fn an_announcement_must_be_declared_as_json() {
    let mut event = event("documents.create");
    set_media_type(&mut event, "text/plain");
    assert_eq!(House::new().call(&event).await.problem(), (415, "bad-content-type"));
}

#[tokio::test]
async fn a_page_of_a_list_has_its_bounds() {
    for (name, value) in [("limit", "0"), ("limit", "201"), ("limit", "-1"), ("limit", "many"), ("limit", ""), ("after", "x")] {
        let mut event = event("documents.list");
        event["queryStringParameters"] = json!({ name: value });
        event["multiValueQueryStringParameters"] = json!({ name: [value] });
        assert_eq!(House::new().call(&event).await.problem(), (400, "bad-parameter"), "{name}={value}");
    }
}

#[tokio::test]
async fn the_tenant_comes_from_the_token_and_the_key_from_us() {
    let house = House::new();
    let mut event = event_with_body(
        "documents.create",
        &json!({ "name": "Ünï çodé (1)+%2F&?#.PDF", "size_bytes": 10, "sha256": "0".repeat(64) }),
    );
    set_claim(&mut event, "custom:tenant", "west");
    let reply = house.call(&event).await;
    let url = reply.ok(201)["upload"]["url"].as_str().expect("a link").to_owned();
    assert!(url.starts_with("memory://tenants/west/") && url.ends_with("/Ünï çodé (1)+_2F&?_.PDF"), "{url}");
    assert_eq!(
        (&reply.body["document"]["title"], &reply.body["document"]["format"]),
        (&json!("Ünï çodé (1)+%2F&?#"), &json!("pdf"))
    );
}

#[tokio::test]
async fn i4_no_link_leaves_and_nothing_is_deleted_when_the_audit_row_cannot_be_stored() {
    let house = House::new();
    let id = house.index(KEY, TEXT, 1).await;
    house.audit.take_down();
    let names = ["create", "list", "show", "content", "describe", "delete"].map(|name| format!("documents.{name}"));
    for name in &names {
        let reply = house.call(&at(name, id.as_str())).await;
        assert_eq!(reply.problem(), (503, "unavailable"), "{name}");
        assert!(!reply.text.contains("memory://"), "{name}: a link left");
    }
    assert_eq!(house.documents.keys(), [KEY]);
    let row = house.row(KEY).await.expect("a row");
    assert_eq!(row.status, Status::Indexed);
}

#[tokio::test]
async fn a_document_without_content_cannot_be_opened() {
    let house = House::new();
    let reply = house.call(&event("documents.create")).await;
    let id = reply.ok(201)["document"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(house.call(&at("documents.content", &id)).await.problem(), (409, "conflict"));
}

#[tokio::test]
async fn a_failed_document_says_why_and_what_to_do() {
    let house = House::new();
    let id = house.index("tenants/main/locked.txt", "!encrypted", 1).await;
    let reply = house.call(&at("documents.show", id.as_str())).await;
    let body = reply.ok(200);
    assert_eq!((&body["status"], &body["reason"]), (&json!("failed"), &json!("encrypted")));
    assert!(body["advice"].as_str().is_some_and(|advice| advice.contains("password")), "{body}");
}

#[tokio::test]
async fn a_delete_that_is_cut_off_anywhere_can_be_repeated() {
    let mut cuts = 0;
    for after in 0.. {
        let house = House::new();
        let id = house.index(KEY, TEXT, 1).await;
        house.outage.begin_after(after);
        let cut = house.call(&at("documents.delete", id.as_str())).await;
        house.outage.end();
        if cut.status == 202 {
            break;
        }
        cuts += 1;
        assert_eq!(cut.problem(), (503, "unavailable"), "after {after} calls");
        assert_eq!(house.call(&at("documents.delete", id.as_str())).await.status, 202, "after {after} calls");
        assert_eq!(house.documents.keys(), [""; 0], "after {after} calls");
    }
    assert_eq!(cuts, 5, "find, intend, mark, remove, record");
}
