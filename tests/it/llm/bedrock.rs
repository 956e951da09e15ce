//! Bedrock behind the same gateway: its two calls over real sockets, signed by the SDK, every way in which it refuses or breaks.

use super::{Case, Money, gate, now};
use ::bedrock::BedrockClient;
use ::llm::gateway::Bounds;
use ::llm::{Gateway, Route};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;
use aws_types::region::Region;
use domain::breaker::{BreakerRules, Breakers};
use domain::chat::ChatModel as _;
use domain::spending::{AttemptOutcome, Caps, Catalogue, LedgerRow, LedgerStore as _, MicroDollars, Provider, TokenUsage};
use domain::text::Analyzer;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use testkit::{CountingIds, MemoryBreakers};
use tests::bedrock_double::{BedrockDouble, Manner, USAGE};

const MODEL: &str = "acme.small-v1:0";
const PASSAGES: [&str; 1] = ["Adults get 5 mg of apixaban twice daily. Call Ottoline Brackwater on 0161 496 0123."];
const QUESTION: &str = "How much apixaban do adults get?";
const SENTENCE: &str = "Adults get 5 mg of apixaban twice daily.";

struct Setup {
    double: BedrockDouble,
    money: Money,
    gateway: Gateway,
}

async fn sdk(url: &str) -> SdkConfig {
    let credentials = SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test"));
    let config = runtime::aws::sdk_config(Duration::from_millis(1)).await.into_builder().credentials_provider(credentials);
    config.region(Region::new("eu-west-1")).endpoint_url(url).build()
}

async fn setup() -> Setup {
    let text = json!({ "sentences": [{ "text": SENTENCE, "passages": [1] }] }).to_string();
    let double = BedrockDouble::open(&text).expect("a port");
    let money = Money::with(Caps::default());
    let catalogue = json!({ "read_on": "2026-11-01", "models": [{
        "id": MODEL, "provider": "bedrock", "grade": "usual", "default": false, "baa": true, "context_tokens": 100_000,
        "output_tokens_max": 4_096, "structured_output": false, "source": "the operator's",
        "prices": [{ "from": "2026-01-01", "input": "0.10", "cached_input": "0.05", "output": "0.40" }],
    }] });
    let catalogue = Catalogue::parse(&catalogue.to_string()).expect("a catalogue of one's own");
    let bounds = Bounds {
        connect: Duration::from_millis(500),
        silence: Duration::from_millis(900),
        attempt: Duration::from_secs(5),
        ..super::BOUNDS
    };
    let route = Route {
        client: Box::new(BedrockClient::new(&sdk(&double.url()).await, bounds.connect)),
        keys: None,
        usual: catalogue.find(Provider::Bedrock, MODEL).expect("it is in there").clone(),
        cheaper: None,
    };
    let gateway = Gateway {
        routes: vec![route],
        gate: gate(),
        ledger: money.ledger.clone(),
        breakers: Breakers {
            store: Arc::new(MemoryBreakers::default()),
            rules: BreakerRules::default(),
            ids: Arc::new(CountingIds::default()),
        },
        bounds,
        clock: now,
        unanswered: || (),
        analyzer: Analyzer::default(),
    };
    Setup { double, money, gateway }
}

impl Setup {
    async fn ask(&self, is_stream: bool) -> Result<domain::chat::Completion, domain::fault::PortError> {
        let case = Case::new(QUESTION, &PASSAGES);
        if is_stream {
            self.gateway.stream(&case.prompt(), &mut |_| false, &mut std::future::pending()).await
        } else {
            self.gateway.complete(&case.prompt()).await
        }
    }

