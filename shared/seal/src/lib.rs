//! The audit trail, sealed: what the audit table's stream says, as signed, chained, write-once files that anybody with the
//! public key can check on a laptop. Bytes in, bytes out; stores and keys are ports.
//!
//! Order of reading: `canonical` (a row as bytes), `merkle` (many rows as one hash), `digest` (what is signed), `file` (both
//! in one object), `key`, then `append` (exactly once into the chain), `verify` and `proof`.
//!
//! ```text
//! trail/{tenant}/{number}.jsonl.gz     a gzip file of two members; `zcat` shows it whole:
//!   member 1, stored     line 1: the digest (JSON)      line 2: its signature (base64)
//!   member 2, deflated   one line for each row: {"seq":1,"written":1767600000,"row":{...}}
//! keys/{key}.pem                       the public keys, named by the SHA-256 of what is in them
//! ```

mod append;
mod canonical;
mod digest;
mod file;
mod key;
mod merkle;
mod proof;
mod trust;
mod verify;

pub use append::{Chains, SealRowsError, Sealed, Sealer, count_files};
pub use canonical::{Row, canonical_row, line, row_of_image};
pub use digest::{Digest, Head, ReadDigestError};
pub use file::{
    FILE_BYTES_MAX, File, MEMBER_BYTES_MAX, ROWS_MAX, Unsealed, build, file_name, key_of, public_key_object, read_digest,
    read_file,
};
pub use key::{PublicKey, ReadKeyError, Signature, signed_message};
pub use merkle::{Hash, Peaks, RangeRoots, hex, leaf, node, path_ranges, unhex, verify_path};
pub use proof::{CheckProofError, Proof, Prover, event_of_line};
pub use trust::trusted_keys;
pub use verify::{Finding, FolderError, Report, Start, TrailVerifier, Why};
