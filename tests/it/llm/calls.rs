//! Every way a call can end, in both formats, whole and streamed: the right class and the right bill.

use super::{BOUNDS, Money, client, model, now};
use ::llm::{
    Address, Billed, CallError, Failure, Form, HttpClient, HttpProvider, Message, ModelRequest, Patience, ProviderClient as _,
    Reply, prompt,
};
use domain::context::Role;
use domain::keys::ApiKey;
use domain::spending::{Caps, Grade, TokenUsage};
use std::collections::BTreeSet;
use std::time::Duration;
use tests::llm_double::{Behaviour, Fault, Format, LlmDouble, Mind, USAGE};
use tokio::time::Instant;

const ANSWER: &str = "{\"sentences\":[{\"text\":\"Naïve 😀 café.\",\"passages\":[1]}]}";

fn counted() -> TokenUsage {
    TokenUsage::gemini(USAGE[0], USAGE[1], 0, USAGE[2], USAGE[3])
}

/// One call; what came in pieces as well.
async fn call(double: &LlmDouble, format: Format, form: Form, key: &str) -> (Result<Reply, CallError>, String) {
    let model = model(format, Grade::Usual);
    let money = Money::with(Caps::default());
    let client = client(double, format);
    let mut input = Message::default();
    input.ours("QUESTION\n0| How much?\n1| Title\n1| Give 5 mg.");
    let request = ModelRequest {
        model: &model.id,
        instructions: prompt::instructions(domain::chat::Task::Answer),
        input: &input,
        output_tokens_max: 500,
        thinking: model.least_thinking(),
        is_structured: true,
    };
    let sealed = client.seal(&request, form);
    let context = testkit::context("main", &[Role::Clinician]);
    let reservation = money.ledger.reserve(&context, &model, (sealed.tokens_max(), 500), now()).await.expect("room");
    let (permit, _) = reservation.begin();
    let patience = Patience { connect: BOUNDS.connect, silence: BOUNDS.silence, until: Instant::now() + BOUNDS.attempt };
    let mut pieces = String::new();
    let reply = client.call(&sealed, Some(&ApiKey::new(key)), permit, patience, &mut |piece| pieces.push_str(piece)).await;
    (reply, pieces)
}

