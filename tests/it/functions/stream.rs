//! Answers in pieces: the events, what is said before they begin, and the function on a Runtime API with real sockets.

use super::{House, SUBJECT, event, event_with_body, hospital_with, request, set_claim};
use crate::repository;
use anyhow::Result;
use api::{Reply, Streamed};
use domain::audit::{EventType, Outcome};
use domain::chat::{ChatModel, Completion, DraftSentence, Gone, Piece, Prompt, Sentences};
use domain::fault::PortError;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use tests::hospital::{Plan, Sheet};
use tests::llm_double::{Behaviour, Fault, Format, LlmDouble, Mind};
use tests::runtime_api::RuntimeApi;

const QUESTION: &str = "How long is alcohol gel rubbed in?";
const GEL: &str = "Alcohol gel is rubbed in for 20 seconds until the hands are dry.";
const SOAP: &str = "Wash your hands with soap and water for 40 seconds after contact with diarrhoea.";

/// A streaming answer, gathered: the events with their bodies.
async fn events(mut streamed: Streamed) -> Vec<(String, Value)> {
    let mut text = String::new();
    while let Some(piece) = streamed.pieces.recv().await {
        text.push_str(&piece);
    }
    streamed.work.await.expect("the work ends well");
    parse(&text)
}

fn parse(text: &str) -> Vec<(String, Value)> {
    let frames = text.split("\n\n").filter(|frame| !frame.is_empty() && !frame.starts_with(':'));
    let parts = frames.map(|frame| {
        let (name, body) = frame.split_once('\n').expect("a name and a body");
        let body = body.strip_prefix("data: ").expect("a body");
        (name.strip_prefix("event: ").expect("a name").to_owned(), serde_json::from_str(body).expect("a body is JSON"))
    });
    parts.collect()
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

async fn stream(house: &House, event: &Value) -> Streamed {
    match ::chat::reply(&Arc::new(house.chat()), request(event)).await {
        Reply::Stream(streamed) => streamed,
        Reply::Whole(_) => panic!("the route streams"),
    }
}

#[tokio::test]
async fn the_events_say_the_same_as_the_whole_answer() {
    let house = hospital_with(&[("hand hygiene", &format!("{SOAP}\n\n{GEL}"))]).await;
    for question in [QUESTION, "Who won the football world cup?", "Should I stop the gel for this patient's hands?"] {
        let body = json!({ "question": question });
        let mut whole = house.ask(&event_with_body("chat.ask", &body)).await.ok(200).clone();
        let streamed = stream(&house, &event_with_body("chat.stream", &body)).await;
        let head = |name: &str| streamed.head.headers()[name].to_str().expect("ASCII").to_owned();
        assert_eq!((streamed.head.status().as_u16(), head("content-type")), (200, "text/event-stream; charset=utf-8".into()));
        assert_eq!(head("cache-control"), "no-store");
        let events = events(streamed).await;
        let names = names(&events);
        assert_eq!(names[..2], ["status", "status"]);
        assert_eq!(names[names.len() - 2..], ["usage", "done"]);
        // What the events say, put together again.
        let mut told = events.last().expect("an end").1.clone();
        told["usage"] = events[names.len() - 2].1.clone();
        let mut citations: Vec<Value> = Vec::new();
        let mut sentences: Vec<Value> = Vec::new();
        for (name, body) in &events[2..names.len() - 2] {
            let mut body = body.clone();
            if name == "citation" {
                let number = body.as_object_mut().and_then(|body| body.remove("number"));
                citations.push(body);
                assert_eq!(number, Some(citations.len().into()));
                continue;
            }
            let cited = body["citations"].as_array().expect("numbers").iter();
            body["citations"] = cited.map(|n| citations[n.as_u64().expect("a number") as usize - 1].clone()).collect();
            sentences.push(body);
        }
        told["answer"] = sentences.into();
        // Each question begins a conversation of its own.
        assert!(told["conversation_id"].as_str().is_some_and(|id| id.len() == 26));
        whole["conversation_id"] = told["conversation_id"].clone();
        assert_eq!(told, whole, "{question}");
        assert_eq!(events[1].1.get("notice"), whole.get("notice"), "what is said first");
    }
}

#[tokio::test]
async fn what_is_wrong_before_the_first_event_is_a_problem_as_everywhere() {
    let house = hospital_with(&[("gel", GEL)]).await;
    let ask = |body: Value| event_with_body("chat.stream", &body);
    let mut stranger = ask(json!({ "question": QUESTION }));
    set_claim(&mut stranger, "cognito:groups", "auditor");
    let cases = [
        (ask(json!({ "question": "" })), (400, "bad-question")),
        (ask(json!({ "question": "a\u{7}b" })), (400, "bad-question")),
        (ask(json!({ "question": "é".repeat(4_001) })), (400, "bad-question")),
        (ask(json!({ "question": 1 })), (400, "bad-body")),
        (ask(json!({ "question": QUESTION, "conversation_id": "mine" })), (400, "bad-parameter")),
        (stranger, (403, "denied")),
    ];
    for (event, expected) in cases {
        let mut streamed = stream(&house, &event).await;
        assert_eq!(streamed.head.headers()["content-type"], "application/problem+json");
        let body: Value = serde_json::from_str(&streamed.pieces.recv().await.expect("a body")).expect("JSON");
        let kind = body["type"].as_str().and_then(|kind| kind.strip_prefix("urn:clinchat:problem:")).expect("a problem of ours");
        assert_eq!((streamed.head.status().as_u16(), kind), expected);
        assert_eq!(streamed.pieces.recv().await, None);
    }
}

#[tokio::test]
async fn i4_no_sentence_leaves_before_the_trail_says_what_may_be_shown() {
    let house = hospital_with(&[("gel", GEL)]).await;
    let ask = event_with_body("chat.stream", &json!({ "question": QUESTION }));
    let before = house.audit.events().len();
    let told = events(stream(&house, &ask).await).await;
    assert_eq!(names(&told), ["status", "status", "citation", "sentence", "usage", "done"]);
    let trail = house.audit.events();
    let [intent, end] = &trail[before..] else { panic!("{trail:?}") };
    assert_eq!((intent.event_type, intent.outcome), (EventType::ChatAnswered, Outcome::Intended));
    assert_eq!((end.event_type, end.outcome), (EventType::ChatAnswered, Outcome::Success));
    assert_eq!((end.agent.as_str(), end.entity.clone()), (SUBJECT, intent.entity.clone()));
    let details = serde_json::to_value(&end.details).expect("JSON");
    assert_eq!(details["intent"], intent.id.to_string());
    // A refusal ends as one.
    let refused = event_with_body("chat.stream", &json!({ "question": "Who won the football world cup?" }));
    events(stream(&house, &refused).await).await;
    assert_eq!(house.history().last(), Some(&EventType::ChatRefused));
    house.audit.take_down();
    let told = events(stream(&house, &ask).await).await;
    assert_eq!(names(&told), ["status", "error"]);
    assert_eq!(told[1].1["type"], "urn:clinchat:problem:unavailable");
    assert!(!told[1].1.to_string().contains("seconds"));
}

/// A model that says something, then fails.
struct Breaking(Vec<DraftSentence>);

#[async_trait::async_trait]
impl ChatModel for Breaking {
    fn name(&self) -> &'static str {
        "breaking"
    }

    async fn complete(&self, _: &Prompt<'_>) -> Result<Completion, PortError> {
        Err(PortError::Unavailable { operation: "complete", code: "broken".into() })
    }

    async fn stream(&self, prompt: &Prompt<'_>, sentences: Sentences<'_>, _: Gone<'_>) -> Result<Completion, PortError> {
        for draft in &self.0 {
            sentences(Piece::Sentence(draft));
        }
        self.complete(prompt).await
    }
}

