//! Question to cited answer, over HTTP. `POST /v1/chat` answers whole, `POST /v1/chat/stream` sentence by sentence,
//! `GET` and `DELETE /v1/conversations/{id}` show and erase what is kept of a conversation.

mod config;
mod conversations;
mod keys;
pub mod models;
pub mod money;
mod request;
mod response;
mod stages;
mod stream;

pub use config::Config;

use api::{Kind, Problem, Reply};
use domain::audit::AuditLog;
use domain::chat::conversation::{ConversationRows, TenantCipher};
use domain::chat::extractive::ExtractiveModel;
use domain::chat::stages::Stages;
use domain::chat::support::SupportChecker;
use domain::chat::{Answer, AnswerQuestion, AnswerQuestionError, ChatModel, Opened, Question, SupportPolicy};
use domain::context::Context;
use domain::ids::{DocumentId, IdSource, TenantId};
use domain::limits::{AdmissionLog, AdmitRequest, Limit, Limits};
use domain::retrieval::{ChunkIndex, Embedder};
use embed::{LoadModelError, MiniLm};
use index::{ManifestCatalogue, SegmentIndex};
use jiff::SignedDuration;
use lambda_http::{Body, Request, Response};
use models::ConnectModelsError;
use objects::Bucket;
use runtime::ids::SystemIds;
use runtime::telemetry::{self, Invocation, Unit};
use signing::{KmsCipher, KmsKey};
use stages::Stopwatch;
use std::sync::Arc;
use std::time::Duration;
use store::{AuditTable, ConversationsTable, EngineRows, LimitsTable};
use vectors::{TieredIndex, VectorBucket, VectorIndex};

/// The most that priming may take of the ten seconds that the platform gives to start.
const PRIME: Duration = Duration::from_secs(3);

/// What a conversation that is not there, or not the caller's, is answered with.
const NO_CONVERSATION: &str = "There is no such conversation. Begin a new one by leaving conversation_id out.";

