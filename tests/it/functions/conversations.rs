//! Conversations: follow-ups, whose they are, what is kept of them, and the placeholders that live in them.

use super::{House, event, event_with_body, hospital_with, request, set_claim, set_document};
use async_trait::async_trait;
use domain::audit::{EventType, Outcome};
use domain::chat::SupportPolicy;
use domain::chat::conversation::TenantCipher;
use domain::fault::PortError;
use domain::ids::TenantId;
use serde_json::{Value, json};
use std::sync::Arc;
use tests::hospital::{Hospital, Plan, Sheet};
use tests::llm_double::{Behaviour, Format, LlmDouble, Mind};
use ulid::Ulid;

const HANDS: &str = "Alcohol gel is rubbed in for 20 seconds in adult wards.\n\n\
     Alcohol gel is rubbed in for 40 seconds in theatres.\n\n\
     Visitors may come to the adult wards between 10:00 and 20:00 every day.";
const ABSENT: &str = "01KE8T4S00ABCDEFGHJKMNPQRS";

fn ask(question: &str, conversation: Option<&str>) -> Value {
    let mut body = json!({ "question": question });
    if let Some(id) = conversation {
        body["conversation_id"] = id.into();
    }
    event_with_body("chat.ask", &body)
}

fn id(body: &Value) -> &str {
    body["conversation_id"].as_str().expect("a conversation")
}

fn at(name: &str, id: &str) -> Value {
    let mut event = event(name);
    set_document(&mut event, id);
    set_claim(&mut event, "cognito:groups", "clinician");
    event
}

async fn whole(house: &House, event: &Value) -> (u16, Value, String) {
    let response = ::chat::handle(&house.chat(), &request(event)).await;
    let status = response.status().as_u16();
    let text = match response.into_body() {
        lambda_http::Body::Text(text) => text,
        _ => String::new(),
    };
    (status, serde_json::from_str(&text).unwrap_or(Value::Null), text)
}

fn texts(body: &Value) -> Vec<&str> {
    body["answer"].as_array().expect("sentences").iter().map(|s| s["text"].as_str().expect("text")).collect()
}

#[tokio::test]
async fn a_follow_up_is_understood_from_what_was_asked_before_and_says_so() {
    let house = hospital_with(&[("hands", HANDS)]).await;
    let first = house.ask(&ask("How long is alcohol gel rubbed in in adult wards?", None)).await.ok(200).clone();
    assert!(texts(&first)[0].contains("20 seconds"), "{first}");
    assert_eq!(first.get("understood_as"), None);
    let second = house.ask(&ask("And in theatres?", Some(id(&first)))).await.ok(200).clone();
    assert_eq!(second["understood_as"], "How long is alcohol gel rubbed in in theatres?");
    assert!(texts(&second)[0].contains("40 seconds"), "{second}");
    // What says itself what it is about is asked as it is.
    let third = house.ask(&ask("When may visitors come to the wards?", Some(id(&first)))).await.ok(200).clone();
    assert_eq!(third.get("understood_as"), None);
    assert!(texts(&third)[0].contains("20:00"));
    // The same question alone has nothing to lean on.
    let alone = house.ask(&ask("And in theatres?", None)).await.ok(200).clone();
    assert_eq!(alone.get("understood_as"), None);
    let streamed = event_with_body("chat.stream", &json!({ "question": "And in theatres?", "conversation_id": id(&first) }));
    let api::Reply::Stream(mut streamed) = ::chat::reply(&Arc::new(house.chat()), request(&streamed)).await else {
        panic!("the route streams")
    };
    let begins = streamed.pieces.recv().await.expect("an event");
    assert_eq!(
        begins,
        "event: status\ndata: {\"stage\":\"searching\",\"understood_as\":\"When may visitors come to the wards? And in theatres?\"}\n\n"
    );
}

