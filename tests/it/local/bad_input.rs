//! What strangers and broken clients send.

use super::harness::{Person, Reply, follow, sha256, stack};
use crate::repository;
use serde_json::json;

const SECRET: &str = "Zebedee Quillfeather";

#[track_caller]
fn refused(reply: &Reply, status: u16, kind: &str) {
    assert_eq!(reply.problem(), (status, kind), "{}", reply.text());
    assert!(!reply.text().contains("Zebedee"), "content was echoed: {}", reply.text());
}

fn staff() -> Person {
    stack().staff("bad-input")
}

#[test]
fn without_a_valid_identity_token_every_route_is_a_401() {
    let person = staff();
    let (head, signature) = person.id_token.rsplit_once('.').expect("a signed token");
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let tokens = [None, Some(""), Some("garbage"), Some("a.b.c"), Some(forged.as_str()), Some(person.access_token.as_str())];
    for token in tokens {
        for (method, path, body) in
            [("POST", "/chat", "{}"), ("POST", "/documents", "{}"), ("GET", "/documents", ""), ("DELETE", "/documents/x", "")]
        {
            let reply = stack().api(method, path, token, "application/json", body.as_bytes());
            refused(&reply, 401, "sign-in-required");
            assert_eq!(reply.headers.get("www-authenticate").map(String::as_str), Some("Bearer"), "{method} {path}");
        }
    }
}

#[test]
fn a_wrong_password_and_an_unknown_person_are_the_same_answer() {
    let sign_in = |username: &str, password: &str| {
        let parameters = json!({ "USERNAME": username, "PASSWORD": password });
        let auth = json!({ "AuthFlow": "USER_PASSWORD_AUTH", "ClientId": stack().output("UserPoolClientId"), "AuthParameters": parameters });
        stack().aws("cognito-idp", "initiate_auth", auth)
    };
    staff();
    assert_eq!(sign_in("clinician.document-admin.bad-input@clinchat.example", "wrong"), Err("NotAuthorizedException".into()));
    assert_eq!(sign_in("nobody-at-all@clinchat.example", "wrong"), Err("NotAuthorizedException".into()));
}

#[test]
fn unknown_routes_and_wrong_methods_are_a_404_with_a_problem() {
    let person = staff();
    let cases = [
        ("GET", "/nowhere"),
        ("GET", "/"),
        ("GET", "/chat"),
        ("PUT", "/documents"),
        ("POST", "/documents/x"),
        ("PATCH", "/documents"),
        ("GET", "/documents/x/y"),
    ];
    for (method, path) in cases {
        refused(&person.call(method, path, None), 404, "no-such-route");
    }
}

#[test]
fn bad_bodies_and_questions_are_problems_that_echo_nothing() {
    let person = staff();
    let send =
        |path: &str, media_type: &str, body: &str| stack().api("POST", path, Some(&person.id_token), media_type, body.as_bytes());
    let json = "application/json";
    let question = |text: &str| json!({ "question": text }).to_string();
    refused(&send("/chat", json, "{"), 400, "bad-body");
    refused(&send("/chat", json, &format!("{{\"question\": \"{SECRET}\"")), 400, "bad-body");
    refused(&send("/chat", json, &json!({ "q": SECRET }).to_string()), 400, "bad-body");
    refused(&send("/chat", "text/plain", &question(SECRET)), 415, "bad-content-type");
    refused(&send("/chat", json, ""), 415, "bad-content-type");
    refused(&send("/chat", json, &question(&SECRET.repeat(3_600))), 413, "body-too-large");
    refused(&send("/chat", json, &question(&SECRET.repeat(201))), 400, "bad-question");
    refused(&send("/chat", json, &question(" ")), 400, "bad-question");
    refused(&send("/chat", json, &question(&format!("{SECRET}\u{8}"))), 400, "bad-question");
    refused(&send("/chat", json, &json!({ "question": SECRET, "conversation_id": SECRET }).to_string()), 400, "bad-parameter");
    refused(
        &send("/chat", json, &json!({ "question": SECRET, "filters": { "documents": [SECRET] } }).to_string()),
        400,
        "bad-parameter",
    );
    refused(
        &send(
            "/documents",
            json,
            &json!({ "name": format!("{SECRET}.exe"), "size_bytes": 1, "sha256": "0".repeat(64) }).to_string(),
        ),
        400,
        "bad-document",
    );
    refused(
        &send("/documents", json, &json!({ "name": "a.pdf", "size_bytes": 60 << 20, "sha256": "0".repeat(64) }).to_string()),
        400,
        "bad-document",
    );
    refused(&person.call("GET", "/documents?limit=1000", None), 400, "bad-parameter");
    refused(&person.call("GET", "/documents?after=Zebedee", None), 400, "bad-parameter");
    refused(&person.call("GET", "/documents/Zebedee", None), 404, "not-found");
}

