//! Changes a tenant's index: first the segment, then the manifest by a conditional write. A crash in between leaves an
//! object that nobody points at, never a half state.

use crate::compact::Compactor;
use crate::held::Held;
use crate::manifest::{ManifestEntry, SegmentRef};
use crate::nonce::{Nonces, document_folder};
use crate::segment::{FORMAT, build};
use async_trait::async_trait;
use domain::documents::attributes::Attributes;
use domain::fault::PortError;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::objects::{ObjectReader, ObjectWriter, WriteCondition};
use domain::retrieval::{IndexEntry, IndexWriter, IndexedVersion};
use std::cmp::Ordering;
use std::sync::Arc;

/// Lost races before giving up. Each loss means that another writer got through, so with W writers at work the last one
/// needs W tries; the queue runs at most 8 at a time, and each may be followed by a merge.
const TRIES: usize = 64;

/// An [`IndexWriter`] over an object store.
pub struct SegmentWriter<S> {
    pub(crate) objects: Arc<S>,
    pub(crate) held: Arc<Held<S>>,
    pub(crate) model: String,
    nonces: Arc<Nonces>,
    compactor: Compactor<S>,
}

impl<S: ObjectReader + ObjectWriter> SegmentWriter<S> {
    /// Writes segments whose vectors are this model's.
    pub fn new(objects: Arc<S>, model: String) -> Self {
        Self::with_nonces(objects, model, Nonces::random())
    }

    /// A writer whose keys are the same in every run: what tests interleave must not depend on chance.
    pub fn seeded(objects: Arc<S>, model: String, seed: u64) -> Self {
        Self::with_nonces(objects, model, Nonces::from_seed(seed))
    }

    fn with_nonces(objects: Arc<S>, model: String, nonces: Nonces) -> Self {
        let (held, nonces) = (Arc::new(Held::new(objects.clone())), Arc::new(nonces));
        let compactor = Compactor::new(objects.clone(), held.clone(), nonces.clone(), model.clone());
        Self { objects, held, model, nonces, compactor }
    }

    /// Applies a change under an event's sequencer and sweeps what it leaves behind. Answers the document's entry afterwards,
    /// or nothing if a newer event was already applied.
    async fn commit(
        &self,
        tenant: &TenantId,
        document: &DocumentId,
        sequencer: &Sequencer,
        change: Change,
    ) -> Result<Option<ManifestEntry>, PortError> {
        // A write tells by itself whether the manifest was current. That there is nothing to write takes a fresh look.
        let mut held = self.held.last(tenant);
        for _ in 0..TRIES {
            let is_fresh = held.is_none();
            let known = match held.take() {
                Some(known) => known,
                None => self.held.latest(tenant).await?,
            };
            let before = known.manifest.documents.get(document);
            let entry = change.apply(before, sequencer);
            let now = match &entry {
                Some(entry) if before != Some(entry) => {
                    let mut next = known.manifest.as_ref().clone();
                    next.set(document, entry.clone());
                    if !change.is_said() {
                        self.held.purge(&known, &mut next).await?;
                    }
                    match self.held.replace(&known, next).await {
                        Ok(now) => now,
                        Err(PortError::Conflict { .. }) => continue,
                        Err(error) => return Err(error),
                    }
                }
                _ if !is_fresh => continue,
                Some(_) => known.clone(),
                None => return Ok(None),
            };
            let Some(entry) = entry else { return Ok(None) };
            if change.is_said() {
                return Ok(Some(entry)); // Nothing lies anywhere else than before, and who says it may change nothing but manifests.
            }
            let replaced = before.and_then(|before| before.segment.as_ref());
            self.sweep_document(tenant, document, &entry, replaced).await?;
            self.compactor.erase(now).await?;
            return Ok(Some(entry));
        }
        Err(PortError::Unavailable { operation: "write manifest", code: "contended".into() })
    }

    /// Removes the document's own objects of older events: replaced ones, and those of attempts that were cut off. One of the
    /// same event stays unless it was pointed at before: its attempt may still be about to commit it. The next event takes
    /// it along, or the daily sweep.
    async fn sweep_document(
        &self,
        tenant: &TenantId,
        document: &DocumentId,
        entry: &ManifestEntry,
        replaced: Option<&SegmentRef>,
    ) -> Result<(), PortError> {
        let folder = document_folder(tenant, document);
        let current = entry.segment.as_ref().filter(|segment| segment.place.is_none()).map(|segment| &segment.key);
        for key in self.objects.keys(&folder).await? {
            let sequencer = key[folder.len()..].split('-').next().and_then(|digits| Sequencer::parse(digits).ok());
            let is_older = sequencer.is_some_and(|sequencer| sequencer < entry.sequencer);
            let is_replaced = replaced.is_some_and(|replaced| replaced.key == key);
            if Some(&key) != current && (is_older || is_replaced) {
                self.objects.remove(&key).await?;
            }
        }
        Ok(())
    }

    /// What searches see of an entry, if they can.
    fn visible(&self, entry: &ManifestEntry) -> Option<IndexedVersion> {
        let segment = entry.segment.as_ref().filter(|s| s.model == self.model && s.format == FORMAT)?;
        let (version, seen_at) = (segment.version.clone(), segment.seen_at.clone());
        Some(IndexedVersion { version, chunks: segment.chunks, pages: segment.pages, seen_at })
    }
}

/// What an event does to a document's entry.
enum Change {
    /// The searchable version is still the bucket's.
    Confirm,
    /// The searchable version stays, although it is no longer the bucket's.
    Hold,
    /// Another version is searchable.
    Set(SegmentRef, Attributes),
    /// Something else is said about it.
    Describe(Attributes),
    /// Nothing is searchable.
    Remove,
    /// Nothing that was last seen before the event is searchable, whatever newer event was applied.
    Withdraw,
}

