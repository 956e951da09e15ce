//! Changes a tenant's index: first the segment, then the manifest by a conditional write. A crash in between leaves an
//! object that nobody points at, never a half state.

use crate::manifest::{Manifest, ManifestEntry, SegmentRef};
use crate::manifest_key;
use crate::segment::{FORMAT, build};
use async_trait::async_trait;
use domain::fault::PortError;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::objects::{Fetched, ObjectReader, ObjectWriter, WriteCondition};
use domain::retrieval::{IndexEntry, IndexWriter, IndexedVersion};
use domain::text::hexadecimal;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::sync::Arc;

/// Lost races before giving up. Each loss means that another writer got through, so with W writers at work the last one
/// needs W tries; the queue runs at most 8 at a time.
const TRIES: usize = 32;

/// An [`IndexWriter`] over an object store.
pub struct SegmentWriter<S> {
    objects: Arc<S>,
    model: String,
}

impl<S: ObjectReader + ObjectWriter> SegmentWriter<S> {
    /// Writes segments whose vectors are this model's.
    pub const fn new(objects: Arc<S>, model: String) -> Self {
        Self { objects, model }
    }

    async fn manifest(&self, tenant: &TenantId) -> Result<(Manifest, WriteCondition), PortError> {
        match self.objects.get(&manifest_key(tenant), None, None).await? {
            Fetched::Found { bytes, etag } => Ok((parse_manifest(&bytes)?, WriteCondition::Matches(etag))),
            Fetched::Absent | Fetched::NotModified => Ok((Manifest::default(), WriteCondition::Absent)),
        }
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
        for _ in 0..TRIES {
            let (mut manifest, condition) = self.manifest(tenant).await?;
            let known = manifest.documents.get(document);
            let Some(entry) = change.apply(known, sequencer) else { return Ok(None) };
            if known != Some(&entry) {
                manifest.documents.insert(document.clone(), entry.clone());
                let bytes = serde_json::to_vec(&manifest)
                    .map_err(|e| PortError::Unexpected { operation: "write manifest", code: e.classify_name().into() })?;
                match self.objects.put(&manifest_key(tenant), bytes, condition).await {
                    Ok(_) => {}
                    Err(PortError::Conflict { .. }) => continue,
                    Err(error) => return Err(error),
                }
            }
            self.sweep(tenant, document, &entry).await?;
            return Ok(Some(entry));
        }
        Err(PortError::Unavailable { operation: "write manifest", code: "contended".into() })
    }

    /// Removes the document's segments of older events: replaced ones, and those of attempts that were cut off. One of the
    /// same event stays: its attempt may still be about to commit it. The next event takes it along.
    async fn sweep(&self, tenant: &TenantId, document: &DocumentId, entry: &ManifestEntry) -> Result<(), PortError> {
        let folder = document_folder(tenant, document);
        for key in self.objects.keys(&folder).await? {
            let sequencer = key[folder.len()..].split('-').next().and_then(|digits| Sequencer::parse(digits).ok());
            let is_current = entry.segment.as_ref().is_some_and(|segment| segment.key == key);
            if !is_current && sequencer.is_some_and(|sequencer| sequencer < entry.sequencer) {
                self.objects.remove(&key).await?;
            }
        }
        Ok(())
    }

    /// What searches see of an entry, if they can.
    fn visible(&self, entry: &ManifestEntry) -> Option<IndexedVersion> {
        let segment = entry.segment.as_ref().filter(|s| s.model == self.model && s.format == FORMAT)?;
        Some(IndexedVersion { version: segment.version.clone(), chunks: segment.chunks, pages: segment.pages })
    }

    /// The key says which event, version and model a segment is of, so that no two that differ share one.
    fn segment_key(&self, entry: &IndexEntry) -> String {
        let hash = hexadecimal(&Sha256::digest(format!("{}\0{}", self.model, entry.version))[..4]);
        format!("{}{}-{hash}.seg", document_folder(&entry.tenant, &entry.document_id), entry.sequencer.as_str())
    }
}