#[tokio::test]
async fn an_unknown_a_foreign_and_an_expired_conversation_are_the_same_and_cost_nothing() {
    let house = hospital_with(&[("hands", HANDS)]).await;
    let first = house.ask(&ask("How long is alcohol gel rubbed in?", None)).await.ok(200).clone();
    let other = |claim: &str, value: &str, mut event: Value| {
        set_claim(&mut event, claim, value);
        event
    };
    let expected = whole(&house, &ask("And in theatres?", Some(ABSENT))).await;
    assert_eq!((expected.0, expected.1["type"].as_str()), (404, Some("urn:clinchat:problem:not-found")));
    // That somebody was refused is in the trail, by its route alone.
    let acts = || house.history().into_iter().filter(|event| *event != EventType::AccessDenied).count();
    let before = (acts(), house.conversations.sealed());
    let colleague = "0b9c8d7e-1111-4222-8333-444455556666";
    for name in ["chat.ask", "chat.conversation", "chat.erase"] {
        let mine = if name == "chat.ask" { ask("And in theatres?", Some(id(&first))) } else { at(name, id(&first)) };
        for foreign in [other("sub", colleague, mine.clone()), other("custom:tenant", "west", mine.clone())] {
            assert_eq!(whole(&house, &foreign).await, expected, "{name}");
        }
    }
    assert_eq!(whole(&house, &at("chat.conversation", ABSENT)).await, expected);
    assert_eq!(whole(&house, &at("chat.erase", "no-id")).await, expected);
    house.conversations.expire_all();
    for event in [ask("And in theatres?", Some(id(&first))), at("chat.conversation", id(&first)), at("chat.erase", id(&first))] {
        assert_eq!(whole(&house, &event).await, expected);
    }
    assert_eq!((acts(), house.conversations.sealed()), before, "nothing happened but refusals");
    let streamed = event_with_body("chat.stream", &json!({ "question": "And?", "conversation_id": ABSENT }));
    let api::Reply::Stream(mut streamed) = ::chat::reply(&Arc::new(house.chat()), request(&streamed)).await else {
        panic!("the route streams")
    };
    assert_eq!(streamed.head.status(), 404);
    assert_eq!(streamed.pieces.recv().await, Some(expected.2));
}

#[tokio::test]
async fn its_owner_sees_what_is_kept_and_erases_it_and_both_are_in_the_trail() {
    let house = hospital_with(&[("hands", HANDS)]).await;
    let first = house.ask(&ask("How long is alcohol gel rubbed in in adult wards?", None)).await.ok(200).clone();
    house.ask(&ask("And in theatres?", Some(id(&first)))).await.ok(200);
    let (status, shown, text) = whole(&house, &at("chat.conversation", id(&first))).await;
    assert_eq!((status, shown["turns"].as_array().map(Vec::len)), (200, Some(2)), "{shown}");
    assert_eq!(shown["turns"][1]["question"], "And in theatres?");
    assert_eq!(shown["turns"][1]["understood_as"], "How long is alcohol gel rubbed in in theatres?");
    let cited = &first["answer"][0]["citations"][0];
    for name in ["document_id", "version", "page", "start", "end"] {
        assert_eq!(shown["turns"][0]["citations"][0][name], cited[name], "{name}");
    }
    // No word of an answer or a passage: a document that is deleted is gone from here as well.
    assert!(!text.contains("seconds"), "{text}");
    let (status, _, nothing) = whole(&house, &at("chat.erase", id(&first))).await;
    assert_eq!((status, nothing.as_str()), (204, ""));
    assert!(house.conversations.sealed().is_empty());
    assert_eq!(whole(&house, &at("chat.conversation", id(&first))).await.0, 404);
    assert_eq!(whole(&house, &ask("And in theatres?", Some(id(&first)))).await.0, 404);
    let kinds = [EventType::ConversationViewed, EventType::ConversationErased];
    let events = house.audit.events().into_iter().rev().filter(|event| kinds.contains(&event.event_type));
    let trail: Vec<_> = events.map(|event| (event.event_type, event.outcome)).collect();
    let expected = [
        (EventType::ConversationErased, Outcome::Success),
        (EventType::ConversationErased, Outcome::Intended),
        (EventType::ConversationViewed, Outcome::Success),
    ];
    assert_eq!(trail, expected);
    // Nothing is shown or erased that is not in the trail.
    let again = house.ask(&ask("How long is alcohol gel rubbed in?", None)).await.ok(200).clone();
    house.audit.take_down();
    for name in ["chat.conversation", "chat.erase"] {
        assert_eq!(whole(&house, &at(name, id(&again))).await.0, 503, "{name}");
    }
    assert_eq!(house.conversations.sealed().len(), 1);
}

