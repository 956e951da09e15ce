//! Keys and signatures: Ed25519. One message has one signature, so that a signature is as good a link in a chain as a hash.

use crate::merkle::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

/// What comes before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The bytes of a signature.
pub type Signature = Vec<u8>;

/// A public key that checks digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
}

/// What was given is no Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no Ed25519 public key in PEM or DER form")]
pub struct ReadKeyError;

impl PublicKey {
    /// From a DER-encoded `SubjectPublicKeyInfo`.
    pub fn of_der(der: &[u8]) -> Result<Self, ReadKeyError> {
        let is_ed25519 = der.len() == ED25519_SPKI.len() + 32 && der.starts_with(&ED25519_SPKI);
        if is_ed25519 { Ok(Self { der: der.to_vec() }) } else { Err(ReadKeyError) }
    }

    /// From a PEM file, as `openssl pkey -pubout` and `aws kms get-public-key` (after base64) give it.
    pub fn of_pem(text: &str) -> Result<Self, ReadKeyError> {
        let (_, rest) = text.split_once(BEGIN).ok_or(ReadKeyError)?;
        let (body, _) = rest.split_once(END).ok_or(ReadKeyError)?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        Self::of_der(&STANDARD.decode(body).map_err(|_| ReadKeyError)?)
    }

    /// As a PEM file.
    pub fn pem(&self) -> String {
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(&self.der))
    }

    /// Its name: the SHA-256 of its DER form.
    pub fn name(&self) -> String {
        hex(&Sha256::digest(&self.der))
    }

    /// Whether a digest's signature is this key's.
    pub fn verifies(&self, digest: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.der[ED25519_SPKI.len()..]);
        key.verify(signed_message(digest).as_bytes(), signature).is_ok()
    }
}

/// What is signed for a digest: its own purpose, then the digest's hash. The key signs nothing else.
pub fn signed_message(digest: &[u8]) -> String {
    format!("clinchat-audit-seal-1:{}", hex(&Sha256::digest(digest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written_and_nothing_else_is_a_key() {
        let der = [&ED25519_SPKI[..], &[7; 32]].concat();
        let key = PublicKey::of_der(&der).unwrap();
        assert_eq!(PublicKey::of_pem(&key.pem()), Ok(key.clone()));
        assert_eq!(PublicKey::of_pem(&format!("# a remark\r\n{}\r\n", key.pem().replace('\n', "\r\n"))), Ok(key.clone()));
        assert_eq!(key.name().len(), 64);
        for bad in [
            "",
            BEGIN,
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\n€\n-----END PUBLIC KEY-----",
        ] {
            assert_eq!(PublicKey::of_pem(bad), Err(ReadKeyError));
        }
        assert_eq!(PublicKey::of_der(&der[1..]), Err(ReadKeyError));
    }
}