/// What an event does to a document's entry.
enum Change {
    /// The searchable version is still the bucket's.
    Confirm,
    /// The searchable version stays, although it is no longer the bucket's.
    Hold,
    /// Another version is searchable.
    Set(SegmentRef),
    /// Nothing is searchable.
    Remove,
    /// Nothing that was last seen before the event is searchable, whatever newer event was applied.
    Withdraw,
}

impl Change {
    /// The entry after an event, or nothing if it has no say any more.
    fn apply(&self, known: Option<&ManifestEntry>, sequencer: &Sequencer) -> Option<ManifestEntry> {
        let segment = known.and_then(|entry| entry.segment.clone());
        let order = known.map_or(Ordering::Less, |known| known.sequencer.cmp(sequencer));
        let segment = match (self, order) {
            (Self::Withdraw, _) => {
                let segment = segment.filter(|segment| segment.seen_at >= *sequencer);
                return known.map(|known| ManifestEntry { sequencer: known.sequencer.clone(), segment });
            }
            (_, Ordering::Greater) => return None,
            (Self::Confirm, _) => segment.map(|segment| SegmentRef { seen_at: sequencer.clone(), ..segment }),
            (Self::Hold, _) => segment,
            (Self::Set(segment), _) => Some(segment.clone()),
            (Self::Remove, _) => None,
        };
        Some(ManifestEntry { sequencer: sequencer.clone(), segment })
    }
}

fn document_folder(tenant: &TenantId, document: &DocumentId) -> String {
    format!("index/{tenant}/{document}/")
}

/// Reads a manifest.
pub(crate) fn parse_manifest(bytes: &[u8]) -> Result<Manifest, PortError> {
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|e| PortError::Unexpected { operation: "read manifest", code: e.classify_name().into() })?;
    if manifest.format == FORMAT {
        Ok(manifest)
    } else {
        Err(PortError::Unexpected { operation: "read manifest", code: "format".into() })
    }
}

/// A JSON error's class without its text: the text may quote what it could not read.
trait ClassifyName {
    fn classify_name(&self) -> &'static str;
}

impl ClassifyName for serde_json::Error {
    fn classify_name(&self) -> &'static str {
        match self.classify() {
            serde_json::error::Category::Io => "io",
            serde_json::error::Category::Syntax => "syntax",
            serde_json::error::Category::Data => "shape",
            serde_json::error::Category::Eof => "truncated",
        }
    }
}

#[async_trait]
impl<S: ObjectReader + ObjectWriter> IndexWriter for SegmentWriter<S> {
    async fn searchable(&self, tenant: &TenantId, document_id: &DocumentId) -> Result<Option<IndexedVersion>, PortError> {
        let (manifest, _) = self.manifest(tenant).await?;
        Ok(manifest.documents.get(document_id).and_then(|entry| self.visible(entry)))
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
        let key = self.segment_key(&entry);
        let bytes =
            build(&entry, &self.model).map_err(|e| PortError::Unexpected { operation: "build segment", code: e.to_string() })?;
        let reference = SegmentRef {
            key: key.clone(),
            size_bytes: bytes.len() as u64,
            model: self.model.clone(),
            format: FORMAT,
            version: entry.version.clone(),
            seen_at: entry.sequencer.clone(),
            pages: entry.pages,
            chunks: entry.chunks.len() as u32,
        };
        match self.objects.put(&key, bytes, WriteCondition::Absent).await {
            // A repeat of the same event: the object at this key was made from the same version with the same model.
            Ok(_) | Err(PortError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        let change = Change::Set(reference);
        if self.commit(&entry.tenant, &entry.document_id, &entry.sequencer, change).await?.is_none() {
            // Overtaken. Unless the newer event found this very version searchable, nobody will ever point at it.
            let (manifest, _) = self.manifest(&entry.tenant).await?;
            if manifest.segments().all(|(_, segment)| segment.key != key) {
                self.objects.remove(&key).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError> {
        self.commit(tenant, document_id, sequencer, Change::Remove).await.map(|_| ())
    }

    async fn withdraw(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError> {
        self.commit(tenant, document_id, sequencer, Change::Withdraw).await.map(|_| ())
    }
}
