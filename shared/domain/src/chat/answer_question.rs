//! The chat use case: find passages, have them turned into sentences, prove each, record, and only then answer.

use super::prove::{opening, prove};
use super::support::SupportChecker;
use super::{Answer, ChatModel, Completion, Prompt, Question, Refusal, Sentence, SupportPolicy, TokenUsage, scope};
use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Outcome};
use crate::context::{Act, Context, NotAllowed};
use crate::fault::{Fault, PortError};
use crate::ids::{DocumentId, IdSource};
use crate::phi::IdentifierKind;
use crate::retrieval::{ChunkIndex, Embedder, Filter, Query, Retrieval};
use std::collections::BTreeMap;

/// How many passages an answer may rest on. Ten windows of 60 to 100 words are what a small model reads well.
pub const PASSAGES: usize = 10;
/// How many passages a refusal shows.
const NEAREST: usize = 3;

/// Why there is no reply at all.
#[derive(Debug, thiserror::Error)]
pub enum AnswerQuestionError {
    /// The caller's roles do not allow asking.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl AnswerQuestionError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotAllowed(_) => Fault::Denied,
            Self::Port(error) => error.fault(),
        }
    }
}

/// The use case with its ports.
pub struct AnswerQuestion<'a> {
    /// Finds passages.
    pub index: &'a dyn ChunkIndex,
    /// Places the question in meaning space.
    pub embedder: &'a dyn Embedder,
    /// Writes the answer.
    pub model: &'a dyn ChatModel,
    /// Writes it where the model cannot be reached or nothing of what it wrote is supported.
    pub fallback: Option<&'a dyn ChatModel>,
    /// Checks every sentence, whoever wrote it.
    pub checker: &'a SupportChecker,
    /// What happens to sentences without support.
    pub policy: SupportPolicy,
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
}

/// What a model wrote and what is left of it.
#[derive(Default)]
struct Written {
    model: String,
    sentences: Vec<Sentence>,
    unsupported: usize,
    usage: TokenUsage,
    is_truncated: bool,
    blocked: BTreeMap<IdentifierKind, u32>,
    withheld: usize,
}

