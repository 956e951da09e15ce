//! Passages and how they are found: the types and the ports between the index, the embedder and the use cases.

use crate::context::Scope;
use crate::documents::attributes::{Attributes, ParseAttributesError, Tag};
use crate::documents::chunks::{Chunk, Span};
use crate::fault::PortError;
use crate::ids::{DocumentId, Sequencer, TenantId};
use crate::text;
use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Range;

/// A text's place in meaning space: unit length, [`Embedder::dimensions`] numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(pub Vec<f32>);

impl Embedding {
    /// The cosine with another vector of unit length, -1 to 1.
    pub fn cosine(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }

    /// The direction between this one and another, of unit length.
    #[must_use]
    pub fn midway(&self, other: &Self) -> Self {
        let sum: Vec<f32> = self.0.iter().zip(&other.0).map(|(a, b)| a + b).collect();
        let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::EPSILON);
        Self(sum.into_iter().map(|v| v / length).collect())
    }
}

/// Turns text into vectors, in process: no text leaves the account for this.
pub trait Embedder: Send + Sync {
    /// Which model this is. Vectors of different models are never compared.
    fn model_id(&self) -> &str;

    /// Length of every vector.
    fn dimensions(&self) -> usize;

    /// The text's vector. Long text is cut at the model's limit.
    fn embed(&self, text: &str) -> Embedding;

    /// The text's vector, and that of each part (a range of its bytes, at character boundaries). A model that reads a
    /// part in the light of the whole text does so here, in one pass; for any other a part is a text of its own.
    fn embed_parts(&self, text: &str, parts: &[Range<usize>]) -> (Embedding, Vec<Embedding>) {
        (self.embed(text), parts.iter().map(|part| self.embed(&text[part.clone()])).collect())
    }
}

/// Narrows a search inside what the caller may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these documents; empty means all.
    pub documents: Vec<DocumentId>,
    /// Only documents with one of these tags; empty means all.
    pub tags: BTreeSet<Tag>,
    /// Only documents of this day and later; leaves out those without a date.
    pub from: Option<Date>,
    /// Only documents of this day and earlier; leaves out those without a date.
    pub to: Option<Date>,
}

impl Filter {
    /// Checks that the range can hold a day.
    pub fn check(&self) -> Result<(), ParseAttributesError> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from > to => Err(ParseAttributesError::Range),
            _ => Ok(()),
        }
    }

    /// Whether a document of the scope's tenant is searched: the caller may see it and asked for it. The one place that
    /// decides; an index calls it for every document before it scores a chunk of it.
    pub fn admits(&self, scope: &Scope, document: &DocumentId, attributes: &Attributes) -> bool {
        scope.sees(attributes)
            && (self.documents.is_empty() || self.documents.contains(document))
            && (self.tags.is_empty() || !self.tags.is_disjoint(&attributes.tags))
            && self.from.is_none_or(|from| attributes.date.is_some_and(|date| date >= from))
            && self.to.is_none_or(|to| attributes.date.is_some_and(|date| date <= to))
    }
}

/// A question, ready to be searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The words.
    pub text: String,
    /// The meaning.
    pub embedding: Embedding,
    /// Where to look.
    pub filter: Filter,
}

/// A sentence of a found chunk and how near its meaning is to the question's.
#[derive(Debug, Clone, PartialEq)]
pub struct SentenceMatch {
    /// Where it is in the chunk's text, in code points.
    pub range: Range<usize>,
    /// Cosine between question and sentence, -1 to 1.
    pub cosine: f32,
}

/// A found chunk and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The document.
    pub document_id: DocumentId,
    /// Its title.
    pub title: String,
    /// Which version of it.
    pub version: String,
    /// The chunk: text, section path, spans.
    pub chunk: Chunk,
    /// Fused score, 0 to 1; only the order means anything.
    pub score: f32,
    /// Cosine between question and passage, -1 to 1.
    pub cosine: f32,
    /// BM25 score, 0 and up.
    pub lexical: f32,
    /// The chunk's sentences, in order, as far as they were given vectors when it was indexed.
    pub sentences: Vec<SentenceMatch>,
}

