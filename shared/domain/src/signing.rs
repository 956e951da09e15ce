//! The port to a key that signs and never leaves where it is kept.

use crate::fault::PortError;
use async_trait::async_trait;

/// Signs messages with one Ed25519 key.
#[async_trait]
pub trait MessageSigner: Send + Sync {
    /// The signature of a message of at most 4,096 bytes. The same message has the same signature.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PortError>;

    /// The public half, as a DER-encoded `SubjectPublicKeyInfo`.
    async fn public_key(&self) -> Result<Vec<u8>, PortError>;
}