#[tokio::test]
async fn after_the_first_sentence_nobody_else_is_asked_and_before_it_somebody_is() {
    let house = hospital_with(&[("gel", GEL)]).await;
    let ask = event_with_body("chat.stream", &json!({ "question": QUESTION }));
    let draft = |text: &str| DraftSentence { text: text.to_owned(), supports: vec![(0, 0..GEL.chars().count())] };
    for (said, expected) in [
        (vec![draft("Alcohol gel is rubbed in for 20 seconds.")], ("breaking", true)),
        // What has no support has not gone out.
        (vec![draft("Alcohol gel is rubbed in for 90 seconds.")], ("extractive", false)),
        (vec![], ("extractive", false)),
    ] {
        let mut chat = house.chat();
        chat.fallback = Some(std::mem::replace(&mut chat.model, Box::new(Breaking(said.clone()))));
        let Reply::Stream(streamed) = ::chat::reply(&Arc::new(chat), request(&ask)).await else { panic!("the route streams") };
        let told = events(streamed).await;
        assert_eq!(names(&told), ["status", "status", "citation", "sentence", "usage", "done"], "{said:?}");
        let end = &told[5].1;
        assert_eq!((end["model"].as_str(), end["truncated"].as_bool().unwrap_or(false)), (Some(expected.0), expected.1));
        assert_eq!(told[4].1["unsupported_sentences"], usize::from(!said.is_empty() && !expected.1));
        assert!(!told[3].1.to_string().contains("90"));
    }
}

