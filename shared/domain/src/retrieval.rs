//! Passages and how they are found: the types and the ports between the index, the embedder and the use cases.

use crate::documents::chunks::{Chunk, Span};
use crate::fault::PortError;
use crate::ids::{DocumentId, Sequencer, TenantId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A text's place in meaning space: unit length, [`Embedder::dimensions`] numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(pub Vec<f32>);

impl Embedding {
    /// The cosine with another vector of unit length, -1 to 1.
    pub fn cosine(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
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
}

/// Narrows a search inside the tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these documents; empty means all.
    pub documents: Vec<DocumentId>,
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
}

impl Passage {
    /// Where a range of the passage's text (in code points) is in the document, page by page.
    pub fn locate(&self, range: &Range<usize>) -> Vec<Span> {
        self.chunk.locate(range)
    }
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
}

/// Finds chunks of one tenant.
#[async_trait]
pub trait ChunkIndex: Send + Sync {
    /// Loads what the first search of a tenant needs.
    async fn prime(&self, tenant: &TenantId) -> Result<(), PortError>;

    /// The best `limit` chunks for the query, applied to the tenant's current documents only.
    async fn search(&self, tenant: &TenantId, query: &Query, limit: usize) -> Result<Retrieval, PortError>;
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
    /// The chunks and their vectors.
    pub chunks: Vec<(Chunk, Embedding)>,
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

    /// Makes the document unfindable, unless a newer event was already applied.
    async fn remove(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError>;

    /// Makes unfindable what was last seen before this event, whatever newer event was applied; what came later stays.
    async fn withdraw(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError>;
}
