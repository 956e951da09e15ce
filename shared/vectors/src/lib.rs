//! Search in Amazon S3 Vectors, for tenants with more chunks than one function's memory should hold: one vector bucket, an
//! index per tenant and model, a vector per chunk.
//!
//! The segments stay the truth. Every hit is held against the tenant's manifest before it counts, so that a vector that was
//! left behind, or whose metadata is behind, is never an answer: not of a version that was replaced, not of a document that
//! was deleted, not of one whose access list has changed.
//!
//! ```text
//! vector key             {document id}/{hash of model and version}/{ordinal of the chunk}
//! metadata to filter by  document, page, groups (["*"] if everybody may see it), tags, date (20260301); absent if not said
//! other metadata         title, version, chunk (JSON), sentences (int8 vectors, base64)
//! ```

mod filter;
mod migrate;
mod reader;
mod record;
mod store;
mod terms;
mod tiered;

pub use migrate::{Checked, Migration, MigrationError, SAMPLE, Step};
pub use reader::VectorIndex;
pub use store::{DEPTH, VectorBucket};
pub use terms::{TermTable, terms_key};
pub use tiered::{TieredIndex, TieredWriter};
