//! New identifiers and the time, from the operating system.

use domain::ids::IdSource;
use jiff::Timestamp;
use ulid::Ulid;

/// ULIDs from the operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    fn next(&self, now: Timestamp) -> Ulid {
        let mut random = [0_u8; 16];
        // Without randomness two ids of one millisecond could be equal, and an audit row would be taken for a repeat.
        getrandom::fill(&mut random).expect("the operating system gives randomness");
        Ulid::from_parts(u64::try_from(now.as_millisecond()).unwrap_or(0), u128::from_be_bytes(random))
    }
}

/// The present time.
pub fn now() -> Timestamp {
    Timestamp::now()
}