impl Passage {
    /// Where a range of the passage's text (in code points) is in the document, page by page.
    pub fn locate(&self, range: &Range<usize>) -> Vec<Span> {
        self.chunk.locate(range)
    }
}

/// What a passage's score is multiplied by that stands in a list of contents or of references.
const APPARATUS_WEIGHT: f32 = 0.5;

/// Weighs down what only names other places, and keeps the best.
pub fn weigh_down_apparatus(passages: &mut Vec<Passage>, limit: usize) {
    for passage in passages.iter_mut().filter(|passage| passage.chunk.is_apparatus()) {
        passage.score *= APPARATUS_WEIGHT;
    }
    passages.sort_by(|a, b| b.score.total_cmp(&a.score));
    passages.truncate(limit);
}

/// A term of the question and how much it tells: its inverse document frequency among the tenant's chunks.
#[derive(Debug, Clone, PartialEq)]
pub struct TermWeight {
    /// The stemmed term.
    pub term: String,
    /// 0 and up; rare terms weigh more, a term that no chunk has weighs most.
    pub weight: f32,
}

/// What a search brings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retrieval {
    /// Best first.
    pub passages: Vec<Passage>,
    /// The question's terms.
    pub terms: Vec<TermWeight>,
    /// Documents whose segment could not be read. The rest was searched.
    pub unreadable: Vec<DocumentId>,
    /// Documents that are left out until they are indexed anew: their vectors are another model's, or their format is old.
    pub outdated: Vec<DocumentId>,
}

/// Finds chunks of one tenant.
#[async_trait]
pub trait ChunkIndex: Send + Sync {
    /// Loads what the first search of a tenant needs.
    async fn prime(&self, tenant: &TenantId) -> Result<(), PortError>;

    /// The best `limit` chunks for the query among the current documents that [`Filter::admits`] for this scope. What it does
    /// not admit has no influence on anything that comes back: not on scores, terms' weights or the list of unreadable ones.
    async fn search(&self, scope: &Scope, query: &Query, limit: usize) -> Result<Retrieval, PortError>;

    /// The chunks of a passage's section around it, itself included, in the document's order, of at most `words` words
    /// together. Reads what is in memory: if the document has changed since the search, it is the passage alone.
    fn section(&self, _tenant: &TenantId, passage: &Passage, _words: usize) -> Vec<Chunk> {
        vec![passage.chunk.clone()]
    }
}

/// Which version of a document is in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedVersion {
    /// The object version.
    pub version: String,
    /// How many chunks.
    pub chunks: u32,
    /// How many pages.
    pub pages: u32,
    /// The last event at which it was what the bucket has.
    pub seen_at: Sequencer,
}

/// A sentence of a chunk and its place in meaning space.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedSentence {
    /// Where it is in the chunk's text, in code points.
    pub range: Range<usize>,
    /// Its vector.
    pub embedding: Embedding,
}

/// A chunk with its vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// The vector of the whole, under its title and headings.
    pub embedding: Embedding,
    /// Its sentences, in order, as [`text::sentences`] tells them. May be empty: then no sentence of it has a vector.
    pub sentences: Vec<EmbeddedSentence>,
}

impl EmbeddedChunk {
    /// Embeds a chunk of a document of this title, as the indexer does.
    pub fn embed(embedder: &dyn Embedder, title: &str, chunk: Chunk) -> Self {
        let whole = chunk.searchable_text(title);
        // The chunk's own text is the end of it.
        let offset = whole.len() - chunk.text.len();
        let ranges = text::sentences(&chunk.text);
        let parts: Vec<Range<usize>> = ranges.iter().map(|range| offset + range.start..offset + range.end).collect();
        let (embedding, vectors) = embedder.embed_parts(&whole, &parts);
        let heading = chunk.section.last().map_or("", String::as_str);
        let sentences = ranges.iter().zip(vectors).map(|(range, in_context)| {
            // In context it knows what it is about, alone what it says; of 64 sample answers the two together put 50 first,
            // either by itself 44 and 47.
            let alone = embedder.embed(&format!("{heading} {}", &chunk.text[range.clone()]));
            EmbeddedSentence {
                range: text::char_offset(&chunk.text, range.start)..text::char_offset(&chunk.text, range.end),
                embedding: in_context.midway(&alone),
            }
        });
        let sentences = sentences.collect();
        Self { chunk, embedding, sentences }
    }
}

