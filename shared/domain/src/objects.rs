//! The ports to an object store. Reading and writing are two traits, so that a reader cannot write.

use crate::fault::PortError;
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHead {
    /// Changes with every write.
    pub etag: String,
    /// The version, in a versioned bucket.
    pub version_id: Option<String>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// The media type it was stored with.
    pub media_type: Option<String>,
    /// User metadata (`x-amz-meta-*`), keys in lower case.
    pub metadata: BTreeMap<String, String>,
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The bytes and the tag they have now.
    Found {
        /// The whole object.
        bytes: Vec<u8>,
        /// Its tag.
        etag: String,
    },
    /// The caller's tag is still the current one.
    NotModified,
    /// There is no such object.
    Absent,
}

/// Under which condition a write counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteCondition {
    /// Only if there is nothing at the key.
    Absent,
    /// Only if the object still has this tag.
    Matches(String),
}

/// Reads objects.
#[async_trait]
pub trait ObjectReader: Send + Sync {
    /// What is at the key now, or `None`.
    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, PortError>;

    /// The bytes, of one version if one is named, unless the caller already has the tagged ones.
    async fn get(&self, key: &str, version_id: Option<&str>, unless_etag: Option<&str>) -> Result<Fetched, PortError>;

    /// A range of an object's bytes, as far as it has them, or `None` if there is no such object.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, PortError>;

    /// The keys that begin with a prefix.
    async fn keys(&self, prefix: &str) -> Result<Vec<String>, PortError>;

    /// The names of the folders below a prefix that ends with `/`.
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let keys = self.keys(prefix).await?;
        let names = keys.iter().filter_map(|key| key.strip_prefix(prefix)?.split_once('/'));
        let names: BTreeSet<String> = names.map(|(name, _)| name.to_owned()).collect();
        Ok(names.into_iter().collect())
    }

    /// Of the keys that begin with a prefix, those that were last written before a time.
    async fn keys_before(&self, prefix: &str, before: Timestamp) -> Result<Vec<String>, PortError>;
}

/// One version of an object that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Its id.
    pub version_id: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// When it was written.
    pub written: Timestamp,
}

/// Knows what a versioned bucket keeps.
#[async_trait]
pub trait ObjectHistory: Send + Sync {
    /// The versions at a key, the newest first, without marks of deletion.
    async fn versions(&self, key: &str) -> Result<Vec<ObjectVersion>, PortError>;
}

/// Writes objects.
#[async_trait]
pub trait ObjectWriter: Send + Sync {
    /// Writes if the condition holds, and answers the new tag; [`PortError::Conflict`] if it does not.
    async fn put(&self, key: &str, bytes: Vec<u8>, condition: WriteCondition) -> Result<String, PortError>;

    /// Removes the object (in a versioned bucket: adds a delete marker). Removing what is not there is fine.
    async fn remove(&self, key: &str) -> Result<(), PortError>;
}

/// What an upload link is bound to: a client that sends anything else is refused by the store itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadTerms {
    /// Exact size in bytes.
    pub size_bytes: u64,
    /// Exact media type.
    pub media_type: &'static str,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// User metadata to store with the object; values are ASCII.
    pub metadata: BTreeMap<&'static str, String>,
    /// Life of the link in seconds.
    pub expires_s: u32,
}

/// A link that a client can use without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The address.
    pub url: String,
    /// The method: `PUT` or `GET`.
    pub method: &'static str,
    /// Headers that must be sent exactly so.
    pub headers: BTreeMap<String, String>,
}

/// Signs links. Knows nothing of who may have one: the use cases decide that first.
#[async_trait]
pub trait LinkSigner: Send + Sync {
    /// A link to upload one object under these terms.
    async fn upload_link(&self, key: &str, terms: &UploadTerms) -> Result<Link, PortError>;

    /// A short-lived link to one version of an object, to be shown under this file name.
    async fn content_link(&self, key: &str, version_id: Option<&str>, file_name: &str, expires_s: u32)
    -> Result<Link, PortError>;
}