/// A model that breaks.
struct Panicking;

#[async_trait::async_trait]
impl ChatModel for Panicking {
    fn name(&self) -> &'static str {
        "panicking"
    }

    async fn complete(&self, _: &Prompt<'_>) -> Result<Completion, PortError> {
        tokio::task::yield_now().await;
        panic!("what it worked on")
    }
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_work_breaks() {
    let house = hospital_with(&[("gel", GEL)]).await;
    let app = Arc::new(::chat::Chat { model: Box::new(Panicking), ..house.chat() });
    let ask = event_with_body("chat.stream", &json!({ "question": QUESTION }));
    let Reply::Stream(streamed) = ::chat::reply(&app, request(&ask)).await else { panic!("the route streams") };
    let told = events(streamed).await;
    assert_eq!(names(&told), ["status", "status", "error"]);
    assert_eq!(told[2].1["type"], "urn:clinchat:problem:internal");
    assert!(!told[2].1.to_string().contains("what it worked on"));
    assert_eq!(house.history().last(), Some(&EventType::RequestRefused), "the trail has its end");
}

/// The function in a process of its own, on a Runtime API.
struct Running {
    api: RuntimeApi,
    child: Child,
    shown: BufReader<ChildStdout>,
    double: LlmDouble,
}

impl Running {
    fn start() -> Result<Self> {
        let (api, double) = (RuntimeApi::open()?, LlmDouble::open(0)?);
        let plan = Plan {
            models: Some([double.gemini_url(), double.groq_url()]),
            documents: vec![Sheet::of_main("hand hygiene", &format!("{SOAP}\n\n{GEL}"))],
            ..Plan::default()
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_chat-in-memory"))
            .arg(serde_json::to_string(&plan)?)
            .current_dir(repository::root())
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "chat")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .stdout(Stdio::piped())
            .spawn()?;
        let shown = BufReader::new(child.stdout.take().expect("it is piped"));
        api.polled()?;
        Ok(Self { api, child, shown, double })
    }

    /// The next line of what it shows: its books and its trail before an answer. Its metrics are between them.
    fn shown(&mut self) -> Result<Value> {
        self.line_with("trail")
    }

