//! Scale-out: a tenant with more chunks than one function's memory should hold is searched in a vector store. Which engine
//! serves a tenant is written in the registry; the segments stay the truth in any case, so that a tenant can go back.

use crate::documents::attributes::Attributes;
use crate::fault::PortError;
use crate::ids::{DocumentId, TenantId};
use crate::retrieval::IndexEntry;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Chunks of a tenant above which `clinchat index status` advises the vector store: 62 MB to fetch on a cold start and some
/// 115 MB of memory.
pub const CHUNKS_CEILING: u64 = 50_000;

/// What searches a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The segments, in memory.
    #[default]
    Segments,
    /// The segments; the vector store is being filled, and every change goes to both.
    Copying,
    /// The vector store; every change goes to both.
    Vectors,
}

impl Engine {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Copying => "copying",
            Self::Vectors => "vectors",
        }
    }

    /// Whether changes go to the vector store as well.
    pub const fn writes_vectors(self) -> bool {
        matches!(self, Self::Copying | Self::Vectors)
    }
}

/// Where a tenant is with its engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineState {
    /// What searches it.
    pub engine: Engine,
    /// How far the copy is: every document up to this one, in the order of ids, is in the vector store.
    pub copied_to: Option<DocumentId>,
}

/// Which engine serves which tenant. A tenant of which nothing is written is served by its segments.
#[async_trait]
pub trait EngineRegistry: Send + Sync {
    /// The engine of a tenant.
    async fn engine(&self, tenant: &TenantId) -> Result<EngineState, PortError>;

    /// Writes the next state if the present one is still this: [`PortError::Conflict`] if somebody else was faster.
    async fn switch(&self, tenant: &TenantId, from: &EngineState, to: &EngineState) -> Result<(), PortError>;
}

/// What is searchable of a document, without its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The object version.
    pub version: String,
    /// How many chunks.
    pub chunks: u32,
    /// What is said about it.
    pub attributes: Attributes,
}

/// One state of a tenant's index: what is searchable now.
pub type Currents = BTreeMap<DocumentId, Current>;

/// The list of what is searchable, and the documents behind it.
#[async_trait]
pub trait Catalogue: Send + Sync {
    /// What is searchable now, made with the current model and format.
    async fn currents(&self, tenant: &TenantId) -> Result<Arc<Currents>, PortError>;

    /// A searchable document with its chunks and vectors; `None` if it is gone or damaged.
    async fn entry(&self, tenant: &TenantId, document: &DocumentId) -> Result<Option<IndexEntry>, PortError>;
}
