//! An object store in memory: versions, tags, conditional writes, removal. Linearizable: one lock.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::fault::PortError;
use domain::objects::{
    Fetched, Link, LinkSigner, ObjectHead, ObjectHistory, ObjectReader, ObjectVersion, ObjectWriter, UploadTerms, WriteCondition,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone)]
struct Stored {
    bytes: Vec<u8>,
    written: Timestamp,
    serial: u64,
    metadata: BTreeMap<String, String>,
}

impl Stored {
    fn version_id(&self) -> String {
        format!("v{}", self.serial)
    }

    fn etag(&self) -> String {
        self.serial.to_string()
    }
}

#[derive(Default)]
struct State {
    serial: u64,
    /// What the store's clock shows.
    now: Timestamp,
    objects: BTreeMap<String, Stored>,
    /// Every version ever written: a reader who names one gets it, whatever is at the key now.
    versions: BTreeMap<(String, String), Stored>,
}

impl State {
    fn put(&mut self, key: &str, bytes: Vec<u8>, metadata: BTreeMap<String, String>) -> String {
        self.serial += 1;
        let stored = Stored { bytes, written: self.now, serial: self.serial, metadata };
        self.versions.insert((key.to_owned(), stored.version_id()), stored.clone());
        let etag = stored.etag();
        self.objects.insert(key.to_owned(), stored);
        etag
    }
}

/// An object store in memory. A clone is the same store.
#[derive(Clone, Default)]
pub struct MemoryObjects {
    state: Arc<Mutex<State>>,
    outage: Outage,
}

impl MemoryObjects {
    /// A store whose calls fail when this outage says so.
    pub fn with_outage(outage: Outage) -> Self {
        Self { outage, ..Self::default() }
    }

    /// The same store, as somebody sees it whose calls fail when this outage says so.
    #[must_use]
    pub fn seen_through(&self, outage: Outage) -> Self {
        Self { state: self.state.clone(), outage }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `calls` more calls through and fails every one after them: a crash between any two steps.
    pub fn fail_after(&self, calls: Option<u64>) {
        calls.map_or_else(|| self.outage.end(), |calls| self.outage.begin_after(calls));
    }

    /// Puts an object as a client would; answers its version.
    pub fn upload(&self, key: &str, bytes: &[u8], metadata: &[(&str, &str)]) -> String {
        let metadata = metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        format!("v{}", self.state().put(key, bytes.to_vec(), metadata))
    }

    /// Sets the store's clock, which else stands still at 1970.
    pub fn set_time(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Removes an object as a client would.
    pub fn take_away(&self, key: &str) {
        self.state().objects.remove(key);
    }

    /// Changes stored bytes behind everyone's back: damage at rest.
    pub fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(stored) = self.state().objects.get_mut(key) {
            change(&mut stored.bytes);
        }
    }

    /// The bytes of one version.
    pub fn version(&self, key: &str, version_id: &str) -> Option<Vec<u8>> {
        self.state().versions.get(&(key.to_owned(), version_id.to_owned())).map(|stored| stored.bytes.clone())
    }

    /// Everything that was ever written to a key, oldest first.
    pub fn history(&self, key: &str) -> Vec<Vec<u8>> {
        let state = self.state();
        let mut versions: Vec<&Stored> =
            state.versions.iter().filter(|((of, _), _)| of == key).map(|(_, stored)| stored).collect();
        versions.sort_by_key(|stored| stored.serial);
        versions.into_iter().map(|stored| stored.bytes.clone()).collect()
    }

    /// The keys that were ever written.
    pub fn ever_written(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.state().versions.keys().map(|(key, _)| key.clone()).collect();
        keys.dedup();
        keys
    }

    /// The keys.
    pub fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// The bytes at a key and their version, if there are any.
    pub fn peek(&self, key: &str) -> Option<(Vec<u8>, String)> {
        self.state().objects.get(key).map(|stored| (stored.bytes.clone(), stored.version_id()))
    }
}

#[async_trait]
impl ObjectReader for MemoryObjects {
    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, PortError> {
        let answer = self.outage.call("HeadObject").await?;
        let head = self.state().objects.get(key).map(|o| ObjectHead {
            etag: o.etag(),
            version_id: Some(o.version_id()),
            size_bytes: o.bytes.len() as u64,
            media_type: None,
            metadata: o.metadata.clone(),
        });
        answer.with(head)
    }

