//! Fakes that keep the ports' promises in memory, and fixtures. Fakes, not mocks: they behave, they do not expect.

mod admissions;
mod alert_memory;
mod conversations;
mod keys;
mod ledger;
mod objects;
mod outage;
mod provider_keys;
mod registry;
mod secret;
mod signer;
mod simple;
mod trail;

pub use admissions::{MemoryAdmissions, MemoryBreakers};
pub use alert_memory::MemoryAlertMemory;
pub use conversations::MemoryConversations;
pub use keys::MemoryKeyRing;
pub use ledger::MemoryLedger;
pub use objects::MemoryObjects;
pub use outage::{Outage, wait};
pub use provider_keys::MemoryProvider;
pub use registry::MemoryRegistry;
pub use secret::{MemoryRefusals, MemorySecret, MemoryTold, Witness};
pub use signer::MemoryKey;
pub use simple::{
    CountingIds, FixedExtractor, KnownIdentifiers, MemoryAlerts, MemoryAuditLog, WordEmbedder, context, document_of_paragraphs,
    fixed_now,
};
pub use trail::{MemoryTrail, trail_row};
