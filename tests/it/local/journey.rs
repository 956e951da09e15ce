//! A document's life as people see it: up, found by page, opened, replaced, gone.

use super::harness::{Person, citations, eventually, follow, sha256, stack};
use super::pdf::pdf;
use crate::repository;
use extract::Limits;
use serde_json::{Value, json};

/// The words of a page, with any white space between them.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cites(answer: &Value, id: &str) -> bool {
    answer.to_string().contains(id)
}

#[test]
fn an_uploaded_pdf_is_cited_by_page_opened_byte_for_byte_and_gone_after_its_deletion() {
    const FILE: &str = "samples/documents/LGH-CP-014-sepsis.pdf";
    let bytes = repository::bytes(FILE);
    let staff = stack().staff("journey");
    let id = staff.upload("LGH-CP-014 sepsis.pdf", Some("Sepsis in adults"), &bytes);
    let document = staff.settled(&id);
    assert_eq!(
        (&document["status"], &document["pages"], &document["title"]),
        (&json!("indexed"), &json!(3), &json!("Sepsis in adults"))
    );
    assert_eq!(staff.list(), std::slice::from_ref(&document));

    // The question, its page and its words are those of samples/questions.jsonl, which were checked with another parser.
    let question = "Which vasopressor do we reach for first in septic shock?";
    let answer = staff.ask(question);
    assert_eq!(answer["refused"], false, "{answer}");
    let citations = citations(&answer);
    let holds = citations
        .iter()
        .any(|c| c["page"] == 2 && words(c["quote"].as_str().unwrap()).contains("Noradrenaline is the first vasopressor"));
    assert!(holds, "{answer}");
    let read = extract::extract(&bytes, FILE, &Limits::default()).expect("the sample can be read");
    for citation in &citations {
        assert_eq!((&citation["document_id"], &citation["version"]), (&json!(id), &document["searchable_version"]));
        let number = |name: &str| usize::try_from(citation[name].as_u64().expect("a number")).expect("a place");
        let page = &read.pages[number("page") - 1];
        let quote = citation["quote"].as_str().expect("words");
        let there: String = page.text.chars().skip(number("start")).take(number("end") - number("start")).collect();
        assert_eq!(words(&there), words(quote), "the place on page {} holds other words", page.number);
        assert!(words(&page.text).contains(&words(quote)), "page {} does not say {quote:?}", page.number);
    }

    let link = staff.call("GET", &format!("/documents/{id}/content"), None).ok(200);
    let opened = follow(&link, &[], &[]);
    assert_eq!((opened.status, sha256(&opened.bytes)), (200, sha256(&bytes)));

    assert_eq!(staff.call("DELETE", &format!("/documents/{id}"), None).ok(202)["status"], "deleting");
    assert_eq!(staff.call("GET", &format!("/documents/{id}/content"), None).problem(), (404, "not-found"));
    assert_eq!(staff.settled(&id)["status"], "deleted");
    let signed = staff.call("GET", &format!("/documents/{id}/receipt"), None).ok(200);
    let receipt = &signed["receipt"];
    assert_eq!((&receipt["document_id"], &receipt["version"]), (&json!(id), &document["searchable_version"]), "{signed}");
    assert_eq!((&receipt["pages"], &receipt["chunks"]), (&document["pages"], &document["chunks"]));
    assert_eq!((&receipt["found_after"], &receipt["objects_left"]), (&json!(0), &json!(0)));
    // It was asked by its own words, and they found it as long as it was there.
    assert!(receipt["questions"].as_u64() > Some(5) && receipt["found_before"] == receipt["questions"], "{signed}");
    assert_eq!(receipt["kept_versions"], json!([document["version"]]));
    assert_eq!(signed["sha256"], sha256(receipt.to_string().as_bytes()));
    let after = staff.ask(question);
    assert!(after["refused"] == true && !cites(&after, &id), "{after}");
    assert_eq!(staff.list(), [json!(null); 0]);
}