/// A document on its way into the index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexEntry {
    /// The wall.
    pub tenant: TenantId,
    /// Which document.
    pub document_id: DocumentId,
    /// Its title, shown in citations.
    pub title: String,
    /// The object version, shown in citations.
    pub version: String,
    /// The event's place in the order of events on this key.
    pub sequencer: Sequencer,
    /// How many pages the document has.
    pub pages: u32,
    /// What is said about it. If the index has a newer revision, that one stays.
    pub attributes: Attributes,
    /// The chunks and their vectors.
    pub chunks: Vec<EmbeddedChunk>,
}

/// What the daily upkeep of an index needs.
#[async_trait]
pub trait IndexUpkeep: Send + Sync {
    /// The tenants that have an index.
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError>;

    /// Removes what nothing points at and what was written before a time when every attempt of today had yet to begin:
    /// what is left of attempts that were cut off. Answers how many objects it removed.
    async fn sweep(&self, tenant: &TenantId, before: Timestamp) -> Result<usize, PortError>;

    /// The documents that searches leave out because their segment is of another model or format.
    async fn outdated(&self, tenant: &TenantId) -> Result<Vec<DocumentId>, PortError>;
}

/// Changes a tenant's index. Safe under repeats, disorder and races: the highest sequencer wins.
#[async_trait]
pub trait IndexWriter: Send + Sync {
    /// The version that searches see now, if it was made with the current model and format.
    async fn searchable(&self, tenant: &TenantId, document_id: &DocumentId) -> Result<Option<IndexedVersion>, PortError>;

    /// Says that the version that searches see is still the bucket's at this event: nothing older can change it afterwards.
    async fn confirm(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError>;

    /// Keeps what searches see, although this event brought a version that cannot be read: no older attempt can change it
    /// afterwards, but a removal between the two versions still takes it away. Answers what searches see.
    async fn hold(
        &self,
        tenant: &TenantId,
        document_id: &DocumentId,
        sequencer: &Sequencer,
    ) -> Result<Option<IndexedVersion>, PortError>;

    /// Makes this version the one that searches see, unless a newer event was already applied.
    async fn put(&self, entry: IndexEntry) -> Result<(), PortError>;

    /// Changes what is said about the document, unless the index has a newer revision. Does not touch what is searchable and
    /// is independent of events: said before the document is first put, it applies to it from its first moment.
    async fn describe(&self, tenant: &TenantId, document_id: &DocumentId, attributes: &Attributes) -> Result<(), PortError>;

    /// Makes the document unfindable, unless a newer event was already applied.
    async fn remove(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError>;

    /// Makes unfindable what was last seen before this event, whatever newer event was applied; what came later stays.
    async fn withdraw(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError>;

    /// Up to `limit` passages of what searches see of a document, from all over it. None if there is nothing, or nothing that
    /// can be read.
    async fn sample(&self, tenant: &TenantId, document_id: &DocumentId, limit: usize) -> Result<Vec<String>, PortError>;

    /// How many objects still hold something of a document that was removed. `before` is what searches saw of it.
    async fn remains(
        &self,
        tenant: &TenantId,
        document_id: &DocumentId,
        before: Option<&IndexedVersion>,
    ) -> Result<u64, PortError>;

    /// Puts small objects together, so that a cold start reads few, if there are enough of them. Changes nothing that
    /// searches see; it may be cut off, repeated, run by many at once, or left out.
    async fn compact(&self, tenant: &TenantId) -> Result<(), PortError>;
}
