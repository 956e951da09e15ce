//! Codes by a key that only KMS has: the same text has the same code, and nobody can make one without the key.

use crate::{KmsKey, port_error};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::MacAlgorithmSpec;
use domain::fault::PortError;

impl KmsKey {
    /// The HMAC-SHA-256 of a text of ours under this key.
    pub async fn code(&self, message: &[u8]) -> Result<Vec<u8>, PortError> {
        const OPERATION: &str = "GenerateMac";
        let request = self.client.generate_mac().key_id(&self.id).message(Blob::new(message));
        let answer = request.mac_algorithm(MacAlgorithmSpec::HmacSha256).send().await;
        let code = answer.map_err(|error| port_error(OPERATION, &error))?.mac.map(Blob::into_inner);
        code.ok_or_else(|| PortError::Unexpected { operation: OPERATION, code: "empty".into() })
    }
}
