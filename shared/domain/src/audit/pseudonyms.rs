//! Keyed pseudonyms (ADR 9): what another system calls a person or a record is never stored, only a digest of it under a
//! key that each tenant has for itself. Whoever knows an identifier and may search the trail finds its events; nobody reads
//! an identifier out of the trail.

use super::{OutsideKind, Pseudonym};
use crate::ids::{SubjectId, TenantId};
use crate::mac::mac;
use std::fmt;

/// Makes pseudonyms. The key shows nowhere.
#[derive(Clone)]
pub struct Pseudonyms {
    key: Vec<u8>,
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}

/// The key is too short to keep anything secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pseudonym key must have at least 32 bytes")]
pub struct ReadKeyError;

impl Pseudonyms {
    /// With the deployment's key, of which each tenant's is derived.
    pub fn new(key: Vec<u8>) -> Result<Self, ReadKeyError> {
        if key.len() < 32 { Err(ReadKeyError) } else { Ok(Self { key }) }
    }

    /// What stands for an identifier of another system.
    pub fn of(&self, tenant: &TenantId, kind: OutsideKind, id: &str) -> Pseudonym {
        Pseudonym::of(&self.digest(tenant, kind.as_str(), &[id.trim().as_bytes()]))
    }

    /// A digest for comparing without keeping: of the content under a client's key, or of that key itself.
    pub fn digest(&self, tenant: &TenantId, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let tenants_key = mac(&self.key, &[b"clinchat audit pseudonym 1", tenant.as_str().as_bytes()]);
        let mut all = vec![purpose.as_bytes()];
        all.extend(parts);
        mac(&tenants_key, &all)
    }
}

/// A person as another system names them, as an agent of ours.
pub(super) fn agent(pseudonym: &Pseudonym) -> SubjectId {
    // A pseudonym has the form of a subject: printable and short.
    SubjectId::parse(pseudonym.as_str()).unwrap_or_else(|_| SubjectId::system("outside"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_person_is_the_same_in_a_tenant_and_somebody_else_in_another() {
        let pseudonyms = Pseudonyms::new(vec![7; 32]).unwrap();
        let (main, west) = (TenantId::parse("main").unwrap(), TenantId::parse("west").unwrap());
        let of = |tenant, kind, id| pseudonyms.of(tenant, kind, id).as_str().to_owned();
        let jane = of(&main, OutsideKind::Patient, "MRN-1001");
        assert_eq!(jane, of(&main, OutsideKind::Patient, " MRN-1001 "));
        assert_ne!(jane, of(&west, OutsideKind::Patient, "MRN-1001"));
        assert_ne!(jane, of(&main, OutsideKind::Account, "MRN-1001"));
        assert_ne!(jane, of(&main, OutsideKind::Patient, "MRN-1002"));
        let other_key = Pseudonyms::new(vec![8; 32]).unwrap();
        assert_ne!(jane, other_key.of(&main, OutsideKind::Patient, "MRN-1001").as_str());
        assert!(!jane.contains("1001"));
    }

    #[test]
    fn parts_do_not_run_into_each_other_and_the_key_does_not_show() {
        let pseudonyms = Pseudonyms::new(vec![7; 32]).unwrap();
        let main = TenantId::parse("main").unwrap();
        assert_ne!(pseudonyms.digest(&main, "key", &[b"ab", b"c"]), pseudonyms.digest(&main, "key", &[b"a", b"bc"]));
        assert_eq!(format!("{pseudonyms:?}"), "Pseudonyms");
        assert!(Pseudonyms::new(vec![7; 31]).is_err());
    }
}
