//! The choice between segments and vectors, tenant by tenant. Every change goes to the segments; to the vectors as well while
//! they serve the tenant or are being filled.

use crate::store::VectorBucket;
use async_trait::async_trait;
use domain::context::Scope;
use domain::documents::attributes::Attributes;
use domain::documents::chunks::Chunk;
use domain::fault::PortError;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::retrieval::{ChunkIndex, IndexEntry, IndexWriter, IndexedVersion, Passage, Query, Retrieval};
use domain::scale::{Catalogue, Engine, EngineRegistry};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A search may use what it last read for so long: both engines are right while one takes over from the other.
const KNOWN_FOR: SignedDuration = SignedDuration::from_secs(60);

/// Searches where the registry says.
pub struct TieredIndex {
    segments: Box<dyn ChunkIndex>,
    vectors: Box<dyn ChunkIndex>,
    engines: Arc<dyn EngineRegistry>,
    clock: fn() -> Timestamp,
    known: Mutex<HashMap<TenantId, (Engine, Timestamp)>>,
}

impl TieredIndex {
    /// An index over two.
    pub fn new(
        segments: Box<dyn ChunkIndex>,
        vectors: Box<dyn ChunkIndex>,
        engines: Arc<dyn EngineRegistry>,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self { segments, vectors, engines, clock, known: Mutex::default() }
    }

    fn last_known(&self, tenant: &TenantId) -> Option<(Engine, Timestamp)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).copied()
    }

    async fn is_in_vectors(&self, tenant: &TenantId) -> Result<bool, PortError> {
        let now = (self.clock)();
        if let Some((engine, at)) = self.last_known(tenant)
            && now.duration_since(at) < KNOWN_FOR
        {
            return Ok(engine == Engine::Vectors);
        }
        self.look(tenant, now).await
    }

    async fn look(&self, tenant: &TenantId, now: Timestamp) -> Result<bool, PortError> {
        let engine = self.engines.engine(tenant).await?.engine;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone(), (engine, now));
        Ok(engine == Engine::Vectors)
    }
}

#[async_trait]
impl ChunkIndex for TieredIndex {
    async fn prime(&self, tenant: &TenantId) -> Result<(), PortError> {
        if self.is_in_vectors(tenant).await? { self.vectors.prime(tenant).await } else { self.segments.prime(tenant).await }
    }

    async fn search(&self, scope: &Scope, query: &Query, limit: usize) -> Result<Retrieval, PortError> {
        let tenant = scope.tenant();
        if !self.is_in_vectors(tenant).await? {
            return self.segments.search(scope, query, limit).await;
        }
        match self.vectors.search(scope, query, limit).await {
            // The index may be gone because the tenant went back a moment ago.
            Err(PortError::Unexpected { .. }) if !self.look(tenant, (self.clock)()).await? => {
                self.segments.search(scope, query, limit).await
            }
            answer => answer,
        }
    }

    fn section(&self, tenant: &TenantId, passage: &Passage, words: usize) -> Vec<Chunk> {
        match self.last_known(tenant) {
            Some((Engine::Vectors, _)) => self.vectors.section(tenant, passage, words),
            _ => self.segments.section(tenant, passage, words),
        }
    }
}

/// Writes where the registry says.
pub struct TieredWriter {
    segments: Box<dyn IndexWriter>,
    bucket: Arc<VectorBucket>,
    catalogue: Arc<dyn Catalogue>,
    engines: Arc<dyn EngineRegistry>,
}

/// A version and how many chunks it has.
type Seen = (String, u32);

impl TieredWriter {
    /// A writer over two; the catalogue is that of the segments.
    pub fn new(
        segments: Box<dyn IndexWriter>,
        bucket: Arc<VectorBucket>,
        catalogue: Arc<dyn Catalogue>,
        engines: Arc<dyn EngineRegistry>,
    ) -> Self {
        Self { segments, bucket, catalogue, engines }
    }

    async fn writes_vectors(&self, tenant: &TenantId) -> Result<bool, PortError> {
        Ok(self.engines.engine(tenant).await?.engine.writes_vectors())
    }

    async fn seen(&self, tenant: &TenantId, document: &DocumentId) -> Result<Option<Seen>, PortError> {
        let currents = self.catalogue.currents(tenant).await?;
        Ok(currents.get(document).map(|current| (current.version.clone(), current.chunks)))
    }