impl Change {
    const fn is_said(&self) -> bool {
        matches!(self, Self::Describe(_))
    }

    /// The entry after an event, or nothing if it has no say any more.
    fn apply(&self, known: Option<&ManifestEntry>, sequencer: &Sequencer) -> Option<ManifestEntry> {
        let segment = known.and_then(|entry| entry.segment.clone());
        let attributes = known.map(|entry| entry.attributes.clone()).unwrap_or_default();
        if let Self::Describe(newer) = self {
            let sequencer = known.map_or_else(|| sequencer.clone(), |known| known.sequencer.clone());
            return Some(ManifestEntry { sequencer, attributes: newer.clone().or_newer(attributes), segment });
        }
        let order = known.map_or(Ordering::Less, |known| known.sequencer.cmp(sequencer));
        let segment = match (self, order) {
            (Self::Withdraw, _) => {
                let segment = segment.filter(|segment| segment.seen_at >= *sequencer);
                // An attempt at an older event that is still under way has seen what was removed: its write comes too late.
                let sequencer = known.map_or(sequencer, |known| (&known.sequencer).max(sequencer)).clone();
                return Some(ManifestEntry { sequencer, segment, attributes });
            }
            (_, Ordering::Greater) => return None,
            (Self::Confirm, _) => segment.map(|segment| SegmentRef { seen_at: sequencer.clone(), ..segment }),
            (Self::Hold, _) => segment,
            (Self::Set(new, newer), _) => {
                // Written already, and only the answer was lost: it may lie in a pack by now.
                let place = segment.filter(|segment| segment.key == new.key).and_then(|segment| segment.place);
                let segment = Some(SegmentRef { place, ..new.clone() });
                return Some(ManifestEntry {
                    sequencer: sequencer.clone(),
                    attributes: newer.clone().or_newer(attributes),
                    segment,
                });
            }
            (Self::Remove | Self::Describe(_), _) => {
                return Some(ManifestEntry { sequencer: sequencer.clone(), attributes: attributes.forgotten(), segment: None });
            }
        };
        Some(ManifestEntry { sequencer: sequencer.clone(), attributes, segment })
    }
}

#[async_trait]
impl<S: ObjectReader + ObjectWriter> IndexWriter for SegmentWriter<S> {
    async fn searchable(&self, tenant: &TenantId, document_id: &DocumentId) -> Result<Option<IndexedVersion>, PortError> {
        let known = self.held.latest(tenant).await?;
        Ok(known.manifest.documents.get(document_id).and_then(|entry| self.visible(entry)))
    }

    async fn confirm(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError> {
        self.commit(tenant, document_id, sequencer, Change::Confirm).await.map(|_| ())
    }

    async fn hold(
        &self,
        tenant: &TenantId,
        document_id: &DocumentId,
        sequencer: &Sequencer,
    ) -> Result<Option<IndexedVersion>, PortError> {
        match self.commit(tenant, document_id, sequencer, Change::Hold).await? {
            Some(entry) => Ok(self.visible(&entry)),
            None => self.searchable(tenant, document_id).await,
        }
    }

    async fn put(&self, entry: IndexEntry) -> Result<(), PortError> {
        let key = self.nonces.segment_key(&entry.tenant, &entry.document_id, &entry.sequencer);
        let bytes =
            build(&entry, &self.model).map_err(|e| PortError::Unexpected { operation: "build segment", code: e.to_string() })?;
        let reference = SegmentRef {
            key: key.clone(),
            place: None,
            size_bytes: bytes.len() as u64,
            model: self.model.clone(),
            format: FORMAT,
            version: entry.version.clone(),
            seen_at: entry.sequencer.clone(),
            pages: entry.pages,
            chunks: entry.chunks.len() as u32,
        };
        match self.objects.put(&key, bytes, WriteCondition::Absent).await {
            // Nobody else has this key: a conflict is an answer that was lost and asked for again.
            Ok(_) | Err(PortError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        let change = Change::Set(reference, entry.attributes);
        if self.commit(&entry.tenant, &entry.document_id, &entry.sequencer, change).await?.is_none() {
            // Overtaken: nobody points at it, and nobody ever will.
            self.objects.remove(&key).await?;
        }
        Ok(())
    }

    async fn describe(&self, tenant: &TenantId, document_id: &DocumentId, attributes: &Attributes) -> Result<(), PortError> {
        // Not an event: for a document that is not there yet the entry comes before every event.
        let first =
            Sequencer::parse("0").map_err(|_| PortError::Unexpected { operation: "describe", code: "sequencer".into() })?;
        self.commit(tenant, document_id, &first, Change::Describe(attributes.clone())).await.map(|_| ())
    }

    async fn remove(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError> {
        self.commit(tenant, document_id, sequencer, Change::Remove).await?;
        self.erase_strays(tenant, document_id).await
    }

    async fn sample(&self, tenant: &TenantId, document_id: &DocumentId, limit: usize) -> Result<Vec<String>, PortError> {
        self.passages_of(tenant, document_id, limit).await
    }

    async fn remains(
        &self,
        tenant: &TenantId,
        document_id: &DocumentId,
        _before: Option<&IndexedVersion>,
    ) -> Result<u64, PortError> {
        self.count_remains(tenant, document_id).await
    }

    async fn withdraw(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError> {
        self.commit(tenant, document_id, sequencer, Change::Withdraw).await.map(|_| ())
    }

    async fn compact(&self, tenant: &TenantId) -> Result<(), PortError> {
        self.compactor.compact(tenant).await
    }
}