impl AnswerQuestion<'_> {
    /// Answers with proven sentences, or refuses and says so. Nothing is returned before its audit event is stored.
    pub async fn run(&self, context: &Context, question: &Question) -> Result<Answer, AnswerQuestionError> {
        context.allow(Act::Ask)?;
        let query = Query {
            text: question.text().to_owned(),
            embedding: self.embedder.embed(question.text()),
            filter: question.filter.clone(),
        };
        let found = self.index.search(&context.scope(), &query, PASSAGES).await?;
        let prompt = Prompt {
            context,
            conversation: &question.conversation,
            question: question.text(),
            embedding: &query.embedding,
            passages: &found.passages,
            terms: &found.terms,
        };
        let refusal = self.refusal(context, &query, &found).await?;
        let written = if refusal.is_some() { self.nothing() } else { self.write(&prompt).await? };
        let answer = answer(question, found, written, refusal);
        self.record(context, &answer).await?;
        Ok(answer)
    }

    /// Why no model needs to be asked, if none does.
    async fn refusal(&self, context: &Context, query: &Query, found: &Retrieval) -> Result<Option<Refusal>, PortError> {
        if !found.passages.is_empty() {
            // Without a term every passage is as near as any other: its order would be an accident.
            return Ok(found.terms.is_empty().then_some(Refusal::NoTerms));
        }
        if !found.outdated.is_empty() || !found.unreadable.is_empty() {
            return Ok(Some(Refusal::NotReady));
        }
        if query.filter == Filter::default() {
            return Ok(Some(Refusal::NoDocuments));
        }
        let unfiltered = Query { filter: Filter::default(), ..query.clone() };
        let any = self.index.search(&context.scope(), &unfiltered, 1).await?;
        Ok(Some(if any.passages.is_empty() { Refusal::NoDocuments } else { Refusal::NoMatch }))
    }

    fn nothing(&self) -> Written {
        Written { model: self.model.name().to_owned(), ..Written::default() }
    }

    /// Asks the model, and the fallback if the model fails or nothing that it wrote is supported. A model that writes
    /// nothing has found no support: that is an answer, and the fallback is not asked.
    async fn write(&self, prompt: &Prompt<'_>) -> Result<Written, PortError> {
        let first = match (self.model.complete(prompt).await, self.fallback) {
            (Ok(completion), _) => self.check(self.model, &completion, prompt),
            (Err(error), None) => return Err(error),
            (Err(_), Some(fallback)) => {
                let completion = fallback.complete(prompt).await?;
                return Ok(self.check(fallback, &completion, prompt));
            }
        };
        match self.fallback {
            Some(fallback) if first.sentences.is_empty() && first.unsupported > 0 => {
                let completion = fallback.complete(prompt).await?;
                let second = self.check(fallback, &completion, prompt);
                // What the model used is used, whoever answers.
                let unsupported = first.unsupported + second.unsupported;
                Ok(Written { unsupported, usage: first.usage, withheld: first.withheld, ..second })
            }
            _ => Ok(first),
        }
    }

    /// What a model wrote, without what has no support.
    fn check(&self, model: &dyn ChatModel, completion: &Completion, prompt: &Prompt<'_>) -> Written {
        let mut sentences = Vec::new();
        for draft in &completion.sentences {
            sentences.extend(prove(draft, prompt.passages, self.checker, self.embedder));
        }
        let unsupported = completion.sentences.len() - sentences.iter().filter(|s| s.support.is_ok()).count();
        // Marked sentences go with others that hold, never alone.
        let keeps_marked = self.policy == SupportPolicy::Mark && sentences.iter().any(|s| s.support.is_ok());
        sentences.retain(|sentence| sentence.support.is_ok() || keeps_marked);
        Written {
            model: completion.model.as_deref().unwrap_or(model.name()).to_owned(),
            sentences,
            unsupported,
            usage: completion.usage,
            is_truncated: completion.is_truncated,
            blocked: completion.blocked.clone(),
            withheld: completion.withheld,
        }
    }

    async fn record(&self, context: &Context, answer: &Answer) -> Result<(), PortError> {
        let (event_type, outcome) = match answer.refusal {
            None => (EventType::ChatAnswered, Outcome::Success),
            Some(Refusal::PhiBlocked) => (EventType::PhiBlocked, Outcome::Success),
            Some(_) => (EventType::ChatRefused, Outcome::Success),
        };
        let mut cited: Vec<DocumentId> =
            answer.sentences.iter().flat_map(|s| &s.citations).chain(&answer.nearest).map(|c| c.document_id.clone()).collect();
        cited.sort();
        cited.dedup();
        let mut event =
            AuditEvent::new(self.ids, context, event_type, Entity::Conversation(answer.conversation.clone()), outcome)
                .with("documents", AuditValue::Documents(cited))
                .with("sentences", AuditValue::Count(answer.sentences.len() as u64));
        if answer.unsupported > 0 {
            event = event.with("unsupported", AuditValue::Count(answer.unsupported as u64));
        }
        if let Some(refusal) = answer.refusal {
            event = event.with("reason", AuditValue::Code(refusal.as_str()));
        }
        for (kind, count) in &answer.blocked {
            event = event.with(kind.as_str(), AuditValue::Count((*count).into()));
        }
        if answer.withheld > 0 {
            event = event.with("withheld", AuditValue::Count(answer.withheld as u64));
        }
        if let Some(notice) = answer.notice {
            event = event.with("notice", AuditValue::Code(notice.as_str()));
        }
        self.audit.append(&event).await
    }
}

fn answer(question: &Question, found: Retrieval, written: Written, refusal: Option<Refusal>) -> Answer {
    let refusal = refusal.or((!written.blocked.is_empty()).then_some(Refusal::PhiBlocked));
    let refusal = refusal.or(written.sentences.is_empty().then_some(Refusal::NoSupport));
    let shows_nearest = refusal == Some(Refusal::NoSupport);
    let seen = found.passages.iter().filter(|passage| !passage.chunk.is_hidden());
    let nearest = if shows_nearest { seen.take(NEAREST).filter_map(opening).collect() } else { Vec::new() };
    Answer {
        sentences: written.sentences,
        refusal,
        nearest,
        notice: scope::judge(question.text()),
        unsupported: written.unsupported,
        conversation: question.conversation.clone(),
        model: written.model,
        usage: written.usage,
        is_truncated: written.is_truncated,
        blocked: written.blocked,
        withheld: written.withheld,
        passages: found.passages.len(),
        unreadable: found.unreadable,
    }
}