#[tokio::test]
async fn an_answer_is_given_even_if_its_conversation_cannot_be_kept_and_says_so() {
    let house = hospital_with(&[("hands", HANDS)]).await;
    let first = house.ask(&ask("How long is alcohol gel rubbed in in adult wards?", None)).await.ok(200).clone();
    let (mut forgotten, mut failed, mut calls) = (0, 0, 0);
    for works in 0..20 {
        house.outage.begin_after(works);
        let (status, body, _) = whole(&house, &ask("And in theatres?", Some(id(&first)))).await;
        house.outage.end();
        match (status, body["forgotten"].as_bool()) {
            (200, Some(true)) => forgotten += 1,
            (200, None) => break,
            (503, _) => failed += 1,
            other => panic!("{other:?} {body}"),
        }
        calls = works + 1;
    }
    assert!(forgotten == 1 && failed == calls - 1 && failed > 0, "{forgotten} {failed} of {calls}");
}

/// A tenant's key that is switched off.
struct NoKey;

#[async_trait]
impl TenantCipher for NoKey {
    async fn seal(&self, _: &TenantId, _: &str, _: Ulid, _: &[u8]) -> Result<Vec<u8>, PortError> {
        Err(PortError::Unavailable { operation: "seal", code: "disabled".into() })
    }

    async fn open(&self, _: &TenantId, _: &str, _: &[u8]) -> Result<Vec<u8>, PortError> {
        Err(PortError::Unavailable { operation: "open", code: "disabled".into() })
    }

    async fn code(&self, _: &TenantId, _: &str) -> Result<[u8; 32], PortError> {
        Err(PortError::Unavailable { operation: "code", code: "disabled".into() })
    }
}

#[tokio::test]
async fn without_the_tenants_key_a_question_is_answered_and_its_conversation_is_not_kept() {
    let house = hospital_with(&[("hands", HANDS)]).await;
    let app = Arc::new(chat::Chat { cipher: Box::new(NoKey), ..house.chat() });
    let event = ask("How long is alcohol gel rubbed in in adult wards?", None);
    let response = chat::handle(&app, &request(&event)).await;
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    assert_eq!((response.status().as_u16(), &body["forgotten"]), (200, &json!(true)), "{body}");
    assert_eq!(texts(&body)[0], "Alcohol gel is rubbed in for 20 seconds in adult wards.");
    assert!(house.conversations.sealed().is_empty());
}

#[tokio::test]
async fn two_questions_at_once_are_both_kept_and_an_erased_conversation_stays_erased() {
    let house = hospital_with(&[("hands", HANDS)]).await;
    let first = house.ask(&ask("How long is alcohol gel rubbed in in adult wards?", None)).await.ok(200).clone();
    let (one, other) = (ask("And in theatres?", Some(id(&first))), ask("When may visitors come to the wards?", Some(id(&first))));
    let (a, b) = tokio::join!(house.ask(&one), house.ask(&other));
    assert_eq!((a.status, b.status), (200, 200));
    let (_, shown, _) = whole(&house, &at("chat.conversation", id(&first))).await;
    assert_eq!(shown["turns"].as_array().map(Vec::len), Some(3));
    // Erased while a question is on its way: its turn is not written again.
    for turns in 0..40_u8 {
        let house = hospital_with(&[("hands", HANDS)]).await;
        let first = house.ask(&ask("How long is alcohol gel rubbed in in adult wards?", None)).await.ok(200).clone();
        let (question, erasing) = (ask("And in theatres?", Some(id(&first))), at("chat.erase", id(&first)));
        house.outage.take_turns([0, turns]);
        let (asked, erased) = tokio::join!(whole(&house, &question), whole(&house, &erasing));
        assert!(matches!((asked.0, erased.0), (200 | 404, 204)), "{turns}: {asked:?} {erased:?}");
        assert!(house.conversations.sealed().is_empty(), "{turns}");
    }
}

