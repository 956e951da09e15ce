//! AWS KMS: signatures by a key that never leaves the service, codes by another, and what is sealed with keys made of such a code.

mod cipher;
mod code;

pub use cipher::KmsCipher;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use aws_types::SdkConfig;
use domain::fault::PortError;
use domain::signing::MessageSigner;

/// One signing key.
#[derive(Debug, Clone)]
pub struct KmsKey {
    client: Client,
    id: String,
}

impl KmsKey {
    /// A key by id, ARN or alias.
    pub fn new(config: &SdkConfig, id: String) -> Self {
        Self { client: Client::new(config), id }
    }
}

/// What an SDK failure means. Carries the service's code, never its message.
fn port_error<E: ProvideErrorMetadata>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError {
    let code = error.code().unwrap_or("no answer").to_owned();
    match code.as_str() {
        // The key is switched off, on its way out, or not ours: no repeat mends that, an operator does.
        "AccessDeniedException"
        | "DisabledException"
        | "KMSInvalidStateException"
        | "NotFoundException"
        | "InvalidKeyUsageException"
        | "ValidationException" => PortError::Unexpected { operation, code },
        _ => PortError::Unavailable { operation, code },
    }
}

#[async_trait]
impl MessageSigner for KmsKey {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PortError> {
        let request = self.client.sign().key_id(&self.id).message(Blob::new(message)).message_type(MessageType::Raw);
        let answer = request.signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512).send().await;
        let answer = answer.map_err(|error| port_error("Sign", &error))?;
        answer.signature.map(Blob::into_inner).ok_or_else(|| PortError::Unexpected { operation: "Sign", code: "empty".into() })
    }

    async fn public_key(&self) -> Result<Vec<u8>, PortError> {
        const OPERATION: &str = "GetPublicKey";
        let answer = self.client.get_public_key().key_id(&self.id).send().await;
        let answer = answer.map_err(|error| port_error(OPERATION, &error))?;
        let key = answer.public_key.map(Blob::into_inner);
        key.ok_or_else(|| PortError::Unexpected { operation: OPERATION, code: "empty".into() })
    }
}
