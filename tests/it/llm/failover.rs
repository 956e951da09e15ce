//! The gateway: one failover, no double charge, an end for every question, keys that change under way.

use super::{Case, Setup, now};
use ::llm::gateway::Bounds;
use async_trait::async_trait;
use domain::audit::{EventType, Outcome};
use domain::breaker::{BreakerState, BreakerStore, StoredBreaker};
use domain::chat::{ChatModel as _, DraftSentence, Piece};
use domain::fault::PortError;
use domain::keys::{Key, KeyRing, KeyVersion};
use domain::spending::{AttemptOutcome, Caps, LedgerRow, LedgerStore as _, MicroDollars};
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;
use tests::llm_double::{Behaviour, Fault, Format, Mind, USAGE};

const PASSAGES: [&str; 2] =
    ["Visitors may come from 10:00 to 20:00.", "Adults get 5 mg of apixaban twice daily. Children get none."];
const QUESTION: &str = "How much apixaban do adults get?";

async fn rows(setup: &Setup) -> Vec<LedgerRow> {
    let day = now().to_zoned(TimeZone::UTC).date();
    let books = setup.money.books.books(day).await.expect("the books");
    assert!(books.holds.is_empty(), "every reservation is settled: {:?}", books.holds);
    let rows = setup.money.books.rows(day).await.expect("rows");
    assert_eq!(books.spent, rows.iter().map(|row| row.cost).sum(), "what is booked is what the rows say");
    rows
}

fn other(format: Format) -> Format {
    if format == Format::Gemini { Format::OpenAi } else { Format::Gemini }
}

