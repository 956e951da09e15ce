//! Each role on each route, over real HTTP.

use super::harness::{Person, stack};
use serde_json::json;

/// Calls every route; `true` where the role was let in.
fn doors(person: &Person, id: &str) -> Vec<bool> {
    let question = json!({ "question": "Is the door open?" });
    let announcement = json!({ "name": "a.txt", "size_bytes": 1, "sha256": "0".repeat(64) });
    let description = json!({ "tags": ["doors"] });
    let document = format!("/documents/{id}");
    let calls = [
        ("POST", "/chat".to_owned(), Some(&question)),
        ("POST", "/documents".to_owned(), Some(&announcement)),
        ("GET", "/documents".to_owned(), None),
        ("GET", document.clone(), None),
        ("GET", format!("{document}/content"), None),
        ("PATCH", document.clone(), Some(&description)),
        ("DELETE", document, None),
    ];
    let calls = calls.iter().map(|(method, path, body)| {
        let reply = person.call(method, path, *body);
        if reply.status == 403 {
            assert_eq!(reply.problem(), (403, "denied"), "{method} {path}");
        } else {
            assert!((200..300).contains(&reply.status), "{method} {path}: {}", reply.text());
        }
        reply.status != 403
    });
    calls.collect()
}

#[test]
fn each_role_passes_the_doors_of_the_policy_and_no_other() {
    const TENANT: &str = "roles";
    let stack = stack();
    let admin = stack.person(TENANT, &["document-admin"]);
    // Those who may delete come last.
    let policy: [(&[&str], [bool; 7]); 7] = [
        (&[], [false; 7]),
        (&["auditor"], [false; 7]),
        (&["operator"], [false, false, true, true, false, false, false]),
        (&["access-admin"], [false, false, true, true, false, false, false]),
        (&["clinician"], [true, false, true, true, true, false, false]),
        (&["auditor", "clinician"], [true, false, true, true, true, false, false]),
        (&["document-admin"], [true; 7]),
    ];
    let id = admin.index("door.txt", None, b"The door is open.");
    for (groups, expected) in policy {
        assert_eq!(
            doors(&stack.person(TENANT, groups), &id),
            expected,
            "{groups:?}: ask, upload, list, show, open, describe, delete"
        );
    }
}

#[test]
fn an_account_without_a_tenant_is_refused_everywhere() {
    let person = stack().person("", &["clinician", "document-admin"]);
    assert_eq!(doors(&person, "doc_01h2xcejqtf2nbrexx3vqjhp41"), [false; 7]);
}
