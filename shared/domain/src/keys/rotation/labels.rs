//! What a rotation remembers, as labels of versions: which key was tried, since when another one has been in its place, and
//! since when it is being revoked. A label is on one version at most, so those with a time have a digest of the version in them.

use crate::keys::KeyVersion;
use crate::text::hexadecimal;
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

/// The provider has accepted the key twice.
pub const TESTED: &str = "TESTED";
const REPLACED: &str = "REPLACED";
const REVOKING: &str = "REVOKING";
const FORMAT: &str = "%Y%m%dT%H%M%SZ";

fn stamped(kind: &str, version: &KeyVersion, now: Timestamp) -> String {
    let time = strtime::format(FORMAT, now.to_zoned(TimeZone::UTC).datetime()).unwrap_or_default();
    // Tokens may begin alike, and two versions may be replaced in the same second.
    let digest = hexadecimal(&Sha256::digest(&version.0)[..6]);
    format!("{kind}-{time}-{digest}")
}

fn time_of(kind: &str, label: &str) -> Option<Timestamp> {
    let time = label.strip_prefix(kind)?.strip_prefix('-')?.split('-').next()?;
    let time = strtime::parse(FORMAT, time).ok()?.to_datetime().ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Another key is in use since now.
pub(super) fn replaced(version: &KeyVersion, now: Timestamp) -> String {
    stamped(REPLACED, version, now)
}

/// The key is used by nobody since now, and is to be revoked.
pub(super) fn revoking(version: &KeyVersion, now: Timestamp) -> String {
    stamped(REVOKING, version, now)
}

/// Since when another key is in use, if this label says so.
pub(super) fn replaced_since(label: &str) -> Option<Timestamp> {
    time_of(REPLACED, label)
}

/// Since when the key is being revoked, if this label says so.
pub(super) fn revoking_since(label: &str) -> Option<Timestamp> {
    time_of(REVOKING, label)
}

/// Whether a label says that a key has been replaced or is being revoked.
pub fn is_ours(label: &str) -> bool {
    replaced_since(label).is_some() || revoking_since(label).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_gives_its_time_back() {
        let now: Timestamp = "2026-11-22T10:15:09Z".parse().unwrap();
        let version = KeyVersion("0f3c-9911-aaaa-bbbb".into());
        let label = replaced(&version, now);
        assert!(label.starts_with("REPLACED-20261122T101509Z-") && label.len() == 38, "{label}");
        assert_ne!(label, replaced(&KeyVersion("0f3c-9911-aaaa-bbbc".into()), now));
        assert_eq!((replaced_since(&label), revoking_since(&label)), (Some(now), None));
        assert_eq!(revoking_since(&revoking(&version, now)), Some(now));
        for other in ["AWSCURRENT", TESTED, "REPLACED", "REPLACED-soon-x", "REPLACED-20261322T101509Z-x"] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