    async fn get(&self, key: &str, version_id: Option<&str>, unless_etag: Option<&str>) -> Result<Fetched, PortError> {
        let answer = self.outage.call("GetObject").await?;
        let state = self.state();
        let found = match version_id {
            Some(version) => state.versions.get(&(key.to_owned(), version.to_owned())),
            None => state.objects.get(key),
        };
        answer.with(match found {
            None => Fetched::Absent,
            Some(o) if unless_etag == Some(o.etag().as_str()) => Fetched::NotModified,
            Some(o) => Fetched::Found { bytes: o.bytes.clone(), etag: o.etag() },
        })
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, PortError> {
        let answer = self.outage.call("GetObject").await?;
        let part = self.state().objects.get(key).map(|stored| {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(stored.bytes.len());
            stored.bytes[place(range.start)..place(range.end).max(place(range.start))].to_vec()
        });
        answer.with(part)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let answer = self.outage.call("ListObjects").await?;
        let keys = self.state().objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        answer.with(keys)
    }

    async fn keys_before(&self, prefix: &str, before: Timestamp) -> Result<Vec<String>, PortError> {
        let answer = self.outage.call("ListObjects").await?;
        let state = self.state();
        let old = state.objects.iter().filter(|(key, stored)| key.starts_with(prefix) && stored.written < before);
        answer.with(old.map(|(key, _)| key.clone()).collect())
    }
}

#[async_trait]
impl ObjectHistory for MemoryObjects {
    async fn versions(&self, key: &str) -> Result<Vec<ObjectVersion>, PortError> {
        let answer = self.outage.call("ListObjectVersions").await?;
        let state = self.state();
        let mut mine: Vec<&Stored> = state.versions.iter().filter(|((of, _), _)| of == key).map(|(_, stored)| stored).collect();
        mine.sort_by_key(|stored| std::cmp::Reverse(stored.serial));
        let version =
            |o: &Stored| ObjectVersion { version_id: o.version_id(), size_bytes: o.bytes.len() as u64, written: o.written };
        answer.with(mine.into_iter().map(version).collect())
    }
}

#[async_trait]
impl ObjectWriter for MemoryObjects {
    async fn put(&self, key: &str, bytes: Vec<u8>, condition: WriteCondition) -> Result<String, PortError> {
        let answer = self.outage.call("PutObject").await?;
        let mut state = self.state();
        let holds = match (&condition, state.objects.get(key)) {
            (WriteCondition::Absent, present) => present.is_none(),
            (WriteCondition::Matches(etag), Some(o)) => o.etag() == *etag,
            (WriteCondition::Matches(_), None) => false,
        };
        if !holds {
            return Err(PortError::Conflict { operation: "PutObject" });
        }
        answer.with(state.put(key, bytes, BTreeMap::new()))
    }

    async fn remove(&self, key: &str) -> Result<(), PortError> {
        let answer = self.outage.call("DeleteObject").await?;
        self.state().objects.remove(key);
        answer.with(())
    }
}

#[async_trait]
impl LinkSigner for MemoryObjects {
    async fn upload_link(&self, key: &str, terms: &UploadTerms) -> Result<Link, PortError> {
        let headers = BTreeMap::from([("content-type".to_owned(), terms.media_type.to_owned())]);
        Ok(Link { url: format!("memory://{key}"), method: "PUT", headers })
    }

    async fn content_link(&self, key: &str, version_id: Option<&str>, _: &str, _: u32) -> Result<Link, PortError> {
        let url = format!("memory://{key}?versionId={}", version_id.unwrap_or(""));
        Ok(Link { url, method: "GET", headers: BTreeMap::new() })
    }
}
