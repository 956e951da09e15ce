//! Questions through the chat function.

use super::{House, REQUEST_ID, SUBJECT, document_id, event, event_with_body, object_event, set_claim, set_media_type};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::audit::{EventType, Outcome};
use domain::chat::extractive::ExtractiveModel;
use domain::chat::{ChatModel, Completion, DraftSentence, Prompt, SupportPolicy, TokenUsage};
use domain::fault::PortError;
use domain::phi::IdentifierKind;
use serde_json::{Value, json};

const HYGIENE: &str = "tenants/main/hand hygiene.txt";
const HYGIENE_TEXT: &str = "Wash your hands with soap and water for 40 seconds after contact with diarrhoea.\n\n\
     Alcohol gel is rubbed in for 20 seconds until the hands are dry.";
const VISITORS: &str = "tenants/main/visitors.txt";
const VISITORS_TEXT: &str = "Visitors may come to the adult wards between 10:00 and 20:00 every day.";
const CONVERSATION: &str = "01KE8T4S00ABCDEFGHJKMNPQRS";

async fn hospital() -> House {
    let house = House::new();
    house.index(HYGIENE, HYGIENE_TEXT, 1).await;
    house.index(VISITORS, VISITORS_TEXT, 2).await;
    house
}

fn sentences(body: &Value) -> Vec<&str> {
    body["answer"].as_array().expect("sentences").iter().map(|s| s["text"].as_str().expect("text")).collect()
}

