//! A tenant with small documents, and a reader that starts cold for every search.
#![allow(dead_code, reason = "each test binary uses its part")]

use domain::context::Scope;
use domain::documents::attributes::Attributes;
use domain::documents::chunks::{Chunk, Span};
use domain::fault::PortError;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::retrieval::{ChunkIndex as _, EmbeddedChunk, Embedder as _, Filter, IndexEntry, IndexWriter as _, Query, Retrieval};
use index::{SegmentIndex, SegmentWriter};
use std::sync::Arc;
use testkit::{MemoryObjects, WordEmbedder};

/// A search that finds every chunk.
const EVERYTHING: usize = 1_000;
pub const QUESTION: &str = "Which marker is in the handbook?";

pub fn id(name: &str) -> TenantId {
    TenantId::parse(name).expect("a tenant")
}

pub fn document_id(tenant: &str, number: usize) -> DocumentId {
    DocumentId::for_key(&id(tenant), &number.to_string())
}

pub fn words(number: usize) -> String {
    format!("The handbook has marker{number} on its first page.")
}

pub fn entry(tenant: &str, number: usize, sequencer: u64, text: String, attributes: Attributes) -> IndexEntry {
    let title = format!("Handbook {number}");
    let spans = vec![Span { page: 1, start: 0, end: text.chars().count() }];
    let chunk = Chunk { ordinal: 0, section: vec![], text, spans, flags: vec![] };
    IndexEntry {
        tenant: id(tenant),
        document_id: document_id(tenant, number),
        version: format!("v{sequencer}"),
        sequencer: Sequencer::parse(&format!("{sequencer:x}")).expect("a sequencer"),
        pages: 1,
        attributes,
        chunks: vec![EmbeddedChunk::embed(&WordEmbedder, &title, chunk)],
        title,
    }
}

pub struct Tenant {
    pub name: &'static str,
    pub objects: Arc<MemoryObjects>,
    pub writer: SegmentWriter<MemoryObjects>,
}

impl Tenant {
    pub fn new(name: &'static str) -> Self {
        Self::within(name, Arc::default())
    }

    /// A tenant of a store that others use too.
    pub fn within(name: &'static str, objects: Arc<MemoryObjects>) -> Self {
        let writer = SegmentWriter::seeded(objects.clone(), WordEmbedder.model_id().to_owned(), 1);
        Self { name, objects, writer }
    }

    pub async fn put(&self, number: usize, sequencer: u64) {
        let entry = entry(self.name, number, sequencer, words(number), Attributes::default());
        self.writer.put(entry).await.expect("the store is up");
    }

    pub async fn remove(&self, number: usize, sequencer: u64) {
        let sequencer = Sequencer::parse(&format!("{sequencer:x}")).expect("a sequencer");
        self.writer.remove(&id(self.name), &document_id(self.name, number), &sequencer).await.expect("the store is up");
    }

    pub async fn compact(&self) {
        self.writer.compact(&id(self.name)).await.expect("the store is up");
    }

    pub async fn search_everything(&self) -> Result<Retrieval, PortError> {
        search(&self.objects, &testkit::context(self.name, &[]).scope(), Filter::default()).await
    }

    pub async fn everything(&self) -> Retrieval {
        self.search_everything().await.expect("an answer")
    }
}

pub async fn search(objects: &Arc<MemoryObjects>, scope: &Scope, filter: Filter) -> Result<Retrieval, PortError> {
    let index = SegmentIndex::new(objects.clone(), WordEmbedder.model_id().to_owned());
    let query = Query { text: QUESTION.to_owned(), embedding: WordEmbedder.embed(QUESTION), filter };
    index.search(scope, &query, EVERYTHING).await
}
