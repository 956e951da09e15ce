//! The manifest: which segments are current. A reader that has it sees one state of the tenant, never a mix of two.

use crate::segment::FORMAT;
use domain::ids::{DocumentId, Sequencer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Wire form of a tenant's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this form.
    pub format: u32,
    /// One entry per document ever indexed; removed ones stay as a tombstone, so that a late event cannot revive them.
    pub documents: BTreeMap<DocumentId, ManifestEntry>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { format: FORMAT, documents: BTreeMap::new() }
    }
}

/// A document's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The event that brought this state.
    pub sequencer: Sequencer,
    /// The current segment; `None` after a removal.
    pub segment: Option<SegmentRef>,
}

/// Where a segment is and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// Its key.
    pub key: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// The model of its vectors.
    pub model: String,
    /// Version of the segment form.
    pub format: u32,
    /// The object version that it was made from.
    pub version: String,
    /// The last event at which that version was the bucket's.
    pub seen_at: Sequencer,
    /// Pages.
    pub pages: u32,
    /// Chunks.
    pub chunks: u32,
}

impl Manifest {
    /// The current segments.
    pub fn segments(&self) -> impl Iterator<Item = (&DocumentId, &SegmentRef)> {
        self.documents.iter().filter_map(|(id, entry)| entry.segment.as_ref().map(|s| (id, s)))
    }
}