    /// Takes away the vectors of versions that are searchable no more. Until then they are hits that nobody is shown.
    async fn settle(&self, tenant: &TenantId, document: &DocumentId, seen: &[Seen]) -> Result<(), PortError> {
        let now = self.seen(tenant, document).await?;
        for (version, chunks) in seen.iter().filter(|seen| now.as_ref().is_none_or(|now| now.0 != seen.0)) {
            self.bucket.forget(tenant, document, version, *chunks).await?;
        }
        Ok(())
    }

    /// The vectors of what is searchable now, as the manifest describes it.
    async fn follow(&self, tenant: &TenantId, document: &DocumentId) -> Result<(), PortError> {
        if let Some(entry) = self.catalogue.entry(tenant, document).await? {
            self.bucket.put(&entry).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl IndexWriter for TieredWriter {
    async fn searchable(&self, tenant: &TenantId, document_id: &DocumentId) -> Result<Option<IndexedVersion>, PortError> {
        self.segments.searchable(tenant, document_id).await
    }

    async fn confirm(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError> {
        self.segments.confirm(tenant, document_id, sequencer).await
    }

    async fn hold(
        &self,
        tenant: &TenantId,
        document_id: &DocumentId,
        sequencer: &Sequencer,
    ) -> Result<Option<IndexedVersion>, PortError> {
        self.segments.hold(tenant, document_id, sequencer).await
    }

    async fn put(&self, entry: IndexEntry) -> Result<(), PortError> {
        let (tenant, document) = (entry.tenant.clone(), entry.document_id.clone());
        let is_tiered = self.writes_vectors(&tenant).await?;
        let mut seen = Vec::new();
        if is_tiered {
            seen.extend(self.seen(&tenant, &document).await?);
            seen.push((entry.version.clone(), entry.chunks.len() as u32));
            // First the vectors, then the manifest that makes them count.
            self.bucket.put(&entry).await?;
        }
        let attributes = entry.attributes.clone();
        self.segments.put(entry).await?;
        if is_tiered {
            self.settle(&tenant, &document, &seen).await?;
            // Somebody may have said something else about it meanwhile, or swept what no manifest named yet.
            if let Some(current) = self.catalogue.currents(&tenant).await?.get(&document) {
                let held = self.bucket.held(&tenant, &document, &current.version, current.chunks).await?;
                if current.attributes != attributes || held < u64::from(current.chunks) {
                    self.follow(&tenant, &document).await?;
                }
            }
        } else if self.writes_vectors(&tenant).await? {
            // A copy has begun meanwhile: either it saw this document in the manifest, or we see now that it has begun.
            self.follow(&tenant, &document).await?;
        }
        Ok(())
    }

    async fn describe(&self, tenant: &TenantId, document_id: &DocumentId, attributes: &Attributes) -> Result<(), PortError> {
        self.segments.describe(tenant, document_id, attributes).await?;
        if self.writes_vectors(tenant).await?
            && let Some(current) = self.catalogue.currents(tenant).await?.get(document_id)
        {
            self.bucket.describe(tenant, document_id, current).await?;
        }
        Ok(())
    }

    async fn remove(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError> {
        let is_tiered = self.writes_vectors(tenant).await?;
        let seen = if is_tiered { self.seen(tenant, document_id).await? } else { None };
        self.segments.remove(tenant, document_id, sequencer).await?;
        self.settle(tenant, document_id, seen.as_slice()).await
    }

    async fn withdraw(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError> {
        let is_tiered = self.writes_vectors(tenant).await?;
        let seen = if is_tiered { self.seen(tenant, document_id).await? } else { None };
        self.segments.withdraw(tenant, document_id, sequencer).await?;
        self.settle(tenant, document_id, seen.as_slice()).await
    }

    async fn sample(&self, tenant: &TenantId, document_id: &DocumentId, limit: usize) -> Result<Vec<String>, PortError> {
        self.segments.sample(tenant, document_id, limit).await
    }

    async fn remains(
        &self,
        tenant: &TenantId,
        document_id: &DocumentId,
        before: Option<&IndexedVersion>,
    ) -> Result<u64, PortError> {
        let mut left = self.segments.remains(tenant, document_id, before).await?;
        if let Some(before) = before
            && self.writes_vectors(tenant).await?
        {
            // An attempt that was cut off left them: the manifest names them no more, so nobody else takes them away.
            self.bucket.forget(tenant, document_id, &before.version, before.chunks).await?;
            left += self.bucket.held(tenant, document_id, &before.version, before.chunks).await?;
        }
        Ok(left)
    }

    async fn compact(&self, tenant: &TenantId) -> Result<(), PortError> {
        self.segments.compact(tenant).await
    }
}