#[test]
fn a_quote_is_on_the_page_that_the_citation_names_and_on_no_other() {
    let pages: [&[&str]; 3] = [
        &["Storage of insulin", "Unopened insulin pens are kept in the ward refrigerator at 2 to 8 degrees."],
        &["Storage of vaccines", "Vaccines that froze are thrown away and reported to the pharmacy duty line."],
        &["Storage of oxygen", "Oxygen cylinders are chained upright in the yard behind the boiler house."],
    ];
    let staff = stack().staff("pages");
    let id = staff.index("storage.pdf", None, &pdf(&pages));
    for (question, page) in [
        ("Where are unopened insulin pens kept?", 1),
        ("What happens to vaccines that froze?", 2),
        ("Where are oxygen cylinders chained?", 3),
    ] {
        let answer = staff.ask(question);
        let first = citations(&answer)[0];
        assert_eq!((&first["document_id"], &first["page"]), (&json!(id), &json!(page)), "{question}: {answer}");
        let quote = words(first["quote"].as_str().expect("words"));
        assert!(words(&pages[page - 1].join(" ")).contains(&quote), "page {page} does not say {quote:?}");
    }
}

#[test]
fn objects_put_straight_into_the_bucket_are_found_whatever_their_keys_are() {
    let staff = stack().staff("bucket");
    let names = ["plain.txt", "two words.txt", "a+b & c=d.txt", "Händehygiene – наука 衛生.txt", "100%25 (1)~!*'.txt"];
    for (at, name) in names.iter().enumerate() {
        let text = format!("Cupboard number {at} holds the spare {} gowns.", ["red", "blue", "green", "white", "black"][at]);
        stack().put_object(&format!("tenants/bucket/deep/er/{name}"), text.as_bytes());
    }
    for (name, colour) in names.iter().zip(["red", "blue", "green", "white", "black"]) {
        let document = staff.settled(staff.named(name)["id"].as_str().expect("an id"));
        assert_eq!(document["status"], "indexed", "{name}");
        let answer = staff.ask(&format!("Which cupboard holds the spare {colour} gowns?"));
        let first = citations(&answer)[0];
        assert_eq!(first["document_id"], document["id"], "{name}: {answer}");
    }
    for name in names {
        stack().delete_object(&format!("tenants/bucket/deep/er/{name}"));
    }
    eventually("all five are gone", || staff.list().is_empty().then_some(()));
    assert_eq!(staff.ask("Which cupboard holds the spare red gowns?")["refusal"]["reason"], "no_documents");
}

#[test]
fn an_object_outside_any_tenants_folder_is_the_default_tenants() {
    let staff = stack().staff("main");
    stack().put_object("guidelines/ice cream.txt", b"The ice cream machine of the staff canteen is cleaned on Thursdays.");
    let document = staff.settled(staff.named("ice cream.txt")["id"].as_str().expect("an id"));
    assert_eq!(document["status"], "indexed");
    let answer = staff.ask("When is the ice cream machine of the staff canteen cleaned?");
    assert_eq!(citations(&answer)[0]["document_id"], document["id"], "{answer}");
    assert!(!stack().staff("other").list().iter().any(|d| d["id"] == document["id"]));
}

#[test]
fn a_new_version_through_the_api_is_cited_and_the_one_before_is_opened_byte_for_byte() {
    const QUESTION: &str = "On which day is the eye wash station tested?";
    let versions: [&[u8]; 2] =
        [b"The eye wash station is tested every Monday.", b"The eye wash station is tested every Thursday at noon."];
    let staff = stack().staff("versions");
    let id = staff.index("eye-wash.txt", Some("Eye wash"), versions[0]);
    let first = staff.settled(&id)["version"].clone();
    let body = json!({ "size_bytes": versions[1].len(), "sha256": sha256(versions[1]) });
    let announced = staff.call("POST", &format!("/documents/{id}/versions"), Some(&body)).ok(201);
    // The link takes the announced bytes and no others.
    assert_eq!(follow(&announced["upload"], b"The eye wash station is tested on no day at all, ever.", &[]).status / 100, 4);
    assert_eq!(follow(&announced["upload"], versions[1], &[]).status, 200);
    let second = eventually("the new version is searchable", || {
        Some(staff.settled(&id)).filter(|now| now["searchable_version"] != first && now["status"] == "indexed")
    });
    assert_eq!(second["title"], "Eye wash", "the title stays");
    let answer = staff.ask(QUESTION);
    let cited = citations(&answer)[0];
    assert_eq!((&cited["version"], answer.to_string().contains("Monday")), (&second["version"], false), "{answer}");

    let listed = staff.call("GET", &format!("/documents/{id}/versions"), None).ok(200);
    let kept = listed["versions"].as_array().expect("versions");
    let seen: Vec<_> = kept.iter().map(|v| (&v["version"], v["is_newest"] == true, v["is_searchable"] == true)).collect();
    assert_eq!(seen, [(&second["version"], true, true), (&first, false, false)]);
    for (version, bytes) in kept.iter().zip([versions[1], versions[0]]) {
        let named = version["version"].as_str().expect("a version");
        let link = staff.call("GET", &format!("/documents/{id}/content?version={named}"), None).ok(200);
        assert_eq!(follow(&link, &[], &[]).bytes, bytes);
    }
    staff.call("DELETE", &format!("/documents/{id}"), None).ok(202);
    assert_eq!(staff.call("GET", &format!("/documents/{id}/versions"), None).problem(), (404, "not-found"));
}

