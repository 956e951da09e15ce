//! Questions with and without an answer through the shipped search and the extractive answer. A question has no answer once
//! the documents that are judged to answer it are out of reach, and with them what is nearly the same.

use super::Grounding;
use super::chance::Chance;
use super::collection::Collection;
use super::memory::Memory;
use anyhow::Result;
use async_trait::async_trait;
use domain::audit::{AuditEvent, AuditLog};
use domain::chat::extractive::ExtractiveModel;
use domain::chat::scope;
use domain::chat::support::{Support, SupportChecker};
use domain::chat::{AnswerQuestion, Question, SupportPolicy};
use domain::context::{Actor, Context, Role};
use domain::documents::attributes::Attributes;
use domain::documents::chunks;
use domain::fault::PortError;
use domain::ids::{ConversationId, DocumentId, IdSource, RequestId, Sequencer, SubjectId, TenantId};
use domain::retrieval::{EmbeddedChunk, Embedding, Filter, IndexEntry, IndexWriter as _};
use embed::MiniLm;
use index::{SegmentIndex, SegmentWriter};
use jiff::Timestamp;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// Documents whose mean vectors are nearer than this say nearly the same: they are held back together.
const NEARLY_THE_SAME: f32 = 0.85;

/// What was measured.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Questions whose documents were within reach.
    pub answerable: usize,
    /// Of these, refused: wrongly.
    pub refused_wrongly: usize,
    /// Of these, answered from a document that is judged to answer them.
    pub cited_rightly: usize,
    /// Questions whose documents were held back, or that have none.
    pub unanswerable: usize,
    /// Of these, refused: rightly.
    pub refused_rightly: usize,
    /// Sentences of all answers, and those that are quoted word for word.
    pub sentences: usize,
    pub quoted: usize,
    /// Questions that were given a notice that they ask for a diagnosis or advice.
    pub notices: usize,
}

impl Refusals {
    /// Of the refusals, how many were right.
    pub fn precision(&self) -> f64 {
        let refused = self.refused_rightly + self.refused_wrongly;
        self.refused_rightly as f64 / refused.max(1) as f64
    }

    /// Of the questions without an answer, how many were refused.
    pub fn recall(&self) -> f64 {
        self.refused_rightly as f64 / self.unanswerable.max(1) as f64
    }
}

struct NoAudit;

#[async_trait]
impl AuditLog for NoAudit {
    async fn append(&self, _: &AuditEvent) -> Result<(), PortError> {
        Ok(())
    }
}

struct OneId;

impl IdSource for OneId {
    fn next(&self, _: Timestamp) -> ulid::Ulid {
        ulid::Ulid::from_parts(1, 1)
    }
}

/// Runs what waits for nothing: everything is in memory.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = std::task::Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// Asks.
pub fn measure(options: &Grounding, collection: &Collection, embedder: &MiniLm) -> Result<Refusals> {
    let mut figures = Refusals::default();
    if collection.questions.is_empty() || options.questions == 0 {
        return Ok(figures);
    }
    let tenant = TenantId::parse("eval")?;
    let objects = Arc::new(Memory::default());
    let writer = SegmentWriter::new(objects.clone(), embedder.model_id().to_owned());
    let mut centres = Vec::with_capacity(collection.sources.len());
    for source in &collection.sources {
        let cut = chunks::chunk(&source.pages).into_iter().map(|chunk| EmbeddedChunk::embed(embedder, &source.title, chunk));
        let cut: Vec<EmbeddedChunk> = cut.collect();
        centres.push(centre(&cut));
        let entry = IndexEntry {
            tenant: tenant.clone(),
            document_id: DocumentId::for_key(&tenant, &source.name),
            title: source.title.clone(),
            version: "1".into(),
            sequencer: Sequencer::parse("1")?,
            pages: u32::try_from(source.pages.pages.len())?,
            attributes: Attributes::default(),
            chunks: cut,
        };
        now(writer.put(entry))?;
    }
    let index = SegmentIndex::new(objects, embedder.model_id().to_owned());
    let use_case = AnswerQuestion {
        index: &index,
        embedder,
        model: &ExtractiveModel::default(),
        fallback: None,
        checker: &SupportChecker::default(),
        policy: SupportPolicy::Drop,
        audit: &NoAudit,
        ids: &OneId,
        conversations: None,
        stages: &(),
    };
    let context = Context {
        actor: Actor {
            subject: SubjectId::parse("eval")?,
            roles: vec![Role::Clinician],
            groups: std::collections::BTreeSet::new(),
            department: None,
        },
        tenant: tenant.clone(),
        request_id: RequestId::new("eval"),
        now: Timestamp::UNIX_EPOCH,
    };
    let mut order: Vec<usize> = (0..collection.questions.len()).collect();
    Chance::new(options.seed).shuffle(&mut order);
    // A set that brings questions without an answer needs none made.
    let has_own = collection.questions.iter().any(|question| question.answered_by.is_empty());
    for (n, asked) in order.iter().take(options.questions).map(|at| &collection.questions[*at]).enumerate() {
        let is_answerable = !asked.answered_by.is_empty() && (has_own || n % 2 == 0);
        let documents = if is_answerable || asked.answered_by.is_empty() {
            Vec::new()
        } else {
            let held: Vec<&Embedding> = collection
                .sources
                .iter()
                .zip(&centres)
                .filter(|(source, _)| asked.answered_by.contains(&source.name))
                .map(|(_, centre)| centre)
                .collect();
            let rest = collection
                .sources
                .iter()
                .zip(&centres)
                .filter(|(_, centre)| held.iter().all(|h| h.cosine(centre) < NEARLY_THE_SAME));
            rest.map(|(source, _)| DocumentId::for_key(&tenant, &source.name)).collect()
        };
        let filter = Filter { documents, ..Filter::default() };
        let Ok(question) = Question::new(&asked.text, ConversationId::new(OneId.next(context.now)), filter) else { continue };
        let answer = now(use_case.run(&context, &question))?;
        figures.sentences += answer.sentences.len();
        figures.quoted += answer.sentences.iter().filter(|s| s.support == Ok(Support::Quoted)).count();
        figures.notices += usize::from(scope::judge(&asked.text).is_some());
        let is_refused = answer.refusal.is_some();
        if is_answerable {
            let cited = answer.sentences.iter().flat_map(|s| &s.citations);
            let right: Vec<DocumentId> = asked.answered_by.iter().map(|name| DocumentId::for_key(&tenant, name)).collect();
            figures.answerable += 1;
            figures.refused_wrongly += usize::from(is_refused);
            figures.cited_rightly += usize::from(cited.into_iter().any(|c| right.contains(&c.document_id)));
        } else {
            figures.unanswerable += 1;
            figures.refused_rightly += usize::from(is_refused);
        }
    }
    Ok(figures)
}

/// The mean of a document's vectors, of length one.
fn centre(chunks: &[EmbeddedChunk]) -> Embedding {
    let mut sum = vec![0.0_f32; embed::DIMENSIONS];
    for chunk in chunks {
        for (total, value) in sum.iter_mut().zip(&chunk.embedding.0) {
            *total += value;
        }
    }
    let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::EPSILON);
    Embedding(sum.into_iter().map(|v| v / length).collect())
}
