//! What is signed for each file: where it stands in its tenant's chain, what is in it, and what the whole trail is with it.
//! One content has one text, and reading accepts that text only.

use crate::merkle::{Hash, Peaks, hex, unhex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::TenantId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The version of all of this.
pub const FORMAT: u32 = 1;
/// First bytes of a leaf that are kept for each row, to say which row was changed; that one was changed is the root's to say.
pub const MARK_BYTES: usize = 4;

/// The digest of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Whose trail.
    pub tenant: TenantId,
    /// Which file of it, from 1, without gaps.
    pub file: u64,
    /// The file that it follows, if that is not the one before it by number: what lies between was not written by the seal,
    /// and this says so for good.
    pub follows: Option<u64>,
    /// When it was sealed: never before the file before it, and never before a row in it was written.
    pub time: Timestamp,
    /// Rows up to the file before, and their peaks: appending and checking begin here.
    pub base: Peaks,
    /// How many rows are in the file; they are numbered on from the base.
    pub rows: u64,
    /// SHA-256 of the file's second member, compressed as it lies there.
    pub rows_sha256: Hash,
    /// Its size.
    pub rows_bytes: u64,
    /// The size of its text.
    pub text_bytes: u64,
    /// The first bytes of each row's leaf.
    pub marks: Vec<u8>,
    /// The root of the tenant's whole trail with this file.
    pub root: Hash,
    /// SHA-256 of the digest of the file before, if there is one.
    pub previous: Option<Hash>,
    /// The signature of the digest of the file before.
    pub previous_signature: Vec<u8>,
    /// The name of the key that signed.
    pub key: String,
}

/// The text is no digest, or not the one way to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no digest of a sealed file")]
pub struct ReadDigestError;

/// Wire form. The order of the fields is the order in the text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u32,
    tenant: TenantId,
    file: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    follows: Option<u64>,
    path: String,
    time: Timestamp,
    first: u64,
    last: u64,
    rows_sha256: String,
    rows_bytes: u64,
    text_bytes: u64,
    root: String,
    base: Vec<String>,
    previous: Option<String>,
    previous_signature: String,
    key: String,
    marks: String,
}

impl Digest {
    /// The number of the file of the trail that it follows; 0 if there is none.
    pub fn before(&self) -> u64 {
        self.follows.unwrap_or(self.file.saturating_sub(1))
    }

    /// The number of the file's first row.
    pub const fn first(&self) -> u64 {
        self.base.count() + 1
    }

    /// The number of its last row, which is the count of all rows of the tenant so far.
    pub const fn last(&self) -> u64 {
        self.base.count() + self.rows
    }

    /// The text that is signed, without an end of line.
    pub fn text(&self) -> String {
        let text = Wire {
            format: FORMAT,
            tenant: self.tenant.clone(),
            file: self.file,
            follows: self.follows,
            path: crate::file::key_of(&self.tenant, self.file),
            time: self.time,
            first: self.first(),
            last: self.last(),
            rows_sha256: hex(&self.rows_sha256),
            rows_bytes: self.rows_bytes,
            text_bytes: self.text_bytes,
            root: hex(&self.root),
            base: self.base.hashes().iter().map(|hash| hex(hash)).collect(),
            previous: self.previous.as_ref().map(|hash| hex(hash)),
            previous_signature: STANDARD.encode(&self.previous_signature),
            key: self.key.clone(),
            marks: STANDARD.encode(&self.marks),
        };
        serde_json::to_string(&text).unwrap_or_default()
    }

    /// Reads a text that [`Digest::text`] wrote.
    pub fn read(text: &str) -> Result<Self, ReadDigestError> {
        let read: Wire = serde_json::from_str(text).map_err(|_| ReadDigestError)?;
        let hash = |text: &str| unhex(text).ok_or(ReadDigestError);
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| ReadDigestError);
        let base = read.base.iter().map(|text| hash(text)).collect::<Result<_, _>>()?;
        let before = read.first.checked_sub(1).ok_or(ReadDigestError)?;
        let digest = Self {
            base: Peaks::of(before, base).ok_or(ReadDigestError)?,
            rows: read.last.checked_sub(before).filter(|rows| *rows > 0).ok_or(ReadDigestError)?,
            tenant: read.tenant,
            file: read.file,
            follows: read.follows,
            time: read.time,
            rows_sha256: hash(&read.rows_sha256)?,
            rows_bytes: read.rows_bytes,
            text_bytes: read.text_bytes,
            marks: bytes(&read.marks)?,
            root: hash(&read.root)?,
            previous: read.previous.as_deref().map(hash).transpose()?,
            previous_signature: bytes(&read.previous_signature)?,
            key: read.key,
        };
        let is_apart = digest.follows.is_none_or(|before| before < digest.file - digest.file.min(1));
        let is_whole = digest.marks.len() as u64 == digest.rows.saturating_mul(MARK_BYTES as u64) && digest.file > 0 && is_apart;
        // One content, one text: whatever is not said exactly so was not written by us.
        if is_whole && digest.text() == text { Ok(digest) } else { Err(ReadDigestError) }
    }

    /// SHA-256 of the text: the link of the chain.
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.text()).into()
    }

    /// What is pinned of it.
    pub fn head(&self) -> Head {
        Head {
            tenant: self.tenant.clone(),
            files: self.file,
            count: self.last(),
            root: hex(&self.root),
            time: self.time,
            digest: hex(&self.hash()),
        }
    }
}

/// How far a trail was at some time. Kept where whoever writes the trail cannot reach, it makes a shorter or another trail
/// impossible to pass for this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whose trail.
    pub tenant: TenantId,
    /// How many files.
    pub files: u64,
    /// How many rows.
    pub count: u64,
    /// The root of them all.
    pub root: String,
    /// When the last file was sealed.
    pub time: Timestamp,
    /// SHA-256 of the last file's digest.
    pub digest: String,
}