/// A hospital with models, and the double behind them.
async fn with_models(documents: &[(&str, &str, &str)]) -> (Hospital, LlmDouble) {
    let double = LlmDouble::open(0).expect("a port");
    let sheet = |(tenant, title, text): &(&str, &str, &str)| Sheet {
        tenant: (*tenant).into(),
        title: (*title).into(),
        text: (*text).into(),
    };
    let documents = documents.iter().map(sheet).collect();
    let plan = Plan { models: Some([double.gemini_url(), double.groq_url()]), documents, ..Plan::default() };
    (Hospital::build(&plan).await.expect("a hospital"), double)
}

async fn answered(hospital: &Hospital, event: &Value) -> Value {
    let response = ::chat::handle(&hospital.chat, &request(event)).await;
    let lambda_http::Body::Text(text) = response.body() else { panic!("a response is text") };
    assert_eq!(response.status(), 200, "{text}");
    serde_json::from_str(text).expect("JSON")
}

/// The placeholders of names in what the double got last, in order.
fn placeholders(double: &LlmDouble) -> Vec<String> {
    let text = double.take_requests().last().expect("a request").text();
    let mut found: Vec<String> = Vec::new();
    // The rules give an example, which is in front of the question.
    let asked = text.rfind("QUESTION\\n").map_or(text.as_str(), |at| &text[at..]);
    for piece in asked.split('[').skip(1) {
        let placeholder = format!("[{}]", piece.split(']').next().unwrap_or_default());
        if placeholder.starts_with("[NAME") && !found.contains(&placeholder) {
            found.push(placeholder);
        }
    }
    found
}

const PLAN: &str = "Ottoline Brackwater rubs in alcohol gel for 20 seconds before each visit.";
const FIRST: &str = "Tamsin Velasquez asks: how long is alcohol gel rubbed in?";
const SECOND: &str = "How long does Ottoline Brackwater rub in alcohol gel before each visit?";

