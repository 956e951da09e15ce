//! Moves a tenant to its vector index and back. The copy is made of steps, each noted in the registry, so that it goes on
//! where it was cut off; changes of documents go to both engines meanwhile. Nothing is served from the vectors before they
//! were counted and asked for.

use crate::record::{key, parse_key, version_hash};
use crate::store::VectorBucket;
use crate::terms::{TermTable, terms_key};
use domain::fault::PortError;
use domain::ids::TenantId;
use domain::objects::{ObjectReader, ObjectWriter};
use domain::scale::{Catalogue, Engine, EngineRegistry, EngineState};
use domain::text::Analyzer;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Documents in a step.
const STEP: usize = 20;
/// Chunks that are asked for by their own vector after a copy.
pub const SAMPLE: usize = 50;
/// A chunk must be among so many nearest to its own vector: texts that repeat share a place.
const NEAREST: usize = 10;

/// Why a tenant stays where it is.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The tenant has nothing to copy.
    #[error("the tenant has no documents that can be searched")]
    Empty,
    /// What was counted or found does not agree with the segments.
    #[error("the copy does not agree with the segments; the tenant stays on them")]
    Disagrees(Checked),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Chunks of the documents that are copied.
    pub done: u64,
    /// Chunks in all.
    pub total: u64,
    /// Whether nothing is left to copy.
    pub is_last: bool,
}

/// What the check after a copy found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Chunks that the manifest lists.
    pub chunks: u64,
    /// Vectors of theirs that are there.
    pub vectors: u64,
    /// Vectors of nothing that is searchable, which were removed.
    pub orphans: u64,
    /// Chunks that were asked for by their own vector.
    pub asked: usize,
    /// Those that were found.
    pub found: usize,
}

/// The use case with its ports.
pub struct Migration<'a, O> {
    /// The vectors.
    pub bucket: &'a VectorBucket,
    /// The segments.
    pub catalogue: &'a dyn Catalogue,
    /// Who serves whom.
    pub engines: &'a dyn EngineRegistry,
    /// Where the table of terms is kept.
    pub objects: &'a O,
}

