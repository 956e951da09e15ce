//! Proof that one row is in the trail, for somebody who has nothing but this and the public key: the row, the hashes on its
//! way to the root, and the signed digest that names the root. Its size grows with the logarithm of the trail.

use crate::digest::{Digest, Head};
use crate::file::File;
use crate::key::PublicKey;
use crate::merkle::{Hash, RangeRoots, hex, leaf, unhex, verify_path};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the format.
const FORMAT: &str = "clinchat-audit-proof-1";

/// A proof as it is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// `clinchat-audit-proof-1`.
    pub format: String,
    /// Whose trail.
    pub tenant: TenantId,
    /// The event's id.
    pub id: String,
    /// Its number.
    pub seq: u64,
    /// The row's line, as it is hashed.
    pub row: String,
    /// How many rows the trail has under this root.
    pub count: u64,
    /// Hashes from the row's neighbour up to the root's child, hexadecimal.
    pub path: Vec<String>,
    /// The digest that names the root, as it is signed.
    pub digest: String,
    /// Its signature, base64.
    pub signature: String,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckProofError {
    /// Not in the form of a proof.
    #[error("this is no proof in the form that `clinchat audit prove` writes")]
    Malformed,
    /// Signed with a key that was not given.
    #[error("the digest names a key that was not given")]
    UnknownKey,
    /// The digest is not the one that was signed.
    #[error("the signature does not fit the digest")]
    BadSignature,
    /// Tenant, id, number or count are not those of the row and the digest.
    #[error("what the proof says of the row is not what the row says")]
    OtherRow,
    /// The row is not under the root.
    #[error("the row is not in the tree whose root was signed")]
    NotIncluded,
    /// The signed root is not the pinned one.
    #[error("the root is not the pinned head's")]
    OtherThanHead,
}

impl Proof {
    /// Checks everything that the proof says.
    pub fn check(&self, keys: &[PublicKey], head: Option<&Head>) -> Result<(), CheckProofError> {
        if self.format != FORMAT {
            return Err(CheckProofError::Malformed);
        }
        let digest = Digest::read(&self.digest).map_err(|_| CheckProofError::Malformed)?;
        let signature = STANDARD.decode(&self.signature).map_err(|_| CheckProofError::Malformed)?;
        let key = keys.iter().find(|key| key.name() == digest.key).ok_or(CheckProofError::UnknownKey)?;
        if !key.verifies(self.digest.as_bytes(), &signature) {
            return Err(CheckProofError::BadSignature);
        }
        let says = event_of_line(self.row.as_bytes()).is_some_and(|event| event == (self.seq, self.id.clone()));
        if !says || digest.tenant != self.tenant || digest.last() != self.count {
            return Err(CheckProofError::OtherRow);
        }
        let path: Option<Vec<Hash>> = self.path.iter().map(|text| unhex(text)).collect();
        let path = path.ok_or(CheckProofError::Malformed)?;
        let index = self.seq.checked_sub(1).ok_or(CheckProofError::OtherRow)?;
        if !verify_path(leaf(self.row.as_bytes()), index, self.count, &path, &digest.root) {
            return Err(CheckProofError::NotIncluded);
        }
        if head.is_some_and(|head| *head != digest.head()) { Err(CheckProofError::OtherThanHead) } else { Ok(()) }
    }
}

/// Number and id of a row's line.
pub fn event_of_line(line: &[u8]) -> Option<(u64, String)> {
    let read: Value = serde_json::from_slice(line).ok()?;
    Some((read["seq"].as_u64()?, read["row"]["sk"]["S"].as_str()?.to_owned()))
}

/// Makes a proof from the rows of a trail, which pass by once.
pub struct Prover {
    seq: u64,
    ranges: RangeRoots,
    row: Option<String>,
}

impl Prover {
    /// For a row of a trail with so many rows.
    pub fn new(seq: u64, count: u64) -> Self {
        Self { seq, ranges: RangeRoots::of_path(seq.saturating_sub(1), count), row: None }
    }

    /// The next row.
    pub fn row(&mut self, seq: u64, line: &[u8], leaf: Hash) {
        if seq == self.seq {
            self.row = std::str::from_utf8(line).ok().map(str::to_owned);
        }
        self.ranges.push(leaf);
    }

    /// The proof under the last file's digest; `None` if the row did not pass by.
    pub fn finish(self, last: &File) -> Option<Proof> {
        let row = self.row?;
        let (seq, id) = event_of_line(row.as_bytes())?;
        Some(Proof {
            format: FORMAT.to_owned(),
            tenant: last.digest.tenant.clone(),
            id,
            seq,
            row,
            count: last.digest.last(),
            path: self.ranges.roots().iter().map(|hash| hex(hash)).collect(),
            digest: last.text.clone(),
            signature: STANDARD.encode(&last.signature),
        })
    }
}
