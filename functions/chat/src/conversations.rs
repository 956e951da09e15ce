//! What is kept of a conversation: shown to whoever had it, erased when they say so.

use crate::{Chat, NO_CONVERSATION, request};
use api::{Kind, Problem};
use domain::chat::conversation::{ConversationError, Conversations, Kept, Place, Turn};
use domain::ids::ConversationId;
use jiff::Timestamp;
use lambda_http::{Body, Request, Response};
use runtime::telemetry::Invocation;
use serde::Serialize;

/// The route as the gateway names it.
pub const ROUTE: &str = "/conversations/{id}";

/// The conversations of an app.
pub fn all(app: &Chat) -> Conversations<'_> {
    Conversations {
        rows: app.conversations.as_ref(),
        cipher: app.cipher.as_ref(),
        audit: app.audit.as_ref(),
        ids: app.ids.as_ref(),
        life: app.conversation_life,
    }
}

/// Shows one or erases it.
pub async fn handle(app: &Chat, request: &Request) -> Response<Body> {
    let id = api::request_id(request);
    let invocation = Invocation::begin("chat", id.as_str());
    let (outcome, response) = match act(app, request).await {
        Ok(answered) => answered,
        Err(problem) => {
            let problem = api::recorded(problem, request, runtime::ids::now(), app.audit.as_ref(), app.ids.as_ref()).await;
            (problem.code(), problem.into_response(id.as_str()))
        }
    };
    invocation.end(outcome);
    response
}

async fn act(app: &Chat, request: &Request) -> Result<(&'static str, Response<Body>), Problem> {
    let context = api::context(request, runtime::ids::now())?;
    let id = request::conversation(request)?;
    let refuse = |error: ConversationError| {
        tracing::warn!(request_id = context.request_id.as_str(), %error, detail = ?error, "not shown or erased");
        let detail = match &error {
            ConversationError::NotAllowed(not_allowed) => not_allowed.to_string(),
            ConversationError::Missing => NO_CONVERSATION.to_owned(),
            ConversationError::Port(_) => String::new(),
        };
        Problem::from_fault(error.fault(), Kind::BadParameter, detail)
    };
    match api::route(request).0 {
        "GET" => {
            let kept = all(app).show(&context, &id).await.map_err(refuse)?;
            Ok(("shown", api::json(200, &ConversationBody::new(&id, &kept, context.request_id.as_str()))))
        }
        "DELETE" => {
            all(app).erase(&context, &id).await.map_err(refuse)?;
            Ok(("erased", api::empty()))
        }
        _ => Err(Problem::new(Kind::NoSuchRoute, "A conversation is shown (GET) or erased (DELETE).")),
    }
}

/// Wire form of a conversation.
#[derive(Serialize)]
struct ConversationBody<'a> {
    conversation_id: &'a str,
    begun_at: Timestamp,
    /// Later, if another question is asked.
    expires_at: Timestamp,
    turns: Vec<TurnBody<'a>>,
    trace_id: &'a str,
}

/// A question and where its answer was found. The words are in the documents, for as long as those are there.
#[derive(Serialize)]
struct TurnBody<'a> {
    asked_at: Timestamp,
    question: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    understood_as: Option<&'a str>,
    refused: bool,
    citations: Vec<PlaceBody<'a>>,
}

#[derive(Serialize)]
struct PlaceBody<'a> {
    document_id: &'a str,
    version: &'a str,
    page: u32,
    start: usize,
    end: usize,
}

impl<'a> From<&'a Place> for PlaceBody<'a> {
    fn from(place: &'a Place) -> Self {
        let Place { document_id, version, page, start, end } = place;
        Self { document_id: document_id.as_str(), version, page: *page, start: *start, end: *end }
    }
}

impl<'a> ConversationBody<'a> {
    fn new(id: &'a ConversationId, kept: &'a Kept, trace_id: &'a str) -> Self {
        let turn = |turn: &'a Turn| TurnBody {
            asked_at: turn.asked,
            question: &turn.question,
            understood_as: turn.understood.as_deref(),
            refused: turn.refused,
            citations: turn.places.iter().map(PlaceBody::from).collect(),
        };
        Self {
            conversation_id: id.as_str(),
            begun_at: kept.conversation.begun,
            expires_at: kept.expires,
            turns: kept.conversation.turns.iter().map(turn).collect(),
            trace_id,
        }
    }
}