/// What a fault means, and whether the call is free, counted or unknown.
fn expected(fault: Fault) -> Result<Option<TokenUsage>, CallError> {
    let retry_after = |seconds: Option<u32>| seconds.map(|s| Duration::from_secs(s.into()));
    Err(match fault {
        Fault::Status(429, pause) => CallError::free(Failure::RateLimited { retry_after: retry_after(pause) }),
        Fault::Status(403, _) => CallError::free(Failure::Forbidden),
        Fault::Status(404, _) | Fault::Retired => CallError::free(Failure::Retired),
        // With 408 and 504 it gave up on work that it had begun.
        Fault::Status(408, _) | Fault::Stalled | Fault::Silent | Fault::Drip => CallError::unknown(Failure::TimedOut),
        Fault::Status(504, _) | Fault::ErrorWithin => CallError::unknown(Failure::Down),
        Fault::Status(413, _) => CallError::free(Failure::TooLarge),
        Fault::Status(498 | 500..=599, _) => CallError::free(Failure::Down),
        Fault::Status(_, _) => CallError::free(Failure::Rejected),
        Fault::BadKey => CallError::free(Failure::BadKey),
        Fault::Redirect => CallError::free(Failure::Malformed),
        Fault::ClosedBefore | Fault::ClosedWithin | Fault::MissingEnd => CallError::unknown(Failure::Cut),
        Fault::HugeLine | Fault::MalformedJson | Fault::NotText | Fault::NotHttp => CallError::unknown(Failure::Malformed),
        // How much is counted for what was blocked differs; that it is counted does not.
        Fault::PromptBlocked | Fault::SafetyStop => CallError::counted(Failure::Blocked, Some(counted())),
        Fault::OddStop | Fault::ToolCall => CallError::counted(Failure::Diverted, Some(counted())),
        Fault::NoUsage => return Ok(None),
        Fault::OneByteChunks
        | Fault::SplitCharacters
        | Fault::MixedLineEnds
        | Fault::DuplicateUsage
        | Fault::EmptyEvents
        | Fault::Truncated
        | Fault::Endless
        | Fault::Paced
        | Fault::Prose => return Ok(Some(counted())),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_has_its_class_and_its_bill_in_both_formats_whole_and_streamed() {
    let mut classes = BTreeSet::new();
    let (mut cases, mut wrong) = (0, Vec::new());
    for format in [Format::Gemini, Format::OpenAi] {
        for form in [Form::Whole, Form::Stream] {
            for fault in Fault::all() {
                let double = LlmDouble::open(0).expect("a port");
                double.behave(format, Behaviour { mind: Mind::Fixed(ANSWER.into()), ..Behaviour::failing(fault) });
                let (reply, _) = call(&double, format, form, "key").await;
                cases += 1;
                let got = reply.as_ref().map(|reply| reply.usage).map_err(|error| *error);
                if let Err(error) = &got {
                    classes.insert(error.failure.as_str());
                }
                let is_right = match (expected(fault), got) {
                    (Err(expected), Err(got)) if fault == Fault::PromptBlocked => {
                        expected.failure == got.failure && matches!(got.billed, Billed::Usage(_))
                    }
                    (expected, got) => expected == got,
                };
                if !is_right {
                    wrong.push(format!("{format:?} {form:?} {fault:?}: {reply:?}"));
                }
                assert_eq!(double.requests().len(), 1, "{fault:?} is not sent twice");
            }
        }
    }
    assert_eq!(wrong, [""; 0], "of {cases} cases");
    assert_eq!(cases, 4 * Fault::all().len());
    assert_eq!(classes.len(), 12, "every class is met: {classes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_the_same_whole_in_pieces_and_cut_anywhere() {
    for format in [Format::Gemini, Format::OpenAi] {
        let double = LlmDouble::open(0).expect("a port");
        for form in [Form::Whole, Form::Stream] {
            for fault in [
                None,
                Some(Fault::OneByteChunks),
                Some(Fault::SplitCharacters),
                Some(Fault::MixedLineEnds),
                Some(Fault::EmptyEvents),
            ] {
                double.behave(format, Behaviour { mind: Mind::Fixed(ANSWER.into()), fault, bad_keys: vec![] });
                let (reply, pieces) = call(&double, format, form, "key").await;
                let reply = reply.expect("an answer");
                assert_eq!((reply.text.as_str(), reply.is_truncated), (ANSWER, false), "{format:?} {form:?} {fault:?}");
                assert_eq!(pieces, if form == Form::Stream { ANSWER } else { "" }, "thoughts are no part of it");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_address_is_a_provider_that_is_down_and_costs_nothing() {
    for format in [Format::Gemini, Format::OpenAi] {
        let double = LlmDouble::open(0).expect("a port");
        let model = model(format, Grade::Usual);
        let money = Money::with(Caps::default());
        let client = client(&double, format);
        // Encrypted to somebody who speaks plainly: the handshake never ends, and no request leaves in plain text.
        let plain = double.groq_url().replace("http://", "https://");
        let http = HttpClient::new(BOUNDS.connect).expect("certificates");
        let encrypted = HttpProvider::groq(http, Address::parse(&plain).expect("an address"));
        let request = ModelRequest {
            model: &model.id,
            instructions: prompt::instructions(domain::chat::Task::Answer),
            input: &Message::default(),
            output_tokens_max: 10,
            thinking: None,
            is_structured: true,
        };
        let sealed = client.seal(&request, Form::Whole);
        let context = testkit::context("main", &[Role::Clinician]);
        let reserve = || money.ledger.reserve(&context, &model, (sealed.tokens_max(), 10), now());
        let (permit, _) = reserve().await.expect("room").begin();
        let patience = Patience { connect: BOUNDS.connect, silence: BOUNDS.silence, until: Instant::now() + BOUNDS.attempt };
        let reply = encrypted.call(&sealed, None, permit, patience, &mut |_| ()).await;
        assert_eq!(reply.expect_err("no handshake"), CallError::unknown(Failure::TimedOut));
        assert!(double.requests().is_empty());
        // The port of a double that is gone may be another's by now; the first one is nobody's.
        let nobody = Address::parse("http://127.0.0.1:1").expect("an address");
        let http = HttpClient::new(BOUNDS.connect).expect("certificates");
        let client = match format {
            Format::Gemini => HttpProvider::gemini(http, nobody),
            Format::OpenAi => HttpProvider::groq(http, nobody),
        };
        let (permit, _) = reserve().await.expect("room").begin();
        let patience = Patience { until: Instant::now() + BOUNDS.attempt, ..patience };
        let reply = client.call(&sealed, None, permit, patience, &mut |_| ()).await;
        assert_eq!(reply.expect_err("nobody is there"), CallError::free(Failure::Down));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_in_the_providers_own_words_with_the_key_in_its_header() {
    let double = LlmDouble::open(0).expect("a port");
    for form in [Form::Whole, Form::Stream] {
        for format in [Format::Gemini, Format::OpenAi] {
            call(&double, format, form, "canary-key").await.0.expect("an answer");
        }
    }
    let requests = double.requests();
    let targets: Vec<&str> = requests.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(
        targets,
        [
            "/v1beta/models/gemini-3.8-flash:generateContent",
            "/openai/v1/chat/completions",
            "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
            "/openai/v1/chat/completions",
        ]
    );
    for (request, key) in
        requests.iter().zip(["x-goog-api-key: canary-key\r\n", "authorization: Bearer canary-key\r\n"].repeat(2))
    {
        let text = request.text();
        assert_eq!(text.matches("canary-key").count(), 1, "the key is in its header and nowhere else");
        assert!(text.contains(key) && text.contains("content-type: application/json\r\n"), "{text}");
    }
    let body = |at: usize| {
        let text = requests[at].text();
        let body = text.split_once("\r\n\r\n").expect("a body").1;
        serde_json::from_str::<serde_json::Value>(body).expect("JSON")
    };
    let gemini = body(0);
    assert_eq!(gemini["generationConfig"]["maxOutputTokens"], 500);
    assert_eq!(gemini["generationConfig"]["thinkingConfig"]["thinkingLevel"], "LOW", "MINIMAL is an error with this model");
    assert_eq!(gemini["generationConfig"]["responseMimeType"], "application/json");
    assert_eq!(gemini["contents"][0]["role"], "user");
    assert_eq!(gemini["contents"][0]["parts"][0]["text"], "QUESTION\n0| How much?\n1| Title\n1| Give 5 mg.");
    let (groq, streamed) = (body(1), body(3));
    assert_eq!(groq["model"], "openai/gpt-oss-120b");
    assert_eq!(
        (&groq["max_completion_tokens"], &groq["stream"], &groq["reasoning_effort"]),
        (&500.into(), &false.into(), &"low".into())
    );
    assert_eq!(groq["response_format"]["json_schema"]["strict"], true);
    assert_eq!((&streamed["stream"], &streamed["stream_options"]["include_usage"]), (&true.into(), &true.into()));
    for unsupported in ["n", "logit_bias", "logprobs", "metadata", "store"] {
        assert!(groq.get(unsupported).is_none(), "Groq refuses {unsupported}");
    }
}
