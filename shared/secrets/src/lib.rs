//! Keys of providers, from Secrets Manager. A value is read at most once a minute, and at once after a provider has refused
//! it; then the pending and the previous version are tried as well, so that no question fails while a key is being changed.
//! `store` is the same secret as the rotation sees it.

mod store;

pub use store::ManagedSecret;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use aws_types::SdkConfig;
use domain::fault::PortError;
use domain::keys::secret::{KeyBody, SecretText};
use domain::keys::{ApiKey, Key, KeyRing, KeyVersion, SecretStage};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a key is used before it is asked whether there is a newer one: a rotation reaches every function within this time.
const FRESH: Duration = Duration::from_mins(1);
const OPERATION: &str = "GetSecretValue key";

/// One provider's secret. Its value is the key itself, or `{"api_key": "..."}`, maybe with the key's name.
pub struct SecretKeyRing {
    client: Client,
    secret: String,
    known: Mutex<Option<(Key, Instant)>>,
}

impl SecretKeyRing {
    /// A secret by its name or ARN.
    pub fn new(config: &SdkConfig, secret: String) -> Self {
        Self { client: Client::new(config), secret, known: Mutex::default() }
    }

    /// What is in a stage; nothing if no version is, or if it holds no key.
    async fn read(&self, stage: SecretStage) -> Result<Option<Key>, PortError> {
        let get = self.client.get_secret_value().secret_id(&self.secret).version_stage(stage.as_str());
        match get.send().await {
            Ok(value) => Ok(value.secret_string().and_then(key_of).and_then(|key| {
                let version = KeyVersion(value.version_id()?.to_owned());
                Some(Key { version, value: key })
            })),
            Err(error) => {
                let code = error.code().unwrap_or("no answer").to_owned();
                match code.as_str() {
                    // No secret, or no version in this stage.
                    "ResourceNotFoundException" => Ok(None),
                    "AccessDeniedException" | "DecryptionFailure" | "InvalidRequestException" | "InvalidParameterException" => {
                        Err(PortError::Unexpected { operation: OPERATION, code })
                    }
                    _ => Err(PortError::Unavailable { operation: OPERATION, code }),
                }
            }
        }
    }

    fn known(&self) -> Option<(Key, Instant)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn know(&self, key: &Key) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((key.clone(), Instant::now()));
    }
}

/// The key in a secret's text.
fn key_of(text: &str) -> Option<ApiKey> {
    KeyBody::parse(&SecretText::new(text.to_owned())).ok().map(|body| body.key)
}

#[async_trait]
impl KeyRing for SecretKeyRing {
    async fn current(&self) -> Result<Key, PortError> {
        let known = self.known();
        if let Some((key, _)) = known.as_ref().filter(|(_, read)| read.elapsed() < FRESH) {
            return Ok(key.clone());
        }
        match (self.read(SecretStage::Current).await, known) {
            (Ok(Some(key)), _) => {
                self.know(&key);
                Ok(key)
            }
            (Ok(None), _) => Err(PortError::Unexpected { operation: OPERATION, code: "no key".into() }),
            // A key that was good a minute ago is better than none.
            (Err(PortError::Unavailable { .. }), Some((key, _))) => Ok(key),
            (Err(error), _) => Err(error),
        }
    }

    async fn after(&self, refused: &[KeyVersion]) -> Result<Option<Key>, PortError> {
        for stage in SecretStage::ALL {
            if let Some(key) = self.read(stage).await?.filter(|key| !refused.contains(&key.version)) {
                // It is kept like any other: if it is refused, too, the next look begins again with the current one.
                self.know(&key);
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_plain_or_in_its_field_and_nothing_else_is_one() {
        let read = |text: &str| key_of(text).map(|key| key.expose().to_owned());
        assert_eq!(read("AIza-1\n").as_deref(), Some("AIza-1"));
        assert_eq!(read("{\"api_key\": \" gsk_1 \"}").as_deref(), Some("gsk_1"));
        assert_eq!(read("{\"api_key\": \"a\\u002d1\", \"label\": \"x\"}").as_deref(), Some("a-1"));
        for nothing in ["", "  ", "{}", "{\"api_key\": \"\"}", "{\"key\": \"x\"}", "[\"x\"]", "{\"api_key\": 5}", "{broken"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }
}