    /// The next line that has this.
    fn line_with(&mut self, name: &str) -> Result<Value> {
        loop {
            let mut line = String::new();
            self.shown.read_line(&mut line)?;
            let shown: Value = serde_json::from_str(&line)?;
            if shown.get(name).is_some() {
                return Ok(shown);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask() -> String {
    event_with_body("chat.stream", &json!({ "question": QUESTION })).to_string()
}

/// A model that says so many sentences.
fn saying(sentences: &[&str]) -> Mind {
    let sentences: Vec<Value> = sentences.iter().map(|text| json!({ "text": text, "passages": [1] })).collect();
    Mind::Fixed(json!({ "sentences": sentences }).to_string())
}

#[test]
fn on_a_runtime_api_a_sentence_is_there_before_the_model_has_ended_and_a_hang_up_ends_the_call() -> Result<()> {
    let mut running = Running::start()?;
    for format in [Format::Gemini, Format::OpenAi] {
        let endless = Behaviour { mind: saying(&[GEL, SOAP, GEL]), ..Behaviour::failing(Fault::Endless) };
        running.double.behave(format, endless);
        if format == Format::OpenAi {
            running.double.behave(Format::Gemini, Behaviour::failing(Fault::Status(503, None)));
        }
        let before = running.double.hung_up();
        let answer = running.api.invoke_streaming(&ask())?;
        running.shown()?;
        let header = |name: &str| answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(header("lambda-runtime-function-response-mode"), Some("streaming"));
        assert_eq!(header("transfer-encoding"), Some("chunked"));
        assert_eq!(header("content-type"), Some("application/vnd.awslambda.http-integration-response"));
        // The prelude, eight zero bytes, and then events; the model is still at it.
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains("event: sentence\n") {
            bytes.extend(answer.next().expect("a sentence comes").1);
        }
        let split = bytes.windows(8).position(|eight| eight == [0; 8]).expect("a prelude");
        let prelude: Value = serde_json::from_slice(&bytes[..split])?;
        assert_eq!(prelude["statusCode"], 200);
        assert_eq!(prelude["headers"]["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(running.double.hung_up(), before, "the model still has the floor");
        answer.hang_up()?;
        // Before the next event is taken everything is booked and told. That it was we who ended the call is in the books: left
        // alone, it would have run into its time limit.
        running.api.polled()?;
        while running.double.hung_up() == before {
            std::thread::yield_now();
        }
    }
    running.double.behave(Format::Gemini, Behaviour::well());
    running.api.invoke(&ask())?;
    let shown = running.shown()?;
    let outcomes: Vec<&str> =
        shown["attempts"].as_array().expect("rows").iter().filter_map(|row| row["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["cancelled", "down", "cancelled"], "{shown}");
    assert!(shown["attempts"][0]["cost"].as_u64() > Some(0), "what may have been used is paid");
    let trail = shown["trail"].as_array().expect("events");
    let ends: Vec<&Value> = trail.iter().filter(|event| event[0] == "chat_answered").collect();
    let outcomes: Vec<&Value> = ends.iter().map(|event| &event[1]).collect();
    assert_eq!(outcomes, ["intended", "failure", "intended", "failure"]);
    assert_eq!((&ends[1][2]["ended"], &ends[1][2]["sentences"]), (&"gone".into(), &2.into()), "{}", ends[1]);
    Ok(())
}

#[test]
fn on_a_runtime_api_the_record_says_how_long_each_part_took() -> Result<()> {
    let mut running = Running::start()?;
    let parts = ["UnderstandMs", "SearchMs", "AnswerMs", "RecordMs", "KeepMs"];
    for (event, first) in [(event("chat.ask").to_string(), None), (ask(), Some("FirstSentenceMs"))] {
        if first.is_some() {
            running.api.invoke_streaming(&event)?.rest();
        } else {
            running.api.invoke(&event)?;
        }
        let record = running.line_with("DurationMs")?;
        running.api.polled()?;
        let took = |name: &str| record[name].as_f64().unwrap_or(-1.0);
        assert!(parts.iter().chain(&first).all(|part| took(part) >= 0.0), "{record}");
        assert_eq!(record.get("FirstSentenceMs").is_some(), first.is_some());
        // Rounded to a microsecond each.
        let sum: f64 = parts.iter().map(|part| took(part)).sum();
        assert!(sum <= took("DurationMs") + 0.01, "the parts do not overlap: {record}");
        assert_eq!(record["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["function", "outcome"]]));
    }
    Ok(())
}

#[test]
fn on_a_runtime_api_a_whole_answer_stays_whole_and_a_problem_has_its_status_in_the_prelude() -> Result<()> {
    let running = Running::start()?;
    let whole = running.api.invoke(&event("chat.ask").to_string())?;
    let whole: Value = serde_json::from_slice(&whole)?;
    assert_eq!((&whole["statusCode"], &whole["isBase64Encoded"]), (&200.into(), &false.into()));
    assert_eq!(whole["multiValueHeaders"]["content-type"], json!(["application/json"]));
    let body: Value = serde_json::from_str(whole["body"].as_str().expect("a body"))?;
    assert!(body["trace_id"].is_string());
    running.api.polled()?;
    let refused = running.api.invoke_streaming(&event_with_body("chat.stream", &json!({ "question": "" })).to_string())?;
    let bytes = refused.rest();
    let split = bytes.windows(8).position(|eight| eight == [0; 8]).expect("a prelude");
    let (prelude, body): (Value, Value) =
        (serde_json::from_slice(&bytes[..split])?, serde_json::from_slice(&bytes[split + 8..])?);
    assert_eq!(prelude["statusCode"], 400);
    assert_eq!(body["type"], "urn:clinchat:problem:bad-question");
    Ok(())
}
