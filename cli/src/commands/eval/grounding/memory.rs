//! An object store in memory, for an index that lives as long as the measurement.

use async_trait::async_trait;
use domain::fault::PortError;
use domain::objects::{Fetched, ObjectHead, ObjectReader, ObjectWriter, WriteCondition};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The last tag given out, and bytes and tag by key.
type Objects = (u64, BTreeMap<String, (Vec<u8>, String)>);

/// Objects in memory.
#[derive(Default)]
pub struct Memory(Mutex<Objects>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectReader for Memory {
    async fn head(&self, _: &str) -> Result<Option<ObjectHead>, PortError> {
        // An index asks for none.
        Ok(None)
    }

    async fn get(&self, key: &str, _: Option<&str>, unless_etag: Option<&str>) -> Result<Fetched, PortError> {
        Ok(match self.lock().1.get(key) {
            None => Fetched::Absent,
            Some((_, etag)) if unless_etag == Some(etag.as_str()) => Fetched::NotModified,
            Some((bytes, etag)) => Fetched::Found { bytes: bytes.clone(), etag: etag.clone() },
        })
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, PortError> {
        Ok(self.lock().1.get(key).map(|(bytes, _)| {
            let end = bytes.len().min(usize::try_from(range.end).unwrap_or(usize::MAX));
            bytes[end.min(usize::try_from(range.start).unwrap_or(usize::MAX))..end].to_vec()
        }))
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        Ok(self.lock().1.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }

    async fn keys_before(&self, _: &str, _: Timestamp) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ObjectWriter for Memory {
    async fn put(&self, key: &str, bytes: Vec<u8>, condition: WriteCondition) -> Result<String, PortError> {
        let mut state = self.lock();
        let there = state.1.get(key).map(|(_, etag)| etag.clone());
        let holds = match condition {
            WriteCondition::Absent => there.is_none(),
            WriteCondition::Matches(etag) => there == Some(etag),
        };
        if !holds {
            return Err(PortError::Conflict { operation: "put" });
        }
        state.0 += 1;
        let etag = state.0.to_string();
        state.1.insert(key.to_owned(), (bytes, etag.clone()));
        Ok(etag)
    }

    async fn remove(&self, key: &str) -> Result<(), PortError> {
        self.lock().1.remove(key);
        Ok(())
    }
}
