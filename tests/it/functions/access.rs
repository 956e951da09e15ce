//! Access lists: every pair of tenants and groups on every route, and what a change of them does.

use super::{House, document_id, event, event_with_body, object_event, set_claim, set_document};
use domain::audit::EventType;
use serde_json::{Value, json};

const TENANTS: [&str; 2] = ["main", "west"];
/// Every set of two groups: for documents and for callers.
const LISTS: [&[&str]; 4] = [&[], &["icu"], &["oncology"], &["icu", "oncology"]];
const WORDS: [&str; 8] = ["boiler", "corridor", "parking", "pharmacy", "laundry", "kitchen", "library", "chapel"];

/// A document of the matrix.
struct Listed {
    tenant: &'static str,
    groups: &'static [&'static str],
    key: String,
    word: &'static str,
}

impl Listed {
    fn id(&self) -> String {
        document_id(&self.key).as_str().to_owned()
    }

    fn is_for(&self, tenant: &str, groups: &[&str]) -> bool {
        self.tenant == tenant && (self.groups.is_empty() || self.groups.iter().any(|group| groups.contains(group)))
    }
}

fn matrix() -> Vec<Listed> {
    let places = TENANTS.iter().flat_map(|tenant| LISTS.iter().map(move |groups| (*tenant, *groups)));
    let listed = places.zip(WORDS).map(|((tenant, groups), word)| {
        let key = format!("tenants/{tenant}/{word}.txt");
        Listed { tenant, groups, key, word }
    });
    listed.collect()
}

/// An event of somebody in these groups, with every role that a person of the wards may have.
fn by(mut event: Value, tenant: &str, groups: &[&str]) -> Value {
    let names = ["clinician", "document-admin"].into_iter().map(str::to_owned);
    let names = names.chain(groups.iter().map(|group| format!("access:{group}"))).collect::<Vec<_>>().join(",");
    set_claim(&mut event, "custom:tenant", tenant);
    set_claim(&mut event, "cognito:groups", &names);
    event
}

fn at(name: &str, id: &str) -> Value {
    let mut event = event(name);
    set_document(&mut event, id);
    event
}

fn describing(id: &str, body: &Value) -> Value {
    let mut event = event_with_body("documents.describe", body);
    set_document(&mut event, id);
    event
}

/// A hospital with these documents, each indexed before its access list is set.
async fn house(documents: impl Iterator<Item = &Listed>) -> House {
    let house = House::new();
    for document in documents {
        let text = format!("The {} is open from seven to nine for everybody with a badge.", document.word);
        house.index(&document.key, &text, 1).await;
        let change = describing(&document.id(), &json!({ "groups": document.groups, "tags": [document.word] }));
        house.call(&by(change, document.tenant, document.groups)).await.ok(200);
    }
    house
}

