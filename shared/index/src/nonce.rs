//! Keys that nobody else has: an object is pointed at by whoever wrote it, or by nobody. So what an attempt left behind can be
//! removed without a thought for another attempt that might have found it and relied on it.

use domain::ids::{DocumentId, Sequencer, TenantId};
use std::hash::{BuildHasher as _, DefaultHasher, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers for keys: 64 bits that begin at the system's randomness.
pub struct Nonces {
    seed: u64,
    count: AtomicU64,
}

impl Nonces {
    pub fn random() -> Self {
        Self::from_seed(RandomState::new().build_hasher().finish())
    }

    /// The same numbers in every run, for tests.
    pub const fn from_seed(seed: u64) -> Self {
        Self { seed, count: AtomicU64::new(0) }
    }

    fn next(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write_u64(self.count.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }

    /// For a segment. The sequencer comes first, so that a sweep can tell how old it is.
    pub fn segment_key(&self, tenant: &TenantId, document: &DocumentId, sequencer: &Sequencer) -> String {
        let digits = sequencer.as_str().trim_start_matches('0');
        let digits = if digits.is_empty() { "0" } else { digits };
        format!("{}{digits}-{:016x}.seg", document_folder(tenant, document), self.next())
    }

    /// For a pack.
    pub fn pack_key(&self, tenant: &TenantId) -> String {
        format!("index/{tenant}/packs/{:016x}.pack", self.next())
    }
}

/// Where a document's segments are written.
pub fn document_folder(tenant: &TenantId, document: &DocumentId) -> String {
    format!("index/{tenant}/{document}/")
}