fn cited(body: &Value) -> Vec<&str> {
    let citations = body["answer"].as_array().expect("sentences").iter().flat_map(|s| s["citations"].as_array().expect("proof"));
    citations.map(|c| c["document_id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn a_question_is_answered_word_for_word_with_document_version_page_and_place() {
    let house = hospital().await;
    let question = json!({ "question": "How long is alcohol gel rubbed in?", "conversation_id": CONVERSATION });
    let reply = house.ask(&event_with_body("chat.ask", &question)).await;
    let mut body = reply.ok(200).clone();
    let citation = &mut body["answer"][0]["citations"][0];
    assert_eq!(citation["content_hash"].as_str().map(str::len), Some(64), "{citation}");
    citation["content_hash"] = "".into();
    assert_eq!(
        body,
        json!({
            "answer": [{
                "text": "Alcohol gel is rubbed in for 20 seconds until the hands are dry.",
                "support": { "verdict": "quoted" },
                "citations": [{
                    "document_id": document_id(HYGIENE).as_str(),
                    "version": "v1",
                    "title": "hand hygiene",
                    "section": [],
                    "page": 1,
                    "start": 82,
                    "end": 146,
                    "quote": "Alcohol gel is rubbed in for 20 seconds until the hands are dry.",
                    "content_hash": "",
                }],
            }],
            "refused": false,
            "conversation_id": CONVERSATION,
            "model": "extractive",
            "usage": { "passages": 2, "unsupported_sentences": 0, "input_tokens": 0, "output_tokens": 0 },
            "trace_id": REQUEST_ID,
        })
    );
}

#[tokio::test]
async fn the_audit_row_names_who_asked_and_what_was_cited_and_holds_no_word_of_either() {
    let house = hospital().await;
    let before = house.audit.events().len();
    house.question("When may visitors come to the adult wards?").await.ok(200);
    let events = house.audit.events();
    let [row] = &events[before..] else { panic!("{} rows for one question", events.len() - before) };
    assert_eq!((row.event_type, row.outcome), (EventType::ChatAnswered, Outcome::Success));
    assert_eq!((row.agent.as_str(), row.tenant.as_str(), row.request_id.as_str()), (SUBJECT, "main", REQUEST_ID));
    let details = serde_json::to_value(&row.details).expect("JSON");
    assert_eq!(details, json!({ "documents": [document_id(VISITORS).as_str()], "sentences": 1 }));
    let all = format!("{row:?}").to_lowercase();
    for word in ["visitors", "adult", "wards", "20:00"] {
        assert!(!all.contains(word), "{word} is in the audit row");
    }
}

#[tokio::test]
async fn i4_an_answer_whose_audit_row_cannot_be_stored_is_not_given() {
    let house = hospital().await;
    house.audit.take_down();
    let reply = house.question("How long is alcohol gel rubbed in?").await;
    assert_eq!(reply.problem(), (503, "unavailable"));
    assert!(!reply.text.contains("seconds") && !reply.text.contains("citations"), "{}", reply.text);
    let refusal = house.question("Who won the football world cup?").await;
    assert_eq!(refusal.problem(), (503, "unavailable"), "a refusal shows passages too");
}

/// A model that says things it cannot prove, or fails.
struct Fabulist;

#[async_trait]
impl ChatModel for Fabulist {
    fn name(&self) -> &'static str {
        "fabulist"
    }

    async fn complete(&self, prompt: &Prompt<'_>) -> Result<Completion, PortError> {
        let draft = |text: &str, supports| DraftSentence { text: text.to_owned(), supports };
        let gel = prompt.passages.iter().position(|p| p.chunk.text.contains("gel")).expect("the passage on gel");
        let length = prompt.passages[gel].chunk.text.chars().count();
        let at = prompt.passages[gel].chunk.text.find("Alcohol").expect("the sentence");
        let all = || vec![(gel, at..length)];
        let sentences = match prompt.question {
            question if question.contains("outage") => {
                return Err(PortError::Unavailable { operation: "complete", code: "injected".into() });
            }
            question if question.contains("secret") => {
                return Ok(Completion { blocked: [(IdentifierKind::Phone, 2)].into(), ..Completion::default() });
            }
            question if question.contains("silent") => vec![],
            question if question.contains("wrong") => {
                vec![draft("Alcohol gel is rubbed in for 90 seconds until the hands are dry.", all())]
            }
            _ => vec![
                draft("Free invention.", vec![]),
                draft("Of a passage that is not there.", vec![(prompt.passages.len(), 0..4)]),
                draft("Of a place that is not there.", vec![(gel, length + 1..length + 9)]),
                draft("Of no words at all.", vec![(gel, 3..3)]),
                draft("Alcohol gel is not rubbed in for 20 seconds.", all()),
                draft("Rub in alcohol gel for 20 seconds until the hands are dry.", vec![(gel, at..length), (usize::MAX, 0..4)]),
            ],
        };
        Ok(Completion { sentences, usage: TokenUsage { input: 7, output: 5, ..TokenUsage::default() }, ..Completion::default() })
    }
}

async fn ask_fabulist(house: &House, policy: SupportPolicy, question: &str) -> super::Reply {
    let fallback: Option<Box<dyn ChatModel>> = Some(Box::new(ExtractiveModel::default()));
    let app = chat::Chat { model: Box::new(Fabulist), fallback, policy, ..house.chat() };
    let event = event_with_body("chat.ask", &json!({ "question": question }));
    super::Reply::from(chat::handle(&app, &super::request(&event)).await)
}

#[tokio::test]
async fn no_sentence_leaves_without_citations_that_support_it() {
    let house = hospital().await;
    let reply = ask_fabulist(&house, SupportPolicy::Drop, "How long is alcohol gel rubbed in?").await;
    let body = reply.ok(200);
    assert_eq!(sentences(body), ["Rub in alcohol gel for 20 seconds until the hands are dry."]);
    assert_eq!((&body["answer"][0]["support"]["verdict"], cited(body).len()), (&json!("reworded"), 1));
    assert_eq!(body["usage"], json!({ "passages": 2, "unsupported_sentences": 5, "input_tokens": 7, "output_tokens": 5 }));
}

#[tokio::test]
async fn by_policy_an_unsupported_sentence_is_marked_instead_but_never_without_a_citation() {
    let house = hospital().await;
    let reply = ask_fabulist(&house, SupportPolicy::Mark, "How long is alcohol gel rubbed in?").await;
    let verdicts: Vec<&Value> = reply.ok(200)["answer"].as_array().expect("sentences").iter().map(|s| &s["support"]).collect();
    assert_eq!(verdicts, [&json!({ "verdict": "unsupported", "reason": "negation" }), &json!({ "verdict": "reworded" })]);
}

#[tokio::test]
async fn where_a_model_fails_or_nothing_that_it_wrote_holds_the_documents_are_quoted() {
    let house = hospital().await;
    for (policy, question) in [
        (SupportPolicy::Drop, "How long is alcohol gel rubbed in, outage?"),
        (SupportPolicy::Drop, "How long is alcohol gel rubbed in, wrong?"),
        (SupportPolicy::Mark, "How long is alcohol gel rubbed in, wrong?"),
    ] {
        let reply = ask_fabulist(&house, policy, question).await;
        assert_eq!(sentences(reply.ok(200)), ["Alcohol gel is rubbed in for 20 seconds until the hands are dry."], "{question}");
        assert_eq!(reply.body["model"], "extractive");
    }
    let reply = ask_fabulist(&house, SupportPolicy::Drop, "How long is alcohol gel rubbed in, silent?").await;
    assert_eq!(reply.ok(200)["refusal"]["reason"], "no_support", "a model that finds nothing is believed");
}

#[tokio::test]
async fn a_question_that_may_not_leave_is_refused_and_recorded_by_kind_and_count_only() {
    let house = hospital().await;
    let reply = ask_fabulist(&house, SupportPolicy::Drop, "How long is alcohol gel rubbed in, secret?").await;
    let body = reply.ok(200);
    assert_eq!((&body["refused"], &body["refusal"]["reason"]), (&true.into(), &"phi_blocked".into()));
    assert_eq!(body["answer"], json!([]), "nobody is asked in its place");
    let events = house.audit.events();
    let last = events.last().expect("an event");
    assert_eq!(last.event_type, EventType::PhiBlocked);
    assert_eq!(serde_json::to_value(&last.details).expect("JSON")["phone"], 2);
}

#[tokio::test]
async fn a_question_for_a_decision_about_a_patient_is_answered_with_a_notice() {
    let house = hospital().await;
    let reply = house.question("Should I give my patient alcohol gel that is rubbed in?").await;
    assert_eq!(reply.ok(200)["notice"]["reason"], "advice");
    assert!(reply.body["answer"].as_array().is_some_and(|a| !a.is_empty()) || reply.body["refusal"]["nearest"].is_array());
    let reply = house.question("How long is alcohol gel rubbed in?").await;
    assert!(reply.ok(200).get("notice").is_none());
}

#[tokio::test]
async fn odd_questions_get_an_honest_answer_and_never_a_500() {
    let house = hospital().await;
    let reason = async |question: &str| {
        let reply = house.question(question).await;
        let body = reply.ok(200);
        assert!(body["refusal"]["message"].as_str().is_none_or(|m| m.len() > 20), "{body}");
        body["refusal"]["reason"].as_str().unwrap_or("answered").to_owned()
    };
    assert_eq!(reason("What is it about?").await, "no_terms");
    assert_eq!(reason("?").await, "no_terms");
    assert_eq!(reason("🩺🩺🩺").await, "no_terms");
    assert_eq!(reason("17 42 2026 3.14").await, "no_support");
    assert_eq!(reason("Wie lange dauert die Genehmigung eines Urlaubsantrags?").await, "no_support");
    assert_eq!(reason("今日の昼食は何ですか").await, "no_support");
    assert_eq!(reason(&"perioperative thromboprophylaxis schedule ".repeat(90)).await, "no_support");
    assert_eq!(reason("'; DROP TABLE documents; --").await, "no_support");
}

#[tokio::test]
async fn a_filter_that_leaves_nothing_is_told_from_an_empty_house() {
    let house = hospital().await;
    let nowhere = "doc_01h2xcejqtf2nbrexx3vqjhp41";
    let question = json!({ "question": "How long is alcohol gel rubbed in?", "filters": { "documents": [nowhere] } });
    let reply = house.ask(&event_with_body("chat.ask", &question)).await;
    assert_eq!(reply.ok(200)["refusal"]["reason"], "no_match");
    let reply = House::new().ask(&event_with_body("chat.ask", &question)).await;
    assert_eq!(reply.ok(200)["refusal"]["reason"], "no_documents");
}

#[tokio::test]
async fn a_question_that_the_documents_do_not_answer_is_refused_with_the_nearest_passages() {
    let house = hospital().await;
    let reply = house.question("Which snake antivenom dose follows an adder bite?").await;
    let body = reply.ok(200);
    assert_eq!((&body["refused"], &body["answer"], &body["refusal"]["reason"]), (&json!(true), &json!([]), &json!("no_support")));
    let nearest = body["refusal"]["nearest"].as_array().expect("passages");
    assert!(!nearest.is_empty() && nearest.iter().all(|c| c["page"] == 1 && c["version"].is_string()), "{body}");
    assert_eq!(house.history().last(), Some(&EventType::ChatRefused));
}

#[tokio::test]
async fn a_tenant_without_documents_is_told_so() {
    let reply = House::new().question("How long is alcohol gel rubbed in?").await;
    assert_eq!(reply.ok(200)["refusal"]["reason"], "no_documents");
}

#[tokio::test]
async fn another_tenants_documents_are_neither_found_nor_reachable_by_a_filter() {
    let house = hospital().await;
    let foreign = house.index("tenants/west/gel.txt", "Alcohol gel is rubbed in for 99 seconds in the west.", 3).await;
    let reply = house.question("How long is alcohol gel rubbed in?").await;
    assert_eq!(cited(reply.ok(200)), [document_id(HYGIENE).as_str()]);
    assert!(!reply.text.contains("99"), "{}", reply.text);
    let filtered = json!({ "question": "How long is alcohol gel rubbed in?", "filters": { "documents": [foreign.as_str()] } });
    let reply = house.ask(&event_with_body("chat.ask", &filtered)).await;
    assert_eq!(reply.ok(200)["refusal"]["reason"], "no_match");
    let mut event = event_with_body("chat.ask", &json!({ "question": "How long is alcohol gel rubbed in?" }));
    set_claim(&mut event, "custom:tenant", "west");
    let reply = house.ask(&event).await;
    assert_eq!(cited(reply.ok(200)), [foreign.as_str()], "the west finds its own");
}

#[tokio::test]
async fn a_filter_narrows_to_the_named_documents() {
    let house = hospital().await;
    let again = house.index("tenants/main/copy.txt", HYGIENE_TEXT, 3).await;
    for id in [again.as_str(), document_id(HYGIENE).as_str()] {
        let question = json!({ "question": "How long is alcohol gel rubbed in?", "filters": { "documents": [id] } });
        let reply = house.ask(&event_with_body("chat.ask", &question)).await;
        let cited = cited(reply.ok(200));
        assert!(!cited.is_empty() && cited.iter().all(|c| *c == id), "{}", reply.text);
    }
}

#[tokio::test]
async fn a_new_version_of_a_document_is_cited_instead_of_the_old_one_by_a_warm_function_too() {
    let house = hospital().await;
    let warm = house.chat();
    let event = event_with_body("chat.ask", &json!({ "question": "How long is alcohol gel rubbed in?" }));
    let ask = async || super::Reply::from(chat::handle(&warm, &super::request(&event)).await);
    assert_eq!(ask().await.ok(200)["answer"][0]["citations"][0]["version"], "v1");
    house.index(HYGIENE, "Alcohol gel is rubbed in for 30 seconds.", 7).await;
    let reply = ask().await;
    assert_eq!(sentences(reply.ok(200)), ["Alcohol gel is rubbed in for 30 seconds."]);
    let version = house.documents.peek(HYGIENE).expect("the object").1;
    assert_eq!(reply.body["answer"][0]["citations"][0]["version"], version.as_str());
    house.documents.take_away(HYGIENE);
    assert_eq!(house.deliver(&object_event("Object Deleted", HYGIENE, 9)).await, [""; 0]);
    let reply = ask().await;
    assert!(!reply.text.contains(document_id(HYGIENE).as_str()) && !reply.text.contains("rubbed"), "{}", reply.text);
}

#[tokio::test]
async fn a_damaged_segment_is_reported_and_the_other_documents_answer() {
    let house = hospital().await;
    let id = document_id(VISITORS);
    let segments = house.index.keys().into_iter().filter(|key| key.contains(id.as_str())).collect::<Vec<_>>();
    let [segment] = segments.as_slice() else { panic!("segments of one document: {segments:?}") };
    house.index.damage(segment, |bytes| bytes[20] ^= 1);
    let reply = house.question("How long is alcohol gel rubbed in?").await;
    assert_eq!(reply.ok(200)["unreadable_documents"], json!([id.as_str()]));
    assert_eq!(cited(&reply.body), [document_id(HYGIENE).as_str()]);
}

#[tokio::test]
async fn a_store_that_is_down_is_a_503_and_a_manifest_that_is_no_manifest_a_500_without_detail() {
    let house = hospital().await;
    house.outage.begin_after(0);
    assert_eq!(house.question("How long is alcohol gel rubbed in?").await.problem(), (503, "unavailable"));
    house.outage.end();
    house.index.damage("index/main/manifest.json", |bytes| bytes.truncate(9));
    let reply = house.question("How long is alcohol gel rubbed in?").await;
    assert_eq!(reply.problem(), (500, "internal"));
    assert!(!reply.text.contains("manifest"), "{}", reply.text);
}

#[tokio::test]
async fn only_clinicians_and_document_admins_ask() {
    let house = hospital().await;
    for (groups, status) in [
        ("clinician", 200),
        ("document-admin", 200),
        ("auditor,clinician", 200),
        ("auditor", 403),
        ("operator", 403),
        ("auditor,operator,all-staff", 403),
        ("", 403),
    ] {
        let mut event = event("chat.ask");
        set_claim(&mut event, "cognito:groups", groups);
        let reply = house.ask(&event).await;
        assert_eq!(reply.status, status, "{groups}: {}", reply.text);
        if status == 403 {
            assert_eq!(reply.problem().1, "denied");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_full_set_of_claims_is_refused_not_defaulted() {
    let house = hospital().await;
    assert_eq!(house.ask(&event("chat.ask-without-token-claims")).await.problem(), (403, "denied"));
    for (claim, value) in
        [("sub", ""), ("sub", "two words"), ("custom:tenant", ""), ("custom:tenant", "Main"), ("custom:tenant", "../west")]
    {
        let mut event = event("chat.ask");
        set_claim(&mut event, claim, value);
        assert_eq!(house.ask(&event).await.problem(), (403, "denied"), "{claim} = {value:?}");
    }
    for claim in ["sub", "custom:tenant", "cognito:groups"] {
        let mut event = event("chat.ask");
        event["requestContext"]["authorizer"]["claims"].as_object_mut().expect("claims").remove(claim);
        assert_eq!(house.ask(&event).await.problem(), (403, "denied"), "without {claim}");
    }
}

#[tokio::test]
async fn other_routes_and_methods_are_no_such_route() {
    let house = hospital().await;
    for (method, route) in [("GET", "/chat"), ("POST", "/documents"), ("POST", "/{proxy+}"), ("POST", "")] {
        let mut event = event("chat.ask");
        event["httpMethod"] = method.into();
        event["requestContext"]["httpMethod"] = method.into();
        event["requestContext"]["resourcePath"] = route.into();
        assert_eq!(house.ask(&event).await.problem(), (404, "no-such-route"), "{method} {route}");
    }
}

#[tokio::test]
async fn bad_questions_are_named_and_never_echoed() {
    const SECRET: &str = "Zebedee Quillfeather";
    let house = hospital().await;
    let document = "doc_01h2xcejqtf2nbrexx3vqjhp41";
    let question = |question: &str| json!({ "question": question }).to_string();
    let with = |field: &str, value: Value| {
        let mut body = json!({ "question": format!("Where is {SECRET}?") });
        body[field] = value;
        body.to_string()
    };
    let cases = [
        (400, "bad-body", String::new()),
        (400, "bad-body", "{".to_owned()),
        (400, "bad-body", format!("\"{SECRET}\"")),
        (400, "bad-body", "null".to_owned()),
        (400, "bad-body", json!([SECRET]).to_string()),
        (400, "bad-body", json!({ "query": SECRET }).to_string()),
        (400, "bad-body", json!({ "question": 42 }).to_string()),
        (400, "bad-body", json!({ "question": [SECRET] }).to_string()),
        (400, "bad-body", with(SECRET, json!(1))),
        (400, "bad-body", with("filters", json!({ "authors": [SECRET] }))),
        (400, "bad-body", with("filters", json!([]))),
        (400, "bad-body", format!("{{\"question\":\"{SECRET}\"}} and more")),
        (400, "bad-body", format!("{{\"question\":\"a\",\"question\":\"{SECRET}\"}}")),
        (413, "body-too-large", question(&SECRET.repeat(4_000))),
        (400, "bad-question", question("")),
        (400, "bad-question", question(" \n\t ")),
        (400, "bad-question", question(&"é".repeat(4_001))),
        (400, "bad-question", question(&format!("{SECRET}\u{0}"))),
        (400, "bad-question", question(&format!("{SECRET}\u{1b}[2J"))),
        (400, "bad-parameter", with("conversation_id", json!(SECRET))),
        (400, "bad-parameter", with("conversation_id", json!(""))),
        (400, "bad-parameter", with("conversation_id", json!(format!("{CONVERSATION}0")))),
        (400, "bad-parameter", with("filters", json!({ "documents": [document, SECRET] }))),
        (400, "bad-parameter", with("filters", json!({ "documents": [document.to_uppercase()] }))),
        (400, "bad-parameter", with("filters", json!({ "documents": ["doc_../../../../etc/passwd00000"] }))),
        (400, "bad-parameter", with("filters", json!({ "documents": vec![document; 101] }))),
    ];
    let rows = house.audit.events().len();
    let count = cases.len();
    for (status, kind, body) in cases {
        let mut event = event("chat.ask");
        event["body"] = body.clone().into();
        let reply = house.ask(&event).await;
        let shown: String = body.chars().take(90).collect();
        assert_eq!(reply.problem(), (status, kind), "{shown}");
        assert!(!reply.text.contains("Zebedee") && !reply.text.contains("Quillfeather"), "{shown} was echoed: {}", reply.text);
    }
    let tried = &house.audit.events()[rows..];
    assert!(tried.len() == count && tried.iter().all(|row| row.event_type == EventType::RequestRefused));
    assert!(!format!("{tried:?}").contains("Zebedee"), "what was asked is not in the trail");
}

#[tokio::test]
async fn the_body_must_be_declared_as_json() {
    let house = hospital().await;
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let mut event = event("chat.ask");
        set_media_type(&mut event, media_type);
        assert_eq!(house.ask(&event).await.problem(), (415, "bad-content-type"), "{media_type:?}");
    }
    for media_type in ["application/json", "Application/JSON; charset=UTF-8"] {
        let mut event = event("chat.ask");
        set_media_type(&mut event, media_type);
        assert_eq!(house.ask(&event).await.status, 200, "{media_type:?}");
    }
}

#[tokio::test]
async fn a_body_that_the_gateway_sends_as_base64_is_read_like_any_other() {
    let house = hospital().await;
    let mut event = event("chat.ask");
    event["body"] = STANDARD.encode(json!({ "question": "How long is alcohol gel rubbed in?" }).to_string()).into();
    event["isBase64Encoded"] = true.into();
    assert_eq!(cited(house.ask(&event).await.ok(200)), [document_id(HYGIENE).as_str()]);
}

#[tokio::test]
async fn questions_at_the_bounds_are_taken() {
    let house = hospital().await;
    for question in ["?".to_owned(), "é".repeat(4_000), "How long\r\n\tis gel rubbed in?".to_owned(), "🩺 gel?".to_owned()] {
        assert_eq!(house.question(&question).await.status, 200, "{question:.20}");
    }
    let body = json!({ "question": "gel?", "filters": { "documents": vec![document_id(HYGIENE).as_str(); 100] } });
    assert_eq!(house.ask(&event_with_body("chat.ask", &body)).await.status, 200);
}