#[tokio::test]
async fn every_pair_of_tenants_and_groups_sees_what_it_may_and_cannot_tell_the_rest_from_absent() {
    let documents = matrix();
    let house = house(documents.iter()).await;
    let absent = "doc_01h2xcejqtf2nbrexx3vqjhp41";
    let mut pairs = 0;
    for (tenant, groups) in TENANTS.iter().flat_map(|tenant| LISTS.iter().map(move |groups| (tenant, groups))) {
        let listed = house.call(&by(event("documents.list"), tenant, groups)).await;
        let mut listed: Vec<&str> =
            listed.ok(200)["documents"].as_array().expect("a list").iter().map(|d| d["id"].as_str().expect("an id")).collect();
        listed.sort_unstable();
        let mut expected: Vec<String> = documents.iter().filter(|d| d.is_for(tenant, groups)).map(Listed::id).collect();
        expected.sort_unstable();
        assert_eq!(listed, expected, "{tenant} {groups:?}");
        for document in &documents {
            pairs += 1;
            let (id, sees) = (document.id(), document.is_for(tenant, groups));
            let what = format!("{tenant} {groups:?} -> {} {:?}", document.tenant, document.groups);
            for name in ["documents.show", "documents.content", "documents.describe"] {
                let reply = house.call(&by(at(name, &id), tenant, groups)).await;
                if sees {
                    assert_eq!(reply.status, 200, "{what}: {name}");
                } else {
                    let missing = house.call(&by(at(name, absent), tenant, groups)).await;
                    assert_eq!(reply.problem(), (404, "not-found"), "{what}: {name}");
                    assert_eq!(reply.text, missing.text, "{what}: {name}");
                }
            }
            let question = format!("When is the {} open?", document.word);
            for filters in [json!({}), json!({ "documents": [id] }), json!({ "tags": [document.word] })] {
                let body = json!({ "question": question, "filters": filters });
                let reply = house.ask(&by(event_with_body("chat.ask", &body), tenant, groups)).await;
                let is_named = reply.ok(200).to_string().contains(&id) || reply.text.contains(&format!("The {}", document.word));
                // The sample's own tags were written over the word's; a filter that matches nothing is tried all the same.
                let is_found = sees && filters != json!({ "tags": [document.word] });
                if is_found || !sees {
                    assert_eq!(is_named, is_found, "{what}: {filters} {}", reply.text);
                }
                if !sees && filters != json!({}) {
                    let reason = reply.body["refusal"]["reason"].as_str();
                    assert!(matches!(reason, Some("no_match" | "no_documents")), "{what}: {filters} {reason:?}");
                }
            }
        }
    }
    assert_eq!(pairs, 64);
}

