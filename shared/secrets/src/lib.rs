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
use domain::keys::{Key, KeyRing, KeyVersion, MALFORMED_KEY, NO_KEY, SecretStage};
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

    /// What is in a stage.
    async fn read(&self, stage: SecretStage) -> Result<Found, PortError> {
        let get = self.client.get_secret_value().secret_id(&self.secret).version_stage(stage.as_str());
        match get.send().await {
            Ok(value) => Ok(found(value.version_id(), value.secret_string())),
            Err(error) => {
                let code = error.code().unwrap_or("no answer").to_owned();
                match code.as_str() {
                    // No secret, or no version in this stage.
                    "ResourceNotFoundException" => Ok(Found::Nothing),
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

/// What a stage holds.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Key(Key),
    /// Something else than a key, which is no better than a key that is refused.
    Malformed,
    Nothing,
}

fn found(version: Option<&str>, text: Option<&str>) -> Found {
    let (Some(version), Some(text)) = (version, text) else { return Found::Nothing };
    match KeyBody::parse(&SecretText::new(text.to_owned())) {
        Ok(body) => Found::Key(Key { version: KeyVersion(version.to_owned()), value: body.key }),
        Err(_) => Found::Malformed,
    }
}

#[async_trait]
impl KeyRing for SecretKeyRing {
    async fn current(&self) -> Result<Key, PortError> {
        let known = self.known();
        if let Some((key, _)) = known.as_ref().filter(|(_, read)| read.elapsed() < FRESH) {
            return Ok(key.clone());
        }
        match (self.read(SecretStage::Current).await, known) {
            (Ok(Found::Key(key)), _) => {
                self.know(&key);
                Ok(key)
            }
            (Ok(Found::Nothing), _) => Err(PortError::Unexpected { operation: OPERATION, code: NO_KEY.into() }),
            (Ok(Found::Malformed), _) => Err(PortError::Unexpected { operation: OPERATION, code: MALFORMED_KEY.into() }),
            // A key that was good a minute ago is better than none.
            (Err(PortError::Unavailable { .. }), Some((key, _))) => Ok(key),
            (Err(error), _) => Err(error),
        }
    }

    async fn after(&self, refused: &[KeyVersion]) -> Result<Option<Key>, PortError> {
        for stage in SecretStage::ALL {
            if let Found::Key(key) = self.read(stage).await?
                && !refused.contains(&key.version)
            {
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
        let read = |text: &str| match found(Some("v1"), Some(text)) {
            Found::Key(key) => Some(key.value.expose().to_owned()),
            Found::Malformed | Found::Nothing => None,
        };
        assert_eq!(read("AIza-1\n").as_deref(), Some("AIza-1"));
        assert_eq!(read("{\"api_key\": \" gsk_1 \"}").as_deref(), Some("gsk_1"));
        assert_eq!(read("{\"api_key\": \"a\\u002d1\", \"label\": \"x\"}").as_deref(), Some("a-1"));
        for nothing in ["", "  ", "{}", "{\"api_key\": \"\"}", "{\"key\": \"x\"}", "[\"x\"]", "{\"api_key\": 5}", "{broken"] {
            assert_eq!(found(Some("v1"), Some(nothing)), Found::Malformed, "{nothing}");
        }
    }
}
