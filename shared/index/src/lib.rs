//! The chunk index: one immutable segment object per document version, a manifest per tenant that only conditional
//! writes change, and an in-memory view that scores every chunk by word (BM25) and by meaning (int8 vectors).
//!
//! Layout in the index bucket:
//!
//! ```text
//! index/{tenant}/manifest.json                            which segments are current and where; the only object that changes
//! index/{tenant}/{document_id}/{sequencer}-{nonce}.seg    one document version: vectors, postings, texts
//! index/{tenant}/packs/{nonce}.pack                       many segments, put together once there are enough of them
//! ```

mod catalogue;
mod codec;
mod compact;
mod dot;
mod fetch;
mod held;
mod manifest;
mod nonce;
mod pack;
mod reader;
mod remains;
mod score;
mod segment;
mod signs;
mod terms;
mod upkeep;
mod writer;

pub use catalogue::ManifestCatalogue;
pub use manifest::{Manifest, SegmentRef};
pub use reader::SegmentIndex;
pub use score::{Scored, search};
pub use segment::{BuildSegmentError, ReadSegmentError, Segment, build};
pub use writer::SegmentWriter;

use domain::ids::TenantId;

/// The manifest's key.
pub fn manifest_key(tenant: &TenantId) -> String {
    format!("index/{tenant}/manifest.json")
}