/// Without what differs from one hospital to the next: times, and the versions that the bucket counts up.
fn timeless(body: Value) -> Value {
    const TIMES: [&str; 4] = ["created_at", "updated_at", "version", "searchable_version"];
    match body {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(name, _)| !TIMES.contains(&name.as_str()));
            Value::Object(fields.map(|(name, value)| (name, timeless(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(timeless).collect(),
        plain => plain,
    }
}

#[tokio::test]
async fn what_a_caller_may_not_see_has_no_influence_on_anything_that_comes_back() {
    let documents = matrix();
    for (tenant, groups) in TENANTS.iter().flat_map(|tenant| LISTS.iter().map(move |groups| (tenant, groups))) {
        let whole = house(documents.iter()).await;
        let part = house(documents.iter().filter(|document| document.is_for(tenant, groups))).await;
        // A damaged segment of somebody else's document is not reported either.
        for document in documents.iter().filter(|document| !document.is_for(tenant, groups)) {
            let folder = format!("index/{}/{}/", document.tenant, document.id());
            for key in whole.index.keys().into_iter().filter(|key| key.starts_with(&folder)) {
                whole.index.damage(&key, |bytes| bytes[100] ^= 1);
            }
        }
        for word in WORDS {
            let conversation = "01M80PDYFA0000000000000000";
            let body = json!({ "question": format!("When is the {word} open?"), "conversation_id": conversation });
            let ask = by(event_with_body("chat.ask", &body), tenant, groups);
            let (whole, part) = (whole.ask(&ask).await, part.ask(&ask).await);
            assert_eq!(timeless(whole.ok(200).clone()), timeless(part.ok(200).clone()), "{tenant} {groups:?} {word}");
        }
        let mut list = by(event("documents.list"), tenant, groups);
        for limit in ["1", "2", "200"] {
            list["queryStringParameters"] = json!({ "limit": limit });
            list["multiValueQueryStringParameters"] = json!({ "limit": [limit] });
            let (whole, part) = (whole.call(&list).await, part.call(&list).await);
            assert_eq!(timeless(whole.ok(200).clone()), timeless(part.ok(200).clone()), "{tenant} {groups:?} limit {limit}");
        }
    }
}

#[tokio::test]
async fn a_document_that_may_not_be_seen_cannot_be_deleted() {
    let documents = matrix();
    let house = house(documents.iter()).await;
    for (tenant, groups) in TENANTS.iter().flat_map(|tenant| LISTS.iter().map(move |groups| (tenant, groups))) {
        for document in documents.iter().filter(|document| !document.is_for(tenant, groups)) {
            let reply = house.call(&by(at("documents.delete", &document.id()), tenant, groups)).await;
            assert_eq!(reply.problem(), (404, "not-found"), "{tenant} {groups:?} {}", document.key);
        }
    }
    assert_eq!(house.documents.keys().len(), documents.len());
    for document in &documents {
        let delete = by(at("documents.delete", &document.id()), document.tenant, document.groups);
        assert_eq!(house.call(&delete).await.status, 202);
    }
    assert_eq!(house.documents.keys(), [""; 0]);
}

#[tokio::test]
async fn groups_of_the_request_count_for_nothing() {
    let house = House::new();
    let id = house.index("tenants/main/a.txt", "The vault is behind the chapel.", 1).await;
    house.call(&by(describing(id.as_str(), &json!({ "groups": ["icu"] })), "main", &["icu"])).await.ok(200);
    for body in [
        json!({ "question": "Where is the vault?", "groups": ["icu"] }),
        json!({ "question": "Where is the vault?", "filters": { "groups": ["icu"] } }),
    ] {
        let reply = house.ask(&by(event_with_body("chat.ask", &body), "main", &[])).await;
        assert_eq!(reply.problem(), (400, "bad-body"));
    }
    // Names that only look like an access group.
    for claim in ["clinician,icu", "clinician,access:", "clinician,access:*", "clinician,Access:icu", "clinician,access:icu2"] {
        let mut show = at("documents.show", id.as_str());
        set_claim(&mut show, "cognito:groups", claim);
        assert_eq!(house.call(&show).await.problem(), (404, "not-found"), "{claim}");
    }
}

#[tokio::test]
async fn one_sets_the_groups_that_one_is_in_and_an_access_admin_any() {
    let house = House::new();
    let mut body: Value = serde_json::from_str(event("documents.create")["body"].as_str().expect("a body")).expect("JSON");
    body["groups"] = json!(["icu"]);
    let announce = |groups: &[&str]| by(event_with_body("documents.create", &body), "main", groups);
    assert_eq!(house.call(&announce(&["oncology"])).await.problem(), (403, "denied"));
    let reply = house.call(&announce(&["icu"])).await;
    let id = reply.ok(201)["document"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(reply.body["document"]["groups"], json!(["icu"]));

    let set = |groups: &[&str]| describing(&id, &json!({ "groups": groups }));
    assert_eq!(house.call(&by(set(&["icu", "oncology"]), "main", &["icu"])).await.problem(), (403, "denied"));
    let both = house.call(&by(set(&["icu", "oncology"]), "main", &["icu", "oncology"])).await;
    assert_eq!(both.ok(200)["groups"], json!(["icu", "oncology"]));
    // Neither to everybody nor away from the others.
    for groups in [&[][..], &["icu"]] {
        assert_eq!(house.call(&by(set(groups), "main", &["icu"])).await.problem(), (403, "denied"), "{groups:?}");
    }

    let mut admin = set(&["theatre"]);
    set_claim(&mut admin, "cognito:groups", "access-admin");
    assert_eq!(house.call(&admin).await.ok(200)["groups"], json!(["theatre"]));
    assert_eq!(house.call(&by(at("documents.show", &id), "main", &["icu"])).await.problem(), (404, "not-found"));
    // Who decides about access lists the document, but is not let in by that.
    let mut open = at("documents.content", &id);
    set_claim(&mut open, "cognito:groups", "access-admin,document-admin");
    assert_eq!(house.call(&open).await.problem(), (404, "not-found"));
    let mut retitle = describing(&id, &json!({ "title": "Another" }));
    set_claim(&mut retitle, "cognito:groups", "access-admin");
    assert_eq!(house.call(&retitle).await.problem(), (403, "denied"));
}

#[tokio::test]
async fn a_description_changes_the_row_and_what_searches_see_without_embedding_and_is_audited() {
    let house = House::new();
    let id = house.index("tenants/main/pump.txt", "The syringe pump is flushed every morning.", 1).await;
    let segments =
        |house: &House| house.index.keys().into_iter().filter(|key| !key.ends_with("manifest.json")).collect::<Vec<_>>();
    let before = segments(&house);
    let ask =
        |filters: Value| event_with_body("chat.ask", &json!({ "question": "When is the pump flushed?", "filters": filters }));
    let is_answered = async |filters: Value| {
        let reply = house.ask(&ask(filters)).await;
        let refusal = reply.ok(200)["refusal"]["reason"].clone();
        assert!(refusal.is_null() || refusal == "no_match", "{refusal}");
        refusal.is_null()
    };
    assert!(is_answered(json!({})).await);
    for filters in [json!({ "tags": ["pumps"] }), json!({ "from": "2026-01-01" }), json!({ "to": "2026-12-31" })] {
        assert!(!is_answered(filters.clone()).await, "{filters}: nothing is said about it yet");
    }
    let change = json!({ "title": "Pumps", "tags": ["Pumps", "icu gear"], "date": "2026-03-01" });
    let described = house.call(&describing(id.as_str(), &change)).await;
    let body = described.ok(200);
    assert_eq!(
        (&body["title"], &body["tags"], &body["date"], &body["status"]),
        (&json!("Pumps"), &json!(["icu gear", "pumps"]), &json!("2026-03-01"), &json!("indexed"))
    );
    assert_eq!(house.history().last(), Some(&EventType::DocumentDescribed));
    assert_eq!(house.call(&at("documents.show", id.as_str())).await.ok(200)["tags"], body["tags"]);
    assert_eq!(segments(&house), before, "nothing was embedded again");
    for (filters, expected) in [
        (json!({ "tags": ["pumps"] }), true),
        (json!({ "tags": ["PUMPS", "other"] }), true),
        (json!({ "tags": ["pump"] }), false),
        (json!({ "from": "2026-03-01", "to": "2026-03-01" }), true),
        (json!({ "from": "2026-03-02" }), false),
        (json!({ "to": "2026-02-28" }), false),
        (json!({ "documents": [id.as_str()], "tags": ["pumps"], "from": "2026-01-01" }), true),
        (json!({ "documents": ["doc_01h2xcejqtf2nbrexx3vqjhp41"] }), false),
    ] {
        assert_eq!(is_answered(filters.clone()).await, expected, "{filters}");
    }
    let answer = house.ask(&ask(json!({}))).await;
    assert_eq!(answer.ok(200)["answer"][0]["citations"][0]["title"], "Pumps");

    // What is said about it outlives a new version, and a date is taken away by null.
    house.index("tenants/main/pump.txt", "The syringe pump is flushed every evening.", 2).await;
    assert!(is_answered(json!({ "tags": ["pumps"] })).await);
    let undated = house.call(&describing(id.as_str(), &json!({ "date": null }))).await;
    assert_eq!((undated.ok(200).get("date"), &undated.body["title"]), (None, &json!("Pumps")));
    assert!(!is_answered(json!({ "from": "2026-01-01" })).await);
}

#[tokio::test]
async fn an_access_list_holds_from_the_first_moment_of_a_document() {
    let house = House::new();
    let mut body: Value = serde_json::from_str(event("documents.create")["body"].as_str().expect("a body")).expect("JSON");
    body["name"] = json!("rota.txt");
    body["media_type"] = json!("text/plain");
    body["groups"] = json!(["icu"]);
    let reply = house.call(&by(event_with_body("documents.create", &body), "main", &["icu"])).await;
    let key = reply.ok(201)["upload"]["url"].as_str().expect("a link").trim_start_matches("memory://").to_owned();
    house.index(&key, "The rota is pinned beside the kettle.", 1).await;
    let ask = |groups: &[&str]| by(event_with_body("chat.ask", &json!({ "question": "Where is the rota?" })), "main", groups);
    assert_eq!(house.ask(&ask(&[])).await.ok(200)["refusal"]["reason"], "no_documents");
    assert_eq!(house.ask(&ask(&["icu"])).await.ok(200)["refused"], false);

    // Said between the claim and the index's write: the newer word wins.
    let id = document_id(&key);
    house.call(&by(describing(id.as_str(), &json!({ "groups": [] })), "main", &["icu"])).await.ok(200);
    assert_eq!(house.ask(&ask(&[])).await.ok(200)["refused"], false);
    assert_eq!(house.deliver(&object_event("Object Created", &key, 1)).await, [""; 0], "a repeat");
    assert_eq!(house.ask(&ask(&[])).await.ok(200)["refused"], false);
}

#[tokio::test]
async fn a_description_that_is_cut_off_anywhere_is_made_whole_by_repeating_it_or_by_the_indexer() {
    const KEY: &str = "tenants/main/key.txt";
    let mut cuts = 0;
    for after in 0.. {
        for is_lost in [false, true] {
            let house = House::new();
            let id = house.index(KEY, "The spare key hangs behind the door.", 1).await;
            let change = by(describing(id.as_str(), &json!({ "groups": ["icu"] })), "main", &["icu"]);
            if is_lost {
                house.outage.lose_answer_after(after);
            } else {
                house.outage.begin_after(after);
            }
            let cut = house.call(&change).await;
            house.outage.end();
            if cut.status == 200 {
                assert!(cuts >= 4, "only {cuts} cuts");
                return;
            }
            cuts += 1;
            assert_eq!(cut.problem(), (503, "unavailable"), "after {after} calls");
            assert_eq!(house.call(&change).await.status, 200, "after {after} calls");
            let ask = by(event_with_body("chat.ask", &json!({ "question": "Where is the spare key?" })), "main", &[]);
            assert_eq!(house.ask(&ask).await.ok(200)["refusal"]["reason"], "no_documents", "after {after} calls");
        }
    }
}

#[tokio::test]
async fn bad_descriptions_are_named_and_change_nothing() {
    const SECRET: &str = "Zebedee Quillfeather";
    let house = House::new();
    let id = house.index("tenants/main/a.txt", "Some text about nothing.", 1).await;
    for (kind, body) in [
        ("bad-body", json!([])),
        ("bad-body", json!({ "status": SECRET })),
        ("bad-body", json!({ "tags": SECRET })),
        ("bad-document", json!({})),
        ("bad-document", json!({ "title": "" })),
        ("bad-document", json!({ "title": format!("{SECRET}\n") })),
        ("bad-document", json!({ "tags": [format!("{SECRET}/")] })),
        ("bad-document", json!({ "tags": (0..11).map(|n| n.to_string()).collect::<Vec<_>>() })),
        ("bad-document", json!({ "date": "01.03.2026" })),
        ("bad-document", json!({ "date": "2026-02-30" })),
        ("bad-document", json!({ "groups": [SECRET] })),
        ("bad-document", json!({ "groups": ["*"] })),
    ] {
        let reply = house.call(&describing(id.as_str(), &body)).await;
        assert_eq!(reply.problem(), (400, kind), "{body}");
        assert!(!reply.text.contains("Zebedee"), "{body} was echoed");
    }
    for filters in [
        json!({ "tags": [SECRET.repeat(4)] }),
        json!({ "from": "yesterday" }),
        json!({ "from": "2026-02-01", "to": "2026-01-31" }),
        json!({ "tags": (0..11).map(|n| n.to_string()).collect::<Vec<_>>() }),
    ] {
        let reply = house.ask(&event_with_body("chat.ask", &json!({ "question": "q", "filters": filters }))).await;
        assert_eq!(reply.problem(), (400, "bad-parameter"), "{filters}");
    }
    let mut list = event("documents.list");
    list["queryStringParameters"] = json!({ "tag": "a/b" });
    list["multiValueQueryStringParameters"] = json!({ "tag": ["a/b"] });
    assert_eq!(house.call(&list).await.problem(), (400, "bad-parameter"));
    assert_eq!(house.call(&at("documents.show", id.as_str())).await.ok(200).get("tags"), None);
}