    async fn row(&self) -> LedgerRow {
        let rows = self.money.books.rows(now().to_zoned(TimeZone::UTC).date()).await.expect("rows");
        let [row] = &rows[..] else { panic!("one call, one row: {rows:?}") };
        row.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_whole_and_in_pieces_is_paid_by_its_count_and_what_was_sent_is_what_was_recorded() {
    for (is_stream, manner) in
        [(false, Manner::Stops("end_turn")), (true, Manner::Stops("stop_sequence")), (true, Manner::ByteByByte)]
    {
        let setup = setup().await;
        setup.double.behave(manner);
        let completion = setup.ask(is_stream).await.expect("an answer");
        let texts: Vec<&str> = completion.sentences.iter().map(|sentence| sentence.text.as_str()).collect();
        assert_eq!((texts, completion.is_truncated), (vec![SENTENCE], false));
        assert_eq!(completion.sentences[0].supports[0].0, 0);
        let row = setup.row().await;
        let [input, read, written, output] = USAGE;
        assert_eq!(row.usage, Some(TokenUsage { input: input + written, cached_input: read, output, thinking: 0 }));
        // 1,050 fresh at $0.10, 200 cached at $0.05, 120 written at $0.40 a million.
        assert_eq!((row.outcome, row.cost), (AttemptOutcome::Answered, MicroDollars::new(163)));
        let asked = setup.double.asked();
        let [request] = &asked[..] else { panic!("{asked:?}") };
        let call = if is_stream { "converse-stream" } else { "converse" };
        assert_eq!(request.path, format!("/model/acme.small-v1%3A0/{call}"));
        let sent = row.sent.expect("what was sent is recorded");
        assert_eq!((sent.bytes, sent.sha256), (request.body.len() as u64, Sha256::digest(&request.body).into()));
        let signature = request.header("authorization").expect("it is signed");
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=id/") && signature.contains("/eu-west-1/bedrock/"));
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body["inferenceConfig"]["maxTokens"], 1_024);
        let input = body["messages"][0]["content"][0]["text"].as_str().expect("the input");
        assert!(input.contains("apixaban") && !input.contains("Brackwater") && !input.contains("0161 496 0123"), "{input}");
        assert!(body["system"][0]["text"].as_str().is_some_and(|text| text.contains("JSON")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_class_and_its_price() {
    use AttemptOutcome::{Down, Rejected, Retired, TimedOut};
    for (status, code, message, outcome, is_free) in [
        (403, "AccessDeniedException", "no", Rejected, true),
        (403, "ExpiredTokenException", "no", Rejected, true),
        (404, "ResourceNotFoundException", "no", Retired, true),
        (429, "ThrottlingException", "slow down", AttemptOutcome::RateLimited, true),
        (429, "ModelNotReadyException", "later", Down, true),
        (408, "ModelTimeoutException", "long", TimedOut, false),
        (424, "ModelErrorException", "broke", Down, true),
        (500, "InternalServerException", "broke", Down, true),
        (503, "ServiceUnavailableException", "later", Down, true),
        (400, "ValidationException", "The provided model identifier is invalid.", Retired, true),
        (400, "ValidationException", "Input is too long for requested model.", Rejected, true),
        (400, "ValidationException", "maxTokens is wrong", Rejected, true),
        (418, "UnheardOfException", "?", Rejected, true),
    ] {
        for is_stream in [false, true] {
            let setup = setup().await;
            setup.double.behave(Manner::Refuses(status, code, message));
            let error = setup.ask(is_stream).await.expect_err("nobody answers");
            let row = setup.row().await;
            assert_eq!((row.outcome, row.cost == MicroDollars::ZERO), (outcome, is_free), "{code} {is_stream}");
            assert!(!format!("{error:?}").contains(message), "a provider's words stay out of errors");
            assert_eq!(setup.double.asked().len(), 1, "nothing is sent twice");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stop_and_each_break_has_its_class_and_its_price() {
    use AttemptOutcome::{Answered, Blocked, Broken, Malformed, TimedOut, Truncated};
    let counted = Some(MicroDollars::new(163));
    for (manner, is_stream, outcome, price) in [
        (Manner::Stops("max_tokens"), false, Truncated, counted),
        (Manner::Stops("model_context_window_exceeded"), true, Truncated, counted),
        (Manner::Stops("content_filtered"), false, Blocked, counted),
        (Manner::Stops("guardrail_intervened"), true, Blocked, counted),
        (Manner::Stops("tool_use"), true, Malformed, counted),
        (Manner::Stops("a_new_reason"), false, Malformed, counted),
        (Manner::CallsTool, false, Malformed, counted),
        (Manner::Breaks("throttlingException"), true, Broken, None),
        (Manner::Breaks("modelStreamErrorException"), true, Broken, None),
        (Manner::Breaks("internalServerException"), true, Broken, None),
        (Manner::Breaks("aNewException"), true, Broken, None),
        (Manner::Ends, true, Broken, None),
        (Manner::Corrupt, true, Malformed, None),
        (Manner::Stalls, true, TimedOut, None),
        (Manner::Silent, false, TimedOut, None),
        (Manner::Silent, true, TimedOut, None),
        (Manner::Stops("end_turn"), true, Answered, counted),
    ] {
        let setup = setup().await;
        setup.double.behave(manner);
        let _ = setup.ask(is_stream).await;
        let row = setup.row().await;
        assert_eq!((row.outcome, row.cost), (outcome, price.unwrap_or(row.reserved)), "{manner:?} {is_stream}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_ends_the_call() {
    let setup = setup().await;
    setup.double.behave(Manner::Stalls);
    let case = Case::new(QUESTION, &PASSAGES);
    let mut gone = Box::pin(async {
        while setup.double.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    });
    setup.gateway.stream(&case.prompt(), &mut |_| true, &mut gone).await.expect_err("nobody is there");
    let row = setup.row().await;
    assert_eq!((row.outcome, row.cost), (AttemptOutcome::Cancelled, row.reserved), "what may have been used is paid");
    while setup.double.hung_up() == 0 {
        tokio::task::yield_now().await;
    }
}
