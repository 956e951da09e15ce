//! A signing key in memory, the same one in every run.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::fault::PortError;
use domain::signing::MessageSigner;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::sync::Arc;

/// What comes before the 32 bytes of an Ed25519 key in its DER form.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 key. A clone is the same key.
#[derive(Clone)]
pub struct MemoryKey {
    pair: Arc<Ed25519KeyPair>,
    outage: Outage,
}

impl MemoryKey {
    /// The key of a seed.
    pub fn of_seed(seed: u8) -> Self {
        Self::with_outage(seed, Outage::default())
    }

    /// The key of a seed, whose calls fail when this outage says so.
    pub fn with_outage(seed: u8, outage: Outage) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed of 32 bytes");
        Self { pair: Arc::new(pair), outage }
    }

    /// The signature of a message, at once.
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    /// The public half in DER form, at once.
    pub fn public(&self) -> Vec<u8> {
        [&SPKI[..], self.pair.public_key().as_ref()].concat()
    }
}

#[async_trait]
impl MessageSigner for MemoryKey {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PortError> {
        let answer = self.outage.call("Sign").await?;
        answer.with(self.signature(message))
    }

    async fn public_key(&self) -> Result<Vec<u8>, PortError> {
        let answer = self.outage.call("GetPublicKey").await?;
        answer.with(self.public())
    }
}
