//! A ring of keys in memory.

use async_trait::async_trait;
use domain::fault::PortError;
use domain::keys::{ApiKey, Key, KeyRing, KeyVersion};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The keys of a secret in the order in which they are tried. A clone is the same ring.
#[derive(Clone, Default)]
pub struct MemoryKeyRing {
    ring: Arc<Mutex<Ring>>,
}

#[derive(Default)]
struct Ring {
    /// What the store has.
    stored: Vec<Key>,
    /// What was last read.
    read: Option<Key>,
    reads: usize,
}

impl MemoryKeyRing {
    /// A ring of these keys: current, pending, previous.
    pub fn of(values: &[&str]) -> Self {
        let ring = Self::default();
        ring.put(values);
        ring
    }

    /// Changes what the store has. What was read before is not affected.
    pub fn put(&self, values: &[&str]) {
        let key = |value: &&str| Key { version: KeyVersion(format!("version-of-{value}")), value: ApiKey::new(value) };
        self.lock().stored = values.iter().map(key).collect();
    }

    /// How often the store was read.
    pub fn reads(&self) -> usize {
        self.lock().reads
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyRing for MemoryKeyRing {
    async fn current(&self) -> Result<Key, PortError> {
        let mut ring = self.lock();
        if ring.read.is_none() {
            ring.reads += 1;
            ring.read = ring.stored.first().cloned();
        }
        ring.read.clone().ok_or(PortError::Unexpected { operation: "GetSecretValue", code: "empty".into() })
    }

    async fn after(&self, refused: &[KeyVersion]) -> Result<Option<Key>, PortError> {
        let mut ring = self.lock();
        ring.reads += 1;
        let next = ring.stored.iter().find(|key| !refused.contains(&key.version)).cloned();
        if next.is_some() {
            ring.read.clone_from(&next);
        }
        Ok(next)
    }
}