fn asked(setup: &Setup, format: Format) -> usize {
    setup.double.requests().iter().filter(|request| Format::of(&request.target) == Some(format)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_brings_one_failover_and_no_double_charge_whole_and_streamed() {
    let (mut cases, mut wrong) = (0, Vec::new());
    for first in [Format::Gemini, Format::OpenAi] {
        for is_stream in [false, true] {
            for fault in Fault::all() {
                let setup = Setup::new(first);
                setup.double.behave(first, Behaviour::failing(fault));
                let case = Case::new(QUESTION, &PASSAGES);
                let mut heard: Vec<DraftSentence> = Vec::new();
                let completion = if is_stream {
                    let mut hear = |piece: Piece<'_>| {
                        let Piece::Sentence(sentence) = piece else { return false };
                        heard.push(sentence.clone());
                        true
                    };
                    setup.gateway.stream(&case.prompt(), &mut hear, &mut std::future::pending()).await
                } else {
                    setup.gateway.complete(&case.prompt()).await
                };
                cases += 1;
                let rows = rows(&setup).await;
                let [first_calls, second_calls] = [asked(&setup, first), asked(&setup, other(first))];
                let mut check = |holds: bool, what: &str| {
                    if !holds {
                        wrong.push(format!(
                            "{first:?} stream={is_stream} {fault:?}: {what}: {completion:?} {first_calls} {second_calls}"
                        ));
                    }
                };
                // Keys that are refused are each tried once, everything else once in all.
                let is_key = matches!(fault, Fault::BadKey | Fault::Status(403, _));
                check(first_calls == if is_key { 3 } else { 1 }, "calls of the first");
                check(rows.len() == first_calls + second_calls, "a row for each call");
                check(rows.iter().all(|row| row.cost <= row.reserved), "no call costs more than was reserved");
                let by_first = matches!(
                    fault,
                    Fault::OneByteChunks
                        | Fault::SplitCharacters
                        | Fault::MixedLineEnds
                        | Fault::DuplicateUsage
                        | Fault::NoUsage
                        | Fault::EmptyEvents
                        | Fault::Truncated
                );
                let is_blocked = matches!(fault, Fault::PromptBlocked | Fault::SafetyStop);
                // A stream that breaks off after its first sentence is not told again by another model.
                let has_spoken = is_stream
                    && match fault {
                        Fault::MissingEnd | Fault::SafetyStop | Fault::OddStop => true,
                        Fault::ToolCall => first == Format::Gemini,
                        _ => false,
                    };
                check(second_calls == usize::from(!by_first && !is_blocked && !has_spoken), "calls of the second");
                match &completion {
                    Err(_) => check(is_blocked && !has_spoken, "no answer"),
                    Ok(completion) => {
                        check(!completion.sentences.is_empty(), "sentences");
                        check(!is_stream || heard == completion.sentences, "what was heard is what was said");
                        let supported = completion.sentences.iter().all(|sentence| !sentence.supports.is_empty());
                        check(supported || fault == Fault::Truncated, "places");
                    }
                }
                // Nothing is counted twice: the usage of one call is in one row.
                let answered = rows.iter().filter(|row| row.outcome == AttemptOutcome::Answered).count();
                check(answered <= 1, "one answer is paid");
                let sent: u32 = rows.iter().filter_map(|row| row.usage).map(|usage| usage.sent()).sum();
                check(sent <= rows.len() as u32 * USAGE[0], "usage once a call");
            }
        }
    }
    assert_eq!(wrong, [""; 0], "of {cases} cases");
    assert_eq!(cases, 4 * Fault::all().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_booked_by_the_providers_count_or_in_full_if_nobody_knows() {
    for (fault, expected) in [
        (None, (AttemptOutcome::Answered, Some(true))),
        (Some(Fault::Status(503, None)), (AttemptOutcome::Down, Some(false))),
        (Some(Fault::Status(408, None)), (AttemptOutcome::TimedOut, None)),
        (Some(Fault::Silent), (AttemptOutcome::TimedOut, None)),
        (Some(Fault::ClosedWithin), (AttemptOutcome::Broken, None)),
        (Some(Fault::ErrorWithin), (AttemptOutcome::Broken, None)),
        (Some(Fault::NoUsage), (AttemptOutcome::Answered, None)),
    ] {
        let setup = Setup::new(Format::Gemini);
        setup.double.behave(Format::Gemini, Behaviour { fault, ..Behaviour::well() });
        setup.gateway.complete(&Case::new(QUESTION, &PASSAGES).prompt()).await.expect("an answer");
        let rows = rows(&setup).await;
        let row = &rows[0];
        assert_eq!(row.outcome, expected.0, "{fault:?}");
        // 1,000 fresh and 200 cached at $0.75, 120 written and thought at $3.75 a million.
        let booked = match expected.1 {
            Some(true) => MicroDollars::new(1_350),
            Some(false) => MicroDollars::ZERO,
            None => row.reserved,
        };
        assert_eq!(row.cost, booked, "{fault:?}");
        let sent = row.sent.as_ref().expect("what was sent");
        let body = setup.double.requests()[0].bytes.len() as u64;
        assert!(sent.bytes > 1_000 && sent.bytes < body, "the hash and the length are the body's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_read_anew_at_once_and_the_pending_and_previous_are_tried() {
    // Somebody has changed the key a moment ago: the store has it, the cache has not.
    let setup = Setup::new(Format::Gemini);
    let refuse = |keys: &[&str]| Behaviour { bad_keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..Behaviour::well() };
    let case = Case::new(QUESTION, &PASSAGES);
    setup.gateway.complete(&case.prompt()).await.expect("an answer");
    setup.keys.put(&["key-new", "key-newer"]);
    setup.double.behave(Format::Gemini, refuse(&["key-current"]));
    let completion = setup.gateway.complete(&case.prompt()).await.expect("an answer");
    assert_eq!(completion.model.as_deref(), Some("gemini-3.8-flash"));
    assert_eq!((asked(&setup, Format::Gemini), setup.keys.reads()), (3, 2));
    // From then on the new one is used at once.
    setup.gateway.complete(&case.prompt()).await.expect("an answer");
    assert_eq!((asked(&setup, Format::Gemini), setup.keys.reads()), (4, 2));
    // The new one is wrong: the pending one works.
    setup.double.behave(Format::Gemini, refuse(&["key-current", "key-new"]));
    setup.gateway.complete(&case.prompt()).await.expect("an answer");
    assert!(setup.double.requests().last().expect("a request").text().contains("x-goog-api-key: key-newer\r\n"));
    assert_eq!(asked(&setup, Format::OpenAi), 0);
    let costs: Vec<bool> = rows(&setup).await.iter().map(|row| row.cost > MicroDollars::ZERO).collect();
    assert_eq!(costs, [true, false, true, true, false, true], "a refused key costs nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_money_nobody_is_asked_and_past_the_threshold_the_cheaper_model_is() {
    let case = Case::new(QUESTION, &PASSAGES);
    let nothing = Caps { deployment: MicroDollars::new(10), ..Caps::default() };
    let setup = Setup::with(Format::Gemini, nothing);
    setup.gateway.complete(&case.prompt()).await.expect_err("there is no money");
    assert_eq!((setup.double.requests().len(), rows(&setup).await.len()), (0, 0));
    let cheap = Caps { threshold_percent: 0, ..Caps::default() };
    let setup = Setup::with(Format::Gemini, cheap);
    let completion = setup.gateway.complete(&case.prompt()).await.expect("an answer");
    assert_eq!(completion.model.as_deref(), Some("gemini-3.5-flash-lite"));
    let targets: Vec<String> = setup.double.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/v1beta/models/gemini-3.5-flash-lite:generateContent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_comes_sentence_by_sentence_and_ends_when_the_person_hangs_up() {
    let answer = |count: usize| {
        let sentence = serde_json::json!({ "text": "Adults get 5 mg of apixaban twice daily.", "passages": [2] });
        Mind::Fixed(serde_json::json!({ "sentences": vec![sentence; count] }).to_string())
    };
    let case = Case::new(QUESTION, &PASSAGES);
    for first in [Format::Gemini, Format::OpenAi] {
        let setup = Setup::new(first);
        // It stands still after its beginning; the person does not wait.
        setup.double.behave(first, Behaviour { mind: answer(2), ..Behaviour::failing(Fault::Drip) });
        let mut gone = Box::pin(async {
            while setup.double.requests().is_empty() {
                tokio::task::yield_now().await;
            }
        });
        let ended = setup.gateway.stream(&case.prompt(), &mut |_| true, &mut gone).await;
        assert!(ended.is_err());
        drop(gone);
        let rows = rows(&setup).await;
        let outcomes: Vec<AttemptOutcome> = rows.iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, [AttemptOutcome::Cancelled], "nobody else is asked for somebody who has gone");
        // The call upstream is broken off: the double sees the connection end.
        while setup.double.hung_up() == 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_again_and_again_is_not_asked_for_a_while() {
    let setup = Setup::new(Format::Gemini);
    setup.double.behave(Format::Gemini, Behaviour::failing(Fault::Status(503, None)));
    let case = Case::new(QUESTION, &PASSAGES);
    for _ in 0..5 {
        let completion = setup.gateway.complete(&case.prompt()).await.expect("an answer");
        assert_eq!(completion.model.as_deref(), Some("openai/gpt-oss-120b"));
    }
    assert_eq!((asked(&setup, Format::Gemini), asked(&setup, Format::OpenAi)), (3, 5), "three failures in a row are enough");
    // A refused key is our matter and closes nobody's way.
    let setup = Setup::new(Format::Gemini);
    setup.double.behave(Format::Gemini, Behaviour::failing(Fault::BadKey));
    for _ in 0..5 {
        setup.gateway.complete(&case.prompt()).await.expect("an answer");
    }
    assert_eq!(asked(&setup, Format::Gemini), 15);
}

/// Keys and breakers in a store that does not answer.
struct Hanging;

#[async_trait]
impl KeyRing for Hanging {
    async fn current(&self) -> Result<Key, PortError> {
        std::future::pending().await
    }

    async fn after(&self, _: &[KeyVersion]) -> Result<Option<Key>, PortError> {
        std::future::pending().await
    }
}

#[async_trait]
impl BreakerStore for Hanging {
    async fn load(&self, _: &'static str) -> Result<StoredBreaker, PortError> {
        std::future::pending().await
    }

    async fn replace(&self, _: &'static str, _: &StoredBreaker, _: &BreakerState) -> Result<(), PortError> {
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_ours_that_hangs_holds_no_answer_up() {
    let mut setup = Setup::new(Format::Gemini);
    setup.gateway.bounds.store = Duration::from_millis(20);
    setup.gateway.routes[0].keys = Some(Box::new(Hanging));
    setup.gateway.breakers.store = Arc::new(Hanging);
    let completion = setup.gateway.complete(&Case::new(QUESTION, &PASSAGES).prompt()).await.expect("an answer");
    assert_eq!(completion.model.as_deref(), Some("openai/gpt-oss-120b"), "the first has no key in time, the second answers");
    assert_eq!(rows(&setup).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_told_when_nobody_answers_and_not_when_money_or_the_person_ends_it() {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let case = Case::new(QUESTION, &PASSAGES);
    for (fault, caps, expected) in [
        (Fault::Status(503, None), Caps::default(), 1),
        (Fault::PromptBlocked, Caps::default(), 0),
        (Fault::Status(503, None), Caps { deployment: MicroDollars::new(10), ..Caps::default() }, 0),
    ] {
        let mut setup = Setup::with(Format::Gemini, caps);
        setup.gateway.unanswered = || {
            TOLD.fetch_add(1, Ordering::Relaxed);
        };
        for format in [Format::Gemini, Format::OpenAi] {
            setup.double.behave(format, Behaviour::failing(fault));
        }
        TOLD.store(0, Ordering::Relaxed);
        setup.gateway.complete(&case.prompt()).await.expect_err("nobody answers");
        assert_eq!(TOLD.load(Ordering::Relaxed), expected, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_gone_before_anything_was_sent_costs_nothing() {
    let setup = Setup::new(Format::Gemini);
    let case = Case::new(QUESTION, &PASSAGES);
    setup.gateway.stream(&case.prompt(), &mut |_| true, &mut std::future::ready(())).await.expect_err("nobody is there");
    assert_eq!((setup.double.requests().len(), rows(&setup).await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_while_the_call_is_announced_has_nothing_sent_and_pays_nothing() {
    let setup = Setup::new(Format::Gemini);
    let case = Case::new(QUESTION, &PASSAGES);
    let has_begun = || setup.money.audit.events().iter().any(|event| event.event_type == EventType::LlmCall);
    let mut gone = std::future::poll_fn(|_| if has_begun() { Poll::Ready(()) } else { Poll::Pending });
    setup.gateway.stream(&case.prompt(), &mut |_| true, &mut gone).await.expect_err("nobody is there");
    let rows = rows(&setup).await;
    let [row] = &rows[..] else { panic!("one reservation was made: {rows:?}") };
    assert_eq!((row.outcome, row.cost, row.sent.is_none()), (AttemptOutcome::NotSent, MicroDollars::ZERO, true));
    assert_eq!(setup.double.requests().len(), 0);
    let trail = setup.money.audit.events();
    assert_eq!(trail.last().map(|event| event.outcome), Some(Outcome::Failure), "the intent has its end: {trail:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_wrote_and_nobody_heard_is_void_when_another_begins() {
    let setup = Setup::new(Format::Gemini);
    setup.double.behave(Format::Gemini, Behaviour::failing(Fault::MissingEnd));
    let case = Case::new(QUESTION, &PASSAGES);
    let mut heard = Vec::new();
    // None of them goes out, as under the policy that marks.
    let mut hear = |piece: Piece<'_>| {
        heard.push(matches!(piece, Piece::Anew));
        false
    };
    setup.gateway.stream(&case.prompt(), &mut hear, &mut std::future::pending()).await.expect("the second answers");
    assert_eq!(asked(&setup, Format::OpenAi), 1);
    let at = heard.iter().position(|is_anew| *is_anew).expect("another begins");
    assert!(at > 0 && at + 1 < heard.len() && heard.iter().filter(|is_anew| **is_anew).count() == 1, "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_breaks_off_after_its_first_sentence_is_unwell_all_the_same() {
    let setup = Setup::new(Format::Gemini);
    setup.double.behave(Format::Gemini, Behaviour::failing(Fault::MissingEnd));
    let case = Case::new(QUESTION, &PASSAGES);
    for _ in 0..5 {
        setup.gateway.stream(&case.prompt(), &mut |_| true, &mut std::future::pending()).await.expect("an answer");
    }
    assert_eq!((asked(&setup, Format::Gemini), asked(&setup, Format::OpenAi)), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_says_how_long_it_is_busy_is_asked_once() {
    let setup = Setup::new(Format::Gemini);
    setup.double.behave(Format::Gemini, Behaviour::failing(Fault::Status(429, Some(30))));
    let case = Case::new(QUESTION, &PASSAGES);
    for _ in 0..3 {
        setup.gateway.complete(&case.prompt()).await.expect("an answer");
    }
    assert_eq!((asked(&setup, Format::Gemini), asked(&setup, Format::OpenAi)), (1, 3));
}

#[test]
fn each_wait_ends_before_the_one_around_it() {
    /// The search before and the audit write after a model's answer, one slow try of each.
    const AROUND_S: u64 = 2;
    let template = crate::template::template();
    let function_s = template["Resources"]["ChatFunction"]["Properties"]["Timeout"].as_u64().expect("seconds");
    let bounds = Bounds::default();
    assert!(bounds.connect < bounds.silence && bounds.silence < bounds.attempt && bounds.attempt < bounds.answer);
    // What is written after the last call: money and trail together, then the breaker.
    let booking_s = 2 * bounds.store.as_secs();
    let calls_s = (bounds.rewriting + bounds.answer).as_secs();
    assert!(calls_s + booking_s + AROUND_S < function_s, "the function gives up before its gateway");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_announced_and_concluded_in_the_audit_trail_and_none_leaves_unannounced() {
    let setup = Setup::new(Format::Gemini);
    setup.double.behave(Format::Gemini, Behaviour::failing(Fault::Status(503, None)));
    let case = Case::new("Ottoline Brackwater, MRN 8847120: how much apixaban do adults get?", &PASSAGES);
    setup.gateway.complete(&case.prompt()).await.expect("an answer");
    let events = setup.money.audit.events();
    let seen: Vec<_> = events.iter().map(|event| (event.event_type, event.outcome)).collect();
    let [call, failed, answered] =
        [Outcome::Intended, Outcome::Failure, Outcome::Success].map(|outcome| (EventType::LlmCall, outcome));
    assert_eq!(seen, [call, failed, call, answered]);
    let details = serde_json::to_value(&events[0].details).expect("JSON");
    assert_eq!((&details["provider"], &details["medical_record_number"]), (&"gemini".into(), &1.into()));
    assert_eq!(serde_json::to_value(&events[1].details).expect("JSON")["ended"], "down");
    let all = format!("{events:?}");
    assert!(!all.contains("Brackwater") && !all.contains("8847120") && !all.contains("apixaban"));
    // Without the announcement nothing leaves and nothing is paid.
    let before = setup.double.requests().len();
    setup.money.audit.take_down();
    setup.gateway.complete(&case.prompt()).await.expect_err("nothing may leave");
    assert_eq!(setup.double.requests().len(), before);
    assert_eq!(rows(&setup).await.last().map(|row| row.outcome), Some(AttemptOutcome::NotSent));
}