impl<O: ObjectReader + ObjectWriter> Migration<'_, O> {
    /// Begins a copy, or goes on with one. From here on changes go to both engines.
    pub async fn begin(&self, tenant: &TenantId) -> Result<EngineState, MigrationError> {
        let state = self.engines.engine(tenant).await?;
        if state.engine != Engine::Segments {
            return Ok(state);
        }
        let currents = self.catalogue.currents(tenant).await?;
        let mut dimensions = 0;
        for document in currents.keys() {
            let entry = self.catalogue.entry(tenant, document).await?;
            dimensions = entry.and_then(|entry| entry.chunks.first().map(|chunk| chunk.embedding.0.len())).unwrap_or(0);
            if dimensions > 0 {
                break;
            }
        }
        if dimensions == 0 {
            return Err(MigrationError::Empty);
        }
        self.bucket.create(tenant, dimensions).await?;
        self.objects.remove(&terms_key(tenant)).await?;
        let copying = EngineState { engine: Engine::Copying, copied_to: None };
        self.engines.switch(tenant, &state, &copying).await?;
        Ok(copying)
    }

    /// Copies the next documents and notes it. `state` is that of the step before.
    pub async fn step(&self, tenant: &TenantId, state: &mut EngineState) -> Result<Step, MigrationError> {
        let currents = self.catalogue.currents(tenant).await?;
        let after = state.copied_to.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next: Vec<_> =
            currents.range::<domain::ids::DocumentId, _>((after, Bound::Unbounded)).map(|(id, _)| id).take(STEP).collect();
        let stored = TermTable::read(self.objects, tenant, None).await?;
        let (mut table, tag) = stored.map_or_else(Default::default, |(table, tag)| (table, Some(tag)));
        let analyzer = Analyzer::default();
        for document in &next {
            // Gone meanwhile: whoever took it away took its vectors along.
            let Some(entry) = self.catalogue.entry(tenant, document).await? else { continue };
            self.bucket.put(&entry).await?;
            table.count(&analyzer, &entry);
        }
        if let Some(last) = next.last() {
            table.trim();
            table.write(self.objects, tenant, tag.as_deref()).await?;
            let copied = EngineState { engine: state.engine, copied_to: Some((*last).clone()) };
            self.engines.switch(tenant, state, &copied).await?;
            *state = copied;
        }
        let is_copied = |id| state.copied_to.as_ref().is_some_and(|to| id <= to);
        let chunks = |only_copied: bool| {
            let counted = currents.iter().filter(|(id, _)| !only_copied || is_copied(*id));
            counted.map(|(_, current)| u64::from(current.chunks)).sum()
        };
        Ok(Step { done: chunks(true), total: chunks(false), is_last: next.len() < STEP })
    }

    /// Counts every vector, removes those of nothing that is searchable, and asks for some chunks by their own vector.
    pub async fn check(&self, tenant: &TenantId) -> Result<Checked, MigrationError> {
        let before = self.catalogue.currents(tenant).await?;
        let (mut keys, mut token) = (BTreeSet::new(), None);
        loop {
            let (page, next) = self.bucket.page(tenant, token).await?;
            keys.extend(page);
            token = next;
            if token.is_none() {
                break;
            }
        }
        let after = self.catalogue.currents(tenant).await?;
        let hash = |version: &str| version_hash(self.bucket.model(), version);
        let is_of = |text: &str| {
            parse_key(text).is_some_and(|key| {
                let versions = [before.get(&key.document), after.get(&key.document)];
                versions.into_iter().flatten().any(|current| hash(&current.version) == key.version)
            })
        };
        let mut checked = Checked::default();
        let orphans: Vec<String> = keys.iter().filter(|key| !is_of(key)).cloned().collect();
        checked.orphans = orphans.len() as u64;
        self.bucket.delete(tenant, &orphans).await?;
        // Some may have been those of a version on its way: its vectors come before its manifest. Whoever wrote them looks
        // once more after the manifest, and we look here.
        let after = self.catalogue.currents(tenant).await?;
        for key in orphans.iter().filter_map(|text| parse_key(text)) {
            let is_current = after.get(&key.document).is_some_and(|current| hash(&current.version) == key.version);
            if is_current && let Some(entry) = self.catalogue.entry(tenant, &key.document).await? {
                self.bucket.put(&entry).await?;
                checked.orphans -= 1;
            }
        }
        for (document, current) in after.iter() {
            let hash = hash(&current.version);
            checked.chunks += u64::from(current.chunks);
            let held = (0..current.chunks).filter(|ordinal| keys.contains(&key(document, &hash, *ordinal))).count() as u64;
            // One that came or changed while the list was read.
            let is_new = before.get(document) != Some(current);
            let held = if is_new { self.bucket.held(tenant, document, &current.version, current.chunks).await? } else { held };
            checked.vectors += held;
        }
        // Evenly over the documents, the middle chunk of each.
        for (document, current) in after.iter().step_by(after.len().div_ceil(SAMPLE).max(1)) {
            let Some(entry) = self.catalogue.entry(tenant, document).await? else { continue };
            let Some(chunk) = entry.chunks.get(entry.chunks.len() / 2).filter(|_| entry.version == current.version) else {
                continue;
            };
            let own = key(document, &hash(&current.version), chunk.chunk.ordinal);
            checked.asked += 1;
            let nearest = self.bucket.nearest_keys(tenant, &chunk.embedding, NEAREST).await?;
            checked.found += usize::from(nearest.contains(&own));
        }
        Ok(checked)
    }

    /// Serves the tenant from its vectors, if the check agrees.
    pub async fn finish(&self, tenant: &TenantId, state: &EngineState) -> Result<Checked, MigrationError> {
        let checked = self.check(tenant).await?;
        if checked.vectors != checked.chunks || checked.found != checked.asked {
            return Err(MigrationError::Disagrees(checked));
        }
        if state.engine == Engine::Copying {
            self.engines.switch(tenant, state, &EngineState { engine: Engine::Vectors, copied_to: None }).await?;
        }
        Ok(checked)
    }

    /// Serves the tenant from its segments, which were kept up to date all the time, and removes its vectors.
    pub async fn back(&self, tenant: &TenantId) -> Result<(), MigrationError> {
        let state = self.engines.engine(tenant).await?;
        if state.engine != Engine::Segments {
            self.engines.switch(tenant, &state, &EngineState::default()).await?;
        }
        self.bucket.drop_index(tenant).await?;
        self.objects.remove(&terms_key(tenant)).await?;
        Ok(())
    }
}
