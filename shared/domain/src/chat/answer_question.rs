//! The chat use case: find passages, have them turned into sentences, prove each, record, and only then answer.

use super::{Answer, ChatModel, Citation, Completion, DraftSentence, Prompt, Question, Refusal, Sentence};
use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Outcome};
use crate::context::{Act, Context, NotAllowed};
use crate::documents::chunks::Span;
use crate::fault::{Fault, PortError};
use crate::ids::{DocumentId, IdSource};
use crate::retrieval::{ChunkIndex, Embedder, Passage, Query, Retrieval};
use crate::text;
use std::ops::Range;

/// How many passages an answer may rest on. Ten windows of 60 to 100 words are what a small model reads well.
pub const PASSAGES: usize = 10;
/// How many passages a refusal shows.
const NEAREST: usize = 3;
/// Letters of a nearest passage that are shown.
const NEAREST_CHARS: usize = 240;

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
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
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
        let found = self.index.search(&context.tenant, &query, PASSAGES).await?;
        let prompt =
            Prompt { question: question.text(), embedding: &query.embedding, passages: &found.passages, terms: &found.terms };
        let completion = if found.passages.is_empty() { Completion::default() } else { self.model.complete(&prompt).await? };
        let answer = self.prove(question, found, &completion);
        self.record(context, &answer).await?;
        Ok(answer)
    }

    fn prove(&self, question: &Question, found: Retrieval, completion: &Completion) -> Answer {
        let sentences: Vec<Sentence> = completion.sentences.iter().filter_map(|draft| proven(draft, &found.passages)).collect();
        let refusal = match (sentences.is_empty(), found.passages.is_empty()) {
            (false, _) => None,
            (true, true) => Some(Refusal::NoDocuments),
            (true, false) => Some(Refusal::NoSupport),
        };
        let nearest =
            if refusal.is_some() { found.passages.iter().take(NEAREST).filter_map(opening).collect() } else { Vec::new() };
        Answer {
            sentences,
            refusal,
            nearest,
            conversation: question.conversation.clone(),
            model: self.model.name().to_owned(),
            usage: completion.usage,
            passages: found.passages.len(),
            unreadable: found.unreadable,
        }
    }

    async fn record(&self, context: &Context, answer: &Answer) -> Result<(), PortError> {
        let (event_type, outcome) = match answer.refusal {
            None => (EventType::ChatAnswered, Outcome::Success),
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
        if let Some(refusal) = answer.refusal {
            event = event.with("reason", AuditValue::Code(refusal.as_str()));
        }
        self.audit.append(&event).await
    }
}

/// A draft with its citations, or nothing if what it points at is not there: an unproven sentence never leaves.
fn proven(draft: &DraftSentence, passages: &[Passage]) -> Option<Sentence> {
    let citations: Vec<Citation> =
        draft.supports.iter().filter_map(|(at, range)| passages.get(*at).map(|p| cite(p, range))).flatten().collect();
    (!citations.is_empty()).then(|| Sentence { text: draft.text.clone(), citations })
}

/// The citations of a range of a passage: one per page that it touches.
fn cite(passage: &Passage, range: &Range<usize>) -> Vec<Citation> {
    let mut citations: Vec<Citation> = Vec::new();
    for span in passage.locate(range) {
        let quote = quote_of(passage, span);
        match citations.last_mut() {
            // Neighbouring pieces of one page are one place for a reader.
            Some(last) if last.span.page == span.page && last.span.end <= span.start => {
                last.span.end = span.end;
                last.quote.push('\n');
                last.quote.push_str(&quote);
            }
            _ => citations.push(Citation {
                document_id: passage.document_id.clone(),
                title: passage.title.clone(),
                version: passage.version.clone(),
                section: passage.chunk.section.clone(),
                span,
                quote,
                content_hash: passage.chunk.content_hash(),
            }),
        }
    }
    citations
}

/// The text of a span, read back from the chunk.
fn quote_of(passage: &Passage, span: Span) -> String {
    let mut at = 0;
    for piece in &passage.chunk.spans {
        if piece.page == span.page && piece.start <= span.start && span.end <= piece.end {
            let from = at + span.start - piece.start;
            let chars = from..from + span.end - span.start;
            return text::byte_range(&passage.chunk.text, &chars)
                .map_or_else(String::new, |bytes| passage.chunk.text[bytes].to_owned());
        }
        at += piece.end - piece.start + 1;
    }
    String::new()
}

/// The opening of a passage, for a refusal.
fn opening(passage: &Passage) -> Option<Citation> {
    let length = passage.chunk.text.lines().next()?.chars().count().min(NEAREST_CHARS);
    cite(passage, &(0..length)).into_iter().next()
}
