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

    /// Applies one entry, and answers the segment that it replaced.
    async fn commit(
        &self,
        tenant: &TenantId,
        document: &DocumentId,
        entry: ManifestEntry,
    ) -> Result<Option<SegmentRef>, PortError> {
        for _ in 0..TRIES {
            let (mut manifest, condition) = self.manifest(tenant).await?;
            let before = manifest.documents.get(document).and_then(|e| e.segment.clone());
            if !manifest.apply(document, entry.clone()) {
                return Ok(None);
            }
            let bytes = serde_json::to_vec(&manifest)
                .map_err(|e| PortError::Unexpected { operation: "write manifest", code: e.classify_name().into() })?;
            match self.objects.put(&manifest_key(tenant), bytes, condition).await {
                Ok(_) => return Ok(before.filter(|b| entry.segment.as_ref().is_none_or(|s| s.key != b.key))),
                Err(PortError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(PortError::Unavailable { operation: "write manifest", code: "contended".into() })
    }
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

fn segment_key(entry: &IndexEntry) -> String {
    let hash = hexadecimal(&Sha256::digest(entry.version.as_bytes())[..4]);
    format!("index/{}/{}/{}-{hash}.seg", entry.tenant, entry.document_id, entry.sequencer.as_str())
}

#[async_trait]
impl<S: ObjectReader + ObjectWriter> IndexWriter for SegmentWriter<S> {
    async fn current(&self, tenant: &TenantId, document_id: &DocumentId) -> Result<Option<IndexedVersion>, PortError> {
        let (manifest, _) = self.manifest(tenant).await?;
        Ok(manifest.documents.get(document_id).and_then(|entry| {
            let segment = entry.segment.as_ref().filter(|s| s.model == self.model && s.format == FORMAT)?;
            Some(IndexedVersion {
                sequencer: entry.sequencer.clone(),
                version: segment.version.clone(),
                chunks: segment.chunks,
                pages: segment.pages,
            })
        }))
    }

    async fn put(&self, entry: IndexEntry) -> Result<(), PortError> {
        let key = segment_key(&entry);
        let bytes =
            build(&entry, &self.model).map_err(|e| PortError::Unexpected { operation: "build segment", code: e.to_string() })?;
        let reference = SegmentRef {
            key: key.clone(),
            size_bytes: bytes.len() as u64,
            model: self.model.clone(),
            format: FORMAT,
            version: entry.version.clone(),
            pages: entry.pages,
            chunks: entry.chunks.len() as u32,
        };
        match self.objects.put(&key, bytes, WriteCondition::Absent).await {
            // A repeat of the same event: the object at this key was made from the same version.
            Ok(_) | Err(PortError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        let committed = ManifestEntry { sequencer: entry.sequencer.clone(), segment: Some(reference) };
        if let Some(replaced) = self.commit(&entry.tenant, &entry.document_id, committed).await? {
            self.objects.remove(&replaced.key).await?;
        }
        Ok(())
    }

    async fn remove(&self, tenant: &TenantId, document_id: &DocumentId, sequencer: &Sequencer) -> Result<(), PortError> {
        let tombstone = ManifestEntry { sequencer: sequencer.clone(), segment: None };
        if let Some(replaced) = self.commit(tenant, document_id, tombstone).await? {
            self.objects.remove(&replaced.key).await?;
        }
        Ok(())
    }
}
