//! A sealed file: digest, signature and rows in one object, so that one conditional write puts all of it into the chain.

use crate::canonical::{Row, line};
use crate::digest::{Digest, MARK_BYTES};
use crate::key::Signature;
use crate::merkle::{Hash, Peaks, leaf};
use crate::verify::Why;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::TenantId;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};

/// Rows in one file: their marks fit into the stored member, and a file into a function's memory many times over.
pub const ROWS_MAX: usize = 4_096;
/// Text in one file, unless a single row is longer: a DynamoDB item has at most 400 KB, so no file's text is over this and that.
pub const TEXT_BYTES_MAX: usize = 8 << 20;
/// What a reader takes at most, whatever a file says of itself.
const READ_BYTES_MAX: u64 = 16 << 20;
/// A whole file at most: what is longer was not written by the seal, and so much of it shows that.
pub const FILE_BYTES_MAX: u64 = READ_BYTES_MAX + MEMBER_BYTES_MAX as u64;
/// Header of a gzip member: deflate, no name, no time, no system.
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last block that is stored, not compressed.
const STORED: u8 = 1;
/// Header, kind of block, length and its complement; checksum and length at the end.
const FRAME: usize = GZIP.len() + 5 + 8;

/// The object's key.
pub fn key_of(tenant: &TenantId, file: u64) -> String {
    format!("trail/{tenant}/{}", file_name(file))
}

/// The name of a tenant's file: sorted by name is sorted by number.
pub fn file_name(file: u64) -> String {
    format!("{file:012}.jsonl.gz")
}

/// A file as it was read. Nothing in it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The text of the digest, as it is signed.
    pub text: String,
    /// What it says.
    pub digest: Digest,
    /// Its signature.
    pub signature: Signature,
    /// The second member.
    pub rows: Vec<u8>,
}

impl File {
    /// The object's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = stored(format!("{}\n{}\n", self.text, STANDARD.encode(&self.signature)).as_bytes());
        bytes.extend_from_slice(&self.rows);
        bytes
    }

    /// SHA-256 of the digest: what the next file points back to.
    pub fn hash(&self) -> Hash {
        Sha256::digest(&self.text).into()
    }

    /// The text of the rows; an error if it is not as long as it is said to be.
    pub fn unpack(&self) -> Result<Vec<u8>, Why> {
        let said = self.digest.text_bytes;
        if said > READ_BYTES_MAX {
            return Err(Why::Malformed);
        }
        let mut text = Vec::with_capacity(said as usize);
        let mut decoder = GzDecoder::new(self.rows.as_slice());
        // One byte more than there should be is enough to know.
        let read = decoder.by_ref().take(said + 1).read_to_end(&mut text);
        if read.is_err() || text.len() as u64 != said { Err(Why::RowsUnreadable { text }) } else { Ok(text) }
    }
}

/// A gzip member that holds bytes as they are. There is one way to write it, so nothing in it can be changed unseen.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    let mut member = Vec::with_capacity(FRAME + bytes.len());
    member.extend_from_slice(&GZIP);
    member.push(STORED);
    member.extend_from_slice(&length.to_le_bytes());
    member.extend_from_slice(&(!length).to_le_bytes());
    member.extend_from_slice(bytes);
    member.extend_from_slice(&crc.sum().to_le_bytes());
    member.extend_from_slice(&u32::from(length).to_le_bytes());
    member
}

/// How long the first member can be: so much of a file says what it is.
pub const MEMBER_BYTES_MAX: usize = FRAME + u16::MAX as usize;

/// The digest at the beginning of a file. Nothing in it is believed yet.
pub fn read_digest(beginning: &[u8]) -> Result<Digest, Why> {
    Ok(read_file(beginning)?.digest)
}

/// Takes a file apart. What it says is checked by `verify`.
pub fn read_file(bytes: &[u8]) -> Result<File, Why> {
    let (Some(low), Some(high)) = (bytes.get(11), bytes.get(12)) else { return Err(Why::Malformed) };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let inside = bytes.get(15..15 + length).ok_or(Why::Malformed)?;
    let member = stored(inside);
    if !bytes.starts_with(&member) {
        return Err(Why::Malformed);
    }
    let lines = std::str::from_utf8(inside).map_err(|_| Why::Malformed)?;
    let (text, rest) = lines.split_once('\n').ok_or(Why::Malformed)?;
    let signature = rest.strip_suffix('\n').filter(|line| !line.contains('\n')).ok_or(Why::Malformed)?;
    let digest = Digest::read(text).map_err(|_| Why::Malformed)?;
    let signature = if signature.is_empty() { return Err(Why::Unsigned) } else { STANDARD.decode(signature) };
    let signature = signature.map_err(|_| Why::Malformed)?;
    Ok(File { text: text.to_owned(), digest, signature, rows: bytes[member.len()..].to_vec() })
}

/// A file that lacks its signature.
#[derive(Debug, Clone)]
pub struct Unsealed {
    /// The text to sign.
    pub text: String,
    digest: Digest,
    rows: Vec<u8>,
    /// The peaks with this file.
    pub peaks: Peaks,
}

impl Unsealed {
    /// With its signature.
    pub fn sealed(self, signature: Signature) -> File {
        File { text: self.text, digest: self.digest, signature, rows: self.rows }
    }
}

/// Makes the file that follows another under a number, of as many rows from the front as fit; at least one. Between the two
/// numbers lies only what the seal has not written.
pub fn build(
    tenant: &TenantId,
    (previous, number): (Option<&File>, u64),
    base: &Peaks,
    rows: &[Row],
    now: Timestamp,
    key: &str,
) -> Unsealed {
    let before = previous.map_or(0, |file| file.digest.file);
    let mut peaks = base.clone();
    let (mut text, mut marks, mut taken) = (String::new(), Vec::new(), 0);
    let mut time = previous.map_or(now, |file| file.digest.time.max(now));
    for row in rows.iter().take(ROWS_MAX) {
        let line = line(peaks.count() + 1, row);
        if taken > 0 && text.len() + line.len() >= TEXT_BYTES_MAX {
            break;
        }
        let leaf = leaf(line.as_bytes());
        marks.extend_from_slice(&leaf[..MARK_BYTES]);
        peaks.push(leaf);
        text.push_str(&line);
        text.push('\n');
        taken += 1;
        // So that a row can only be in files that are not older than itself, whatever the clocks say.
        time = time.max(Timestamp::from_second(row.written).unwrap_or(time));
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into memory does not fail.
    let packed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    let digest = Digest {
        tenant: tenant.clone(),
        file: number,
        follows: (before + 1 < number).then_some(before),
        time,
        base: base.clone(),
        rows: taken,
        rows_sha256: Sha256::digest(&packed).into(),
        rows_bytes: packed.len() as u64,
        text_bytes: text.len() as u64,
        marks,
        root: peaks.root(),
        previous: previous.map(File::hash),
        previous_signature: previous.map(|file| file.signature.clone()).unwrap_or_default(),
        key: key.to_owned(),
    };
    Unsealed { text: digest.text(), digest, rows: packed, peaks }
}

impl Unsealed {
    /// How many rows are in it.
    pub const fn rows(&self) -> u64 {
        self.digest.rows
    }
}

/// The name of the object in which a public key lies.
pub fn public_key_object(name: &str) -> String {
    format!("keys/{name}.pem")
}