#[test]
fn an_upload_link_takes_exactly_what_was_announced_and_nothing_else_arrives() {
    let person = stack().staff("bad-upload");
    let text = b"Exactly these bytes were announced.";
    let (id, link) = person.announce("exact.txt", None, text);
    let other = b"EXACTLY these bytes were announced.";
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(sha256(other).as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("a digit");
    }
    let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    let mut elsewhere = link.clone();
    elsewhere["url"] = link["url"].as_str().expect("a link").replacen("/tenants/bad-upload/", "/tenants/main/", 1).into();
    let cases: [(&str, Reply, u16); 6] = [
        ("other bytes", follow(&link, other, &[]), 400),
        ("other bytes with their own checksum", follow(&link, other, &[("x-amz-checksum-sha256", &digest)]), 403),
        ("without the checksum", follow(&link, text, &[("x-amz-checksum-sha256", "")]), 403),
        ("another type", follow(&link, text, &[("content-type", "text/html")]), 403),
        ("more bytes", follow(&link, &[text.as_slice(), b"!"].concat(), &[]), 403),
        ("another tenant's folder", follow(&elsewhere, text, &[]), 403),
    ];
    for (what, reply, status) in cases {
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
    }
    assert_eq!(person.show(&id)["status"], "awaiting_upload");
    let (_, anonymous) = link["url"].as_str().expect("a link").split_once('?').expect("a signature");
    let mut unsigned = link.clone();
    unsigned["url"] = link["url"].as_str().expect("a link").replace(&format!("?{anonymous}"), "").into();
    assert_eq!(follow(&unsigned, text, &[]).status, 403, "without a signature");
    // The link still works for what it is for.
    assert_eq!(follow(&link, text, &[]).status, 200);
    assert_eq!(person.settled(&id)["status"], "indexed");
    let listed = stack().aws(
        "s3",
        "list_object_versions",
        json!({ "Bucket": stack().output("DocumentsBucket"), "Prefix": "tenants/bad-upload/" }),
    );
    assert_eq!(listed.expect("a list")["Versions"].as_array().map(Vec::len), Some(1), "only the announced bytes arrived");
}

#[test]
fn every_file_that_cannot_be_read_ends_in_a_state_with_its_reason_and_leaves_nothing_in_the_index() {
    let person = stack().staff("bad-files");
    let sample = repository::bytes("samples/documents/LGH-CP-021-vte-prophylaxis.pdf");
    let blank = super::pdf::pdf(&[&[]]);
    let cases: [(&str, &[u8], &str); 6] = [
        ("no-pdf.pdf", b"This is no PDF.", "unsupported"),
        ("binary.txt", &[0, 159, 146, 150, 0, 0], "unsupported"),
        ("locked.pdf", &repository::bytes("shared/extract/tests/fixtures/locked.pdf"), "encrypted"),
        ("damaged.pdf", &sample[..sample.len() / 3], "malformed"),
        ("blank.txt", b" \n\n ", "empty"),
        ("blank.pdf", &blank, "empty"),
    ];
    let ids: Vec<String> = cases.iter().map(|(name, bytes, _)| person.upload(name, None, bytes)).collect();
    stack().put_object("tenants/bad-files/empty.pdf", b"");
    let empty = person.settled(person.named("empty.pdf")["id"].as_str().expect("an id"));
    assert_eq!((&empty["status"], &empty["reason"]), (&json!("failed"), &json!("empty")));
    for ((name, _, reason), id) in cases.iter().zip(&ids) {
        let document = person.settled(id);
        assert_eq!((&document["status"], &document["reason"]), (&json!("failed"), &json!(reason)), "{name}");
        assert!(document["advice"].as_str().is_some_and(|advice| advice.len() > 20), "{name}: {document}");
        assert_eq!(document.get("searchable_version"), None, "{name}");
    }
    let found =
        stack().aws("s3", "list_objects_v2", json!({ "Bucket": stack().output("IndexBucket"), "Prefix": "index/bad-files/" }));
    let found = found.expect("a list");
    let keys: Vec<&str> =
        found["Contents"].as_array().into_iter().flatten().filter_map(|object| object["Key"].as_str()).collect();
    assert_eq!(keys, ["index/bad-files/manifest.json"], "something was half-indexed; the manifest only remembers the events");
    assert_eq!(person.ask("Is this a PDF?")["refusal"]["reason"], "no_documents");
    let failed = stack().audit_rows("bad-files").iter().filter(|row| row["event_type"]["S"] == "document_failed").count();
    assert_eq!(failed, cases.len() + 1, "each failure has its audit row");
}
