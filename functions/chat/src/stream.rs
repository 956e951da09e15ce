//! An answer as server-sent events: `status`, `citation`, `sentence`, `usage`, `done`, or `error` in place of what is missing.
//! What is wrong before the first event is answered as everywhere: a status and a problem.

use crate::response::{CitationBody, EndBody, NoticeBody, SupportBody, UsageBody};
use crate::stages::Stopwatch;
use crate::{Chat, admit, measure, problem, use_case};
use api::{Line, Problem, Streamed};
use async_trait::async_trait;
use domain::audit::AuditEvent;
use domain::chat::{AnswerQuestionError, Citation, Listener, Opened, Question, Sentence, Step};
use domain::context::Context;
use domain::fault::PortError;
use lambda_http::http::{HeaderValue, header};
use lambda_http::{Request, Response};
use runtime::telemetry::Invocation;
use serde::Serialize;
use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The route as the gateway names it.
pub const ROUTE: &str = "/chat/stream";
/// A line without meaning goes out this often while nothing else does: what cannot be written any more tells within a
/// second that the other side is closed.
const SIGN_OF_LIFE: Duration = Duration::from_millis(400);

/// Begins an answer in pieces.
pub async fn open(app: &Arc<Chat>, request: &Request) -> Streamed {
    let id = api::request_id(request);
    let mut invocation = Invocation::begin("chat", id.as_str());
    let (context, question, opened) = match admit(app, request, ROUTE).await {
        Ok(admitted) => admitted,
        Err(problem) => {
            let problem = api::recorded(problem, request, runtime::ids::now(), app.audit.as_ref(), app.ids.as_ref()).await;
            invocation.end(problem.code());
            return Streamed::whole(problem.into_response(id.as_str()));
        }
    };
    let (sender, pieces) = unbounded_channel();
    let line = Line::default();
    let asked = question.text().to_owned();
    let events = Events { sender, line: line.clone(), question: asked, cited: Mutex::default(), stopwatch: Stopwatch::default() };
    let app = app.clone();
    let work = tokio::spawn(async move {
        let outcome = answer(&app, (&context, &question, opened), &events, &mut invocation).await;
        invocation.end(outcome);
    });
    Streamed { head: head(), pieces, line, work }
}

fn head() -> Response<()> {
    let mut head = Response::new(());
    let headers = head.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Proxies of the nginx family would gather it.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    head
}

/// Answers, and shows that somebody is at work meanwhile. Answers how it ended.
async fn answer(
    app: &Chat,
    (context, question, opened): (&Context, &Question, Opened),
    events: &Events,
    invocation: &mut Invocation,
) -> &'static str {
    let use_case = use_case(app, &events.stopwatch);
    let mut work = std::pin::pin!(use_case.stream(context, question, opened, events));
    // Whoever waits for the end is told that there is none; where it broke is in the log.
    let mut work = poll_fn(|waker| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(waker)))
            .unwrap_or_else(|_| Poll::Ready(Err(PortError::Unexpected { operation: "answer", code: "panic".into() }.into())))
    });
    let mut tick = interval_at(Instant::now() + SIGN_OF_LIFE, SIGN_OF_LIFE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let answered = loop {
        tokio::select! {
            biased;
            answered = &mut work => break answered,
            _ = tick.tick() => events.write(":\n\n".to_owned()),
        }
    };
    events.stopwatch.stop(invocation);
    let trace_id = context.request_id.as_str();
    match answered {
        Ok(answer) => {
            events.send("usage", &UsageBody::from(&answer));
            events.send("done", &EndBody::new(&answer, trace_id));
            measure(invocation, &answer, trace_id)
        }
        Err(error) => {
            let refused =
                AuditEvent::refused(app.ids.as_ref(), context, "POST", ROUTE, if is_gone(&error) { "gone" } else { "cut-off" });
            let recorded = app.audit.append(&refused).await;
            if is_gone(&error) {
                return "gone";
            }
            if let Err(failed) = recorded {
                tracing::error!(request_id = trace_id, error = %failed, detail = ?failed, "not recorded");
            }
            let problem: Problem = problem(context, &error);
            events.write(format!("event: error\ndata: {}\n\n", problem.to_json(trace_id)));
            problem.code()
        }
    }
}

fn event(name: &'static str, body: &impl Serialize) -> String {
    // Texts, numbers and lists of them: there is nothing that JSON could not hold.
    let json = serde_json::to_string(body).unwrap_or_default();
    format!("event: {name}\ndata: {json}\n\n")
}

const fn is_gone(error: &AnswerQuestionError) -> bool {
    matches!(error, AnswerQuestionError::Gone)
}

/// Writes steps down as events.
struct Events {
    sender: UnboundedSender<String>,
    line: Line,
    /// As it was typed.
    question: String,
    /// What was cited so far; a citation goes out once, ahead of the first sentence that names its number.
    cited: Mutex<Vec<Citation>>,
    stopwatch: Stopwatch,
}

impl Events {
    fn send(&self, name: &'static str, body: &impl Serialize) {
        self.write(event(name, body));
    }

    fn write(&self, piece: String) {
        if self.sender.send(piece).is_err() {
            self.line.hang_up();
        }
    }

    fn sentence(&self, sentence: &Sentence) {
        self.stopwatch.sentence();
        let mut cited = self.cited.lock().unwrap_or_else(PoisonError::into_inner);
        // With its citations in one piece: written on its own, each would wait until the one before has been confirmed.
        let mut piece = String::new();
        let mut numbers = Vec::with_capacity(sentence.citations.len());
        for citation in &sentence.citations {
            let at = cited.iter().position(|known| known == citation).unwrap_or_else(|| {
                cited.push(citation.clone());
                piece += &event("citation", &NumberedBody { number: cited.len(), citation: citation.into() });
                cited.len() - 1
            });
            numbers.push(at + 1);
        }
        piece += &event("sentence", &SaidBody { text: &sentence.text, support: sentence.support.into(), citations: numbers });
        self.write(piece);
    }
}

#[async_trait]
impl Listener for Events {
    fn hear(&self, step: Step<'_>) {
        match step {
            Step::Searching(question) => {
                let understood_as = Some(question).filter(|question| *question != self.question);
                self.send("status", &StatusBody { stage: "searching", understood_as, passages: None, notice: None });
            }
            Step::Answering { passages, notice } => {
                let notice = notice.map(NoticeBody::from);
                self.send("status", &StatusBody { stage: "answering", understood_as: None, passages: Some(passages), notice });
            }
            Step::Sentence(sentence) => self.sentence(sentence),
        }
    }

    fn has_gone(&self) -> bool {
        self.line.is_down()
    }

    async fn gone(&self) {
        self.line.down().await;
    }
}

#[derive(Serialize)]
struct StatusBody<'a> {
    stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    understood_as: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passages: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<NoticeBody>,
}

#[derive(Serialize)]
struct NumberedBody<'a> {
    number: usize,
    #[serde(flatten)]
    citation: CitationBody<'a>,
}

/// A sentence, and the numbers of the citations that went out before it.
#[derive(Serialize)]
struct SaidBody<'a> {
    text: &'a str,
    support: SupportBody,
    citations: Vec<usize>,
}