/// What the function holds between invocations.
pub struct Chat {
    /// Finds passages.
    pub index: Box<dyn ChunkIndex>,
    /// Places the question in meaning space.
    pub embedder: Arc<dyn Embedder>,
    /// Writes the answer.
    pub model: Box<dyn ChatModel>,
    /// Writes it where the model fails or nothing that it wrote is supported; none if the model is this one already.
    pub fallback: Option<Box<dyn ChatModel>>,
    /// Checks every sentence.
    pub checker: SupportChecker,
    /// What happens to sentences without support.
    pub policy: SupportPolicy,
    /// The audit trail.
    pub audit: Box<dyn AuditLog>,
    /// New ids.
    pub ids: Box<dyn IdSource>,
    /// The conversations.
    pub conversations: Box<dyn ConversationRows>,
    /// Seals them.
    pub cipher: Box<dyn TenantCipher>,
    /// How long one is kept after its last question.
    pub conversation_life: SignedDuration,
    /// How often one person may ask.
    pub limits: Limits,
    /// Who asked how often.
    pub admissions: Box<dyn AdmissionLog>,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectChatError {
    /// The embedding model cannot be read.
    #[error(transparent)]
    Embedder(#[from] LoadModelError),
    /// The models that were chosen cannot be asked.
    #[error(transparent)]
    Models(#[from] ConnectModelsError),
}

impl Chat {
    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Result<Self, ConnectChatError> {
        let embedder = Arc::new(MiniLm::load(&config.model_path)?);
        let bucket = Arc::new(Bucket::new(sdk, config.index_bucket.clone()));
        let extractive = Box::new(ExtractiveModel::default());
        let (model, fallback): (Box<dyn ChatModel>, Option<Box<dyn ChatModel>>) = match models::gateway(config, sdk)? {
            None => (extractive, None),
            Some(gateway) => (Box::new(gateway), Some(extractive)),
        };
        Ok(Self {
            index: search(config, sdk, bucket),
            embedder,
            model,
            fallback,
            checker: SupportChecker::default(),
            policy: config.support_policy,
            audit: Box::new(AuditTable::new(sdk, config.audit_table.clone())),
            ids: Box::new(SystemIds),
            conversations: Box::new(ConversationsTable::new(sdk, config.conversations_table.clone())),
            cipher: Box::new(KmsCipher::new(KmsKey::new(sdk, config.conversation_key.clone()))),
            conversation_life: SignedDuration::from_hours(config.conversation_hours.into()),
            limits: Limits { questions: config.questions.clone(), ..Limits::default() },
            admissions: Box::new(LimitsTable::new(sdk, config.limits_table.clone())),
        })
    }

    /// Opens the connections, loads the index and asks for the key that the first question will probably need. Starting runs at full speed
    /// whatever the memory size, so this is the cheapest place. A failure here costs nothing: the question tries again.
    pub async fn prime(&self, tenant: Option<&TenantId>) {
        if let Some(tenant) = tenant {
            let both = async { tokio::join!(self.index.prime(tenant), self.cipher.code(tenant, "prime")) };
            let _ = tokio::time::timeout(PRIME, both).await;
        }
    }
}

/// Searches segments; where the stack has a vector bucket, each tenant where the registry says.
fn search(config: &Config, sdk: &aws_types::SdkConfig, bucket: Arc<Bucket>) -> Box<dyn ChunkIndex> {
    let model = embed::MODEL_ID.to_owned();
    let segments = Box::new(SegmentIndex::new(bucket.clone(), model.clone()));
    let Some((vector_bucket, table)) = &config.scale_out else { return segments };
    let catalogue = Arc::new(ManifestCatalogue::new(bucket.clone(), model.clone()));
    let vectors = VectorIndex::new(Arc::new(VectorBucket::new(sdk, vector_bucket.clone(), model)), catalogue, bucket);
    let engines = Arc::new(EngineRows::new(sdk, table.clone()));
    Box::new(TieredIndex::new(segments, Box::new(vectors), engines, runtime::ids::now))
}

/// Answers one request, whole or in pieces as its route says.
pub async fn reply(app: &Arc<Chat>, request: Request) -> Reply {
    if api::route(&request).1 == stream::ROUTE {
        return Reply::Stream(stream::open(app, &request).await);
    }
    Reply::Whole(handle(app, &request).await)
}

/// Answers one request at once. Every outcome is a response.
pub async fn handle(app: &Chat, request: &Request) -> Response<Body> {
    if api::route(request).1 == conversations::ROUTE {
        return conversations::handle(app, request).await;
    }
    let id = api::request_id(request);
    let mut invocation = Invocation::begin("chat", id.as_str());
    let stopwatch = Stopwatch::default();
    let asked = ask(app, request, &stopwatch).await;
    stopwatch.stop(&mut invocation);
    let (outcome, response) = match asked {
        Ok(answer) => {
            let outcome = measure(&mut invocation, &answer, id.as_str());
            (outcome, api::json(200, &response::AnswerBody::new(&answer, id.as_str())))
        }
        Err(problem) => {
            let problem = api::recorded(problem, request, runtime::ids::now(), app.audit.as_ref(), app.ids.as_ref()).await;
            (problem.code(), problem.into_response(id.as_str()))
        }
    };
    invocation.end(outcome);
    response
}

/// Puts an answer's figures into the invocation's record.
fn measure(invocation: &mut Invocation, answer: &Answer, request_id: &str) -> &'static str {
    invocation.metric("Passages", Unit::Count, answer.passages as f64);
    invocation.metric("Sentences", Unit::Count, answer.sentences.len() as f64);
    invocation.metric("UnsupportedSentences", Unit::Count, answer.unsupported as f64);
    if !answer.unreadable.is_empty() {
        let documents: Vec<&str> = answer.unreadable.iter().map(DocumentId::as_str).collect();
        tracing::error!(request_id, documents = documents.join(" "), "cannot be read and was left out");
        telemetry::alert("chat", "UnreadableDocuments", documents.len() as f64);
    }
    if answer.is_forgotten {
        tracing::error!(request_id, "a conversation could not be kept");
        telemetry::alert("chat", "ForgottenTurns", 1.0);
    }
    answer.refusal.map_or("answered", domain::chat::Refusal::as_str)
}

async fn ask(app: &Chat, request: &Request, stages: &dyn Stages) -> Result<Answer, Problem> {
    let (context, question, opened) = admit(app, request, "/chat").await?;
    use_case(app, stages).answer(&context, &question, opened).await.map_err(|error| problem(&context, &error))
}

/// Reads a question, opens its conversation and admits whoever asks it. What is refused here has cost nothing.
async fn admit(app: &Chat, request: &Request, route: &'static str) -> Result<(Context, Question, Opened), Problem> {
    let context = api::context(request, runtime::ids::now())?;
    let (method, template) = api::route(request);
    if (method, template.as_str()) != ("POST", route) {
        return Err(Problem::new(Kind::NoSuchRoute, "This function answers POST /v1/chat and POST /v1/chat/stream."));
    }
    let question = request::question(request, app.ids.as_ref(), context.now)?;
    let opened = use_case(app, &()).open(&context, &question).await.map_err(|error| problem(&context, &error))?;
    let admit =
        AdmitRequest { limits: &app.limits, log: app.admissions.as_ref(), audit: app.audit.as_ref(), ids: app.ids.as_ref() };
    admit.run(&context, Limit::Questions).await.map_err(|error| {
        tracing::warn!(request_id = context.request_id.as_str(), %error, "not admitted");
        Problem::from_fault(error.fault(), Kind::BadQuestion, "")
    })?;
    Ok((context, question, opened))
}

fn use_case<'a>(app: &'a Chat, stages: &'a dyn Stages) -> AnswerQuestion<'a> {
    AnswerQuestion {
        index: app.index.as_ref(),
        embedder: app.embedder.as_ref(),
        model: app.model.as_ref(),
        fallback: app.fallback.as_deref(),
        checker: &app.checker,
        policy: app.policy,
        audit: app.audit.as_ref(),
        ids: app.ids.as_ref(),
        conversations: Some(conversations::all(app)),
        stages,
    }
}

fn problem(context: &Context, error: &AnswerQuestionError) -> Problem {
    tracing::warn!(request_id = context.request_id.as_str(), %error, detail = ?error, "not answered");
    let detail = match error {
        AnswerQuestionError::NotAllowed(not_allowed) => not_allowed.to_string(),
        AnswerQuestionError::NoConversation => NO_CONVERSATION.to_owned(),
        AnswerQuestionError::Port(_) | AnswerQuestionError::Gone => String::new(),
    };
    Problem::from_fault(error.fault(), Kind::BadQuestion, detail)
}