#[tokio::test(flavor = "multi_thread")]
async fn placeholders_stay_the_same_in_a_conversation_and_differ_between_conversations_and_tenants() {
    let (hospital, double) = with_models(&[("main", "plan", PLAN), ("west", "plan", PLAN)]).await;
    let first = answered(&hospital, &ask(FIRST, None)).await;
    let told = placeholders(&double);
    assert_eq!(told.len(), 2, "{told:?}");
    let second = answered(&hospital, &ask(SECOND, Some(id(&first)))).await;
    // Alone the second question would have called her the first person.
    let again = placeholders(&double);
    assert!(told[1].starts_with("[NAME_2-") && again[0] == told[1], "{again:?}");
    assert!(again.iter().all(|placeholder| placeholder.starts_with("[NAME_2")), "{again:?}");
    assert!(texts(&second)[0].contains("Ottoline Brackwater"), "{second}");
    let tag = |placeholder: &str| placeholder.trim_end_matches(']').rsplit('-').next().expect("a tag").to_owned();
    let elsewhere = answered(&hospital, &ask(SECOND, None)).await;
    assert_ne!(id(&elsewhere), id(&first));
    let other = placeholders(&double);
    assert!(other[0].starts_with("[NAME_1-") && tag(&other[0]) != tag(&told[0]), "{other:?}");
    // The same conversation id would be another's in another tenant: the tag is made of the tenant's secret.
    let mut west = ask(SECOND, None);
    set_claim(&mut west, "custom:tenant", "west");
    answered(&hospital, &west).await;
    let west = placeholders(&double);
    assert!(tag(&west[0]) != tag(&told[0]) && tag(&west[0]) != tag(&other[0]), "{west:?}");
    // What is kept shows nothing.
    for sealed in hospital.conversations.sealed() {
        let text = String::from_utf8_lossy(&sealed).to_lowercase();
        for word in ["ottoline", "brackwater", "tamsin", "velasquez", "alcohol", "name_", "turns"] {
            assert!(!text.contains(word), "{word} is in a row");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_turn_restores_what_the_first_issued_and_nothing_of_another_conversation() {
    let (mut hospital, double) = with_models(&[("main", "plan", PLAN)]).await;
    // Marked sentences are shown beside supported ones, so that the test sees them.
    Arc::get_mut(&mut hospital.chat).expect("nobody else has it").policy = SupportPolicy::Mark;
    let first = answered(&hospital, &ask(FIRST, None)).await;
    let told = placeholders(&double);
    let saying = |placeholder: &str| {
        let sentences = [PLAN.to_owned(), format!("{placeholder} rubs in alcohol gel for 20 seconds.")];
        let sentences: Vec<Value> = sentences.iter().map(|text| json!({ "text": text, "passages": [1] })).collect();
        Behaviour::of(Mind::Fixed(json!({ "sentences": sentences }).to_string()))
    };
    double.behave(Format::Gemini, saying(&told[0]));
    let second = answered(&hospital, &ask(SECOND, Some(id(&first)))).await;
    assert_eq!(texts(&second)[1], "Tamsin Velasquez rubs in alcohol gel for 20 seconds.");
    let elsewhere = answered(&hospital, &ask(SECOND, None)).await;
    assert_eq!(texts(&elsewhere)[1], format!("{} rubs in alcohol gel for 20 seconds.", told[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_signed_in_and_whose_chart_it_is_are_known_before_they_are_met() {
    // A name that is a word of every day, lone and without a title.
    let chart = "Patient: Summer Field\n\nSummer drinks two glasses of water before lunch.";
    let (hospital, double) = with_models(&[("main", "chart", chart)]).await;
    let mut event = ask("May Autumn give two glasses of water before lunch?", None);
    set_claim(&mut event, "given_name", "Autumn");
    set_claim(&mut event, "email", "autumn.leaf@example.org");
    answered(&hospital, &event).await;
    let sent = double.take_requests().last().expect("a request").text();
    for name in ["Autumn", "Summer", "autumn.leaf"] {
        assert!(!sent.contains(name), "{name} has left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_says_a_follow_up_better_within_the_same_rules_and_the_rule_remains() {
    let (hospital, double) = with_models(&[("main", "hands", HANDS)]).await;
    let first = answered(&hospital, &ask("Mr Ottokar Brackwater: how long is alcohol gel rubbed in?", None)).await;
    double.take_requests();
    let said = json!({ "sentences": [{ "text": "How long is alcohol gel rubbed in in theatres?", "passages": [] }] });
    double.next(Format::Gemini, Behaviour::of(Mind::Fixed(said.to_string())));
    let second = answered(&hospital, &ask("And what about there, in theatres?", Some(id(&first)))).await;
    assert_eq!(second["understood_as"], "How long is alcohol gel rubbed in in theatres?");
    let requests = double.take_requests();
    let [rewriting, answering] = &requests[..] else { panic!("{} calls", requests.len()) };
    assert!(rewriting.text().contains("EARLIER") && !rewriting.text().contains("Brackwater"));
    assert!(answering.text().contains("in theatres"));
    // Both are reserved, announced and booked like any other.
    assert_eq!(hospital.attempts().await.expect("the books").len(), 3);
    let calls = hospital.audit.events().iter().filter(|event| event.event_type == EventType::LlmCall).count();
    assert_eq!(calls, 6);
    // It says nothing of use: the rule does.
    double.next(Format::Gemini, Behaviour::of(Mind::Silent));
    let third = answered(&hospital, &ask("And in adult wards?", Some(id(&first)))).await;
    assert_eq!(third["understood_as"], "How long is alcohol gel rubbed in in adult wards?");
}
