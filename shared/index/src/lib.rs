//! The chunk index: one immutable segment object per document version, a manifest per tenant that only conditional
//! writes change, and an in-memory view that scores every chunk exactly, by word (BM25) and by meaning (int8 vectors).
//!
//! Layout in the index bucket:
//!
//! ```text
//! index/{tenant}/manifest.json                              which segments are current; the only object that changes
//! index/{tenant}/{document_id}/{sequencer}-{hash of model and version}.seg   one document version: vectors, postings, texts
//! ```

mod codec;
mod manifest;
mod reader;
mod score;
mod segment;
mod writer;

pub use manifest::{Manifest, ManifestEntry};
pub use reader::SegmentIndex;
pub use segment::{BuildSegmentError, ReadSegmentError, Segment, build};
pub use writer::SegmentWriter;

use domain::ids::TenantId;

/// The manifest's key.
pub fn manifest_key(tenant: &TenantId) -> String {
    format!("index/{tenant}/manifest.json")
}
