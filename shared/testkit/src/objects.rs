//! An object store in memory: tags, conditional writes, removal. Linearizable: one lock.

use async_trait::async_trait;
use domain::fault::PortError;
use domain::objects::{Fetched, Link, LinkSigner, ObjectHead, ObjectReader, ObjectWriter, UploadTerms, WriteCondition};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Clone)]
struct Stored {
    bytes: Vec<u8>,
    serial: u64,
    metadata: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    serial: u64,
    objects: BTreeMap<String, Stored>,
    /// Calls still allowed before the store begins to fail; `None` is forever.
    calls_left: Option<u64>,
}

/// An object store in memory.
#[derive(Default)]
pub struct MemoryObjects(Mutex<State>);

impl MemoryObjects {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admitted(&self, operation: &'static str) -> Result<MutexGuard<'_, State>, PortError> {
        let mut state = self.state();
        match &mut state.calls_left {
            Some(0) => return Err(PortError::Unavailable { operation, code: "injected".into() }),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(state)
    }

    /// Lets `calls` more calls through and fails every one after them: a crash between any two steps.
    pub fn fail_after(&self, calls: Option<u64>) {
        self.state().calls_left = calls;
    }

    /// Puts an object as a client would.
    pub fn upload(&self, key: &str, bytes: &[u8], metadata: &[(&str, &str)]) {
        let mut state = self.state();
        state.serial += 1;
        let metadata = metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let stored = Stored { bytes: bytes.to_vec(), serial: state.serial, metadata };
        state.objects.insert(key.to_owned(), stored);
    }

    /// Changes stored bytes behind everyone's back: damage at rest.
    pub fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(stored) = self.state().objects.get_mut(key) {
            change(&mut stored.bytes);
        }
    }

    /// The keys.
    pub fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }
}

#[async_trait]
impl ObjectReader for MemoryObjects {
    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, PortError> {
        let state = self.admitted("HeadObject")?;
        Ok(state.objects.get(key).map(|o| ObjectHead {
            etag: o.serial.to_string(),
            version_id: Some(format!("v{}", o.serial)),
            size_bytes: o.bytes.len() as u64,
            media_type: None,
            metadata: o.metadata.clone(),
        }))
    }

    async fn get(&self, key: &str, version_id: Option<&str>, unless_etag: Option<&str>) -> Result<Fetched, PortError> {
        let state = self.admitted("GetObject")?;
        let found = state.objects.get(key).filter(|o| version_id.is_none_or(|v| v == format!("v{}", o.serial)));
        Ok(match found {
            None => Fetched::Absent,
            Some(o) if unless_etag == Some(o.serial.to_string().as_str()) => Fetched::NotModified,
            Some(o) => Fetched::Found { bytes: o.bytes.clone(), etag: o.serial.to_string() },
        })
    }
}

#[async_trait]
impl ObjectWriter for MemoryObjects {
    async fn put(&self, key: &str, bytes: Vec<u8>, condition: WriteCondition) -> Result<String, PortError> {
        let mut state = self.admitted("PutObject")?;
        let holds = match (&condition, state.objects.get(key)) {
            (WriteCondition::Absent, present) => present.is_none(),
            (WriteCondition::Matches(etag), Some(o)) => o.serial.to_string() == *etag,
            (WriteCondition::Matches(_), None) => false,
        };
        if !holds {
            return Err(PortError::Conflict { operation: "PutObject" });
        }
        state.serial += 1;
        let serial = state.serial;
        state.objects.insert(key.to_owned(), Stored { bytes, serial, metadata: BTreeMap::new() });
        Ok(serial.to_string())
    }

    async fn remove(&self, key: &str) -> Result<(), PortError> {
        self.admitted("DeleteObject")?.objects.remove(key);
        Ok(())
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
