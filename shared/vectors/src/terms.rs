//! How many chunks have a term: what BM25 needs to know of a tenant whose postings are in nobody's memory. Counted over the
//! documents that everybody of the tenant may see, so that a weight tells nothing of the others, and kept for the most
//! frequent terms; any other is as rare as the rarest of them, or rarer.

use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::objects::{Fetched, ObjectReader, ObjectWriter, WriteCondition};
use domain::retrieval::IndexEntry;
use domain::text::Analyzer;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Terms that are kept: some 900 KB. By Heaps' law the rest are in a handful of chunks each.
const TERMS_MAX: usize = 50_000;

/// Where a tenant's table is.
pub fn terms_key(tenant: &TenantId) -> String {
    format!("index/{tenant}.terms.json")
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TermTable {
    /// Chunks that were counted.
    pub chunks: u64,
    /// Terms in all of them together.
    pub length: u64,
    /// Chunks that have a term.
    pub frequencies: BTreeMap<String, u32>,
    /// Terms that are not kept are in at most so many chunks.
    pub floor: u32,
    /// Every document up to this one, in the order of ids, was counted.
    pub counted_to: Option<DocumentId>,
}

impl TermTable {
    /// Counts a document, unless it was.
    pub fn count(&mut self, analyzer: &Analyzer, entry: &IndexEntry) {
        if self.counted_to.as_ref().is_some_and(|to| entry.document_id <= *to) {
            return;
        }
        self.counted_to = Some(entry.document_id.clone());
        if !entry.attributes.groups.is_empty() {
            return;
        }
        for embedded in &entry.chunks {
            let terms = analyzer.terms(&embedded.chunk.searchable_text(&entry.title));
            self.chunks += 1;
            self.length += terms.len() as u64;
            for term in terms.into_iter().collect::<BTreeSet<String>>() {
                *self.frequencies.entry(term).or_default() += 1;
            }
        }
    }

    /// The weight of a term: its inverse document frequency.
    pub fn weight(&self, term: &str) -> f32 {
        let frequency = self.frequencies.get(term).map_or(self.floor as f32 / 2.0, |frequency| *frequency as f32);
        (1.0 + (self.chunks as f32 - frequency + 0.5).max(0.0) / (frequency + 0.5)).ln()
    }

    /// Terms of a chunk of average length.
    pub fn mean_length(&self) -> f32 {
        (self.length as f32 / self.chunks.max(1) as f32).max(1.0)
    }

    /// Leaves the rarest out.
    pub fn trim(&mut self) {
        if self.frequencies.len() <= TERMS_MAX {
            return;
        }
        let mut frequencies: Vec<u32> = self.frequencies.values().copied().collect();
        let (_, floor, _) = frequencies.select_nth_unstable_by(TERMS_MAX, |a, b| b.cmp(a));
        self.floor = self.floor.max(*floor);
        let floor = self.floor;
        self.frequencies.retain(|_, frequency| *frequency > floor);
    }

    /// Reads a tenant's table, if there is one that is newer than this tag.
    pub async fn read(
        objects: &dyn ObjectReader,
        tenant: &TenantId,
        tag: Option<&str>,
    ) -> Result<Option<(Self, String)>, PortError> {
        const OPERATION: &str = "read terms";
        match objects.get(&terms_key(tenant), None, tag).await? {
            Fetched::Found { bytes, etag } => match serde_json::from_slice(&bytes) {
                Ok(table) => Ok(Some((table, etag))),
                Err(_) => Err(PortError::Unexpected { operation: OPERATION, code: "shape".into() }),
            },
            Fetched::Absent | Fetched::NotModified => Ok(None),
        }
    }

    /// Writes a tenant's table in place of the one of this tag; answers the new tag.
    pub async fn write(&self, objects: &dyn ObjectWriter, tenant: &TenantId, tag: Option<&str>) -> Result<String, PortError> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        let condition = tag.map_or(WriteCondition::Absent, |tag| WriteCondition::Matches(tag.to_owned()));
        objects.put(&terms_key(tenant), bytes, condition).await
    }
}