#[test]
fn a_document_of_the_same_key_is_replaced_and_only_its_new_version_is_cited() {
    const KEY: &str = "tenants/replace/rota.txt";
    const QUESTION: &str = "Who holds the keys of the blood bank at night?";
    let staff = stack().staff("replace");
    stack().put_object(KEY, b"The porter holds the keys of the blood bank at night.");
    let id = staff.named("rota.txt")["id"].as_str().expect("an id").to_owned();
    let first = staff.settled(&id);
    let quote = |answer: &Value| citations(answer)[0]["quote"].as_str().expect("words").to_owned();
    assert!(quote(&staff.ask(QUESTION)).contains("porter"));
    stack().put_object(KEY, b"The site manager holds the keys of the blood bank at night.");
    let second = eventually("the new version is searchable", || {
        let now = staff.settled(&id);
        (now["searchable_version"] != first["searchable_version"]).then_some(now)
    });
    let answer = staff.ask(QUESTION);
    assert!(quote(&answer).contains("site manager") && !answer.to_string().contains("porter"), "{answer}");
    assert_eq!(citations(&answer)[0]["version"], second["searchable_version"]);
    assert_eq!(staff.list().len(), 1, "one key is one document");

    // A new version that cannot be read: the state says so, and the last good one stays searchable.
    stack().put_object(KEY, b"");
    let third = eventually("the empty version is seen", || Some(staff.settled(&id)).filter(|now| now["status"] == "failed"));
    assert_eq!((&third["reason"], &third["searchable_version"]), (&json!("empty"), &second["searchable_version"]));
    assert_eq!(citations(&staff.ask(QUESTION))[0]["version"], second["searchable_version"]);
    let link = staff.call("GET", &format!("/documents/{id}/content"), None).ok(200);
    assert!(follow(&link, &[], &[]).text().contains("site manager"), "the link opens what answers cite");
}

#[test]
fn progress_is_visible_and_the_announced_document_is_listed_before_it_arrives() {
    let staff = stack().staff("progress");
    let text = b"Announced before it arrives.";
    let (id, link) = staff.announce("late Ünï (1)+%2F&?#='.txt", None, text);
    assert_eq!(staff.show(&id)["status"], "awaiting_upload");
    assert_eq!(staff.list().len(), 1);
    assert_eq!(staff.call("GET", &format!("/documents/{id}/content"), None).problem(), (409, "conflict"));
    assert_eq!(follow(&link, text, &[]).status, 200);
    assert_eq!(staff.settled(&id)["status"], "indexed");
}

#[test]
fn an_announced_document_that_never_arrives_can_be_deleted() {
    let staff = stack().staff("never");
    let (id, _) = staff.announce("never.txt", None, b"never sent");
    assert_eq!(staff.call("DELETE", &format!("/documents/{id}"), None).status, 202);
    assert_eq!(staff.settled(&id)["status"], "deleted");
}

#[test]
fn an_answer_of_the_api_names_the_request_that_is_in_its_audit_row() {
    let staff: Person = stack().staff("trace");
    let answer = staff.ask("Is there anything at all?");
    assert_eq!(answer["refusal"]["reason"], "no_documents");
    let rows = stack().audit_rows("trace");
    let [row] = rows.as_slice() else { panic!("{} rows for one question", rows.len()) };
    assert_eq!(row["request_id"]["S"], answer["trace_id"]);
    assert_eq!(row["entity_id"]["S"], answer["conversation_id"]);
}
