//! One secret with its versions and labels, for the rotation. The service's own rules are the ones that the port promises: a
//! token with another text is refused, a label moves only from where it is.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_types::SdkConfig;
use domain::fault::PortError;
use domain::keys::KeyVersion;
use domain::keys::secret::{SecretError, SecretState, SecretStore, SecretText, VersionState};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The service lists so many versions at once, and keeps no more.
const VERSIONS_MAX: i32 = 100;

/// A secret by its name or ARN.
#[derive(Debug, Clone)]
pub struct ManagedSecret {
    client: Client,
    secret: String,
}

impl ManagedSecret {
    /// A secret by its name or ARN.
    pub fn new(config: &SdkConfig, secret: String) -> Self {
        Self { client: Client::new(config), secret }
    }
}

/// What a failure means. Its message is looked at for one word and never repeated.
fn secret_error<E: ProvideErrorMetadata>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> SecretError {
    let code = error.code().unwrap_or("no answer").to_owned();
    let says = |word: &str| error.message().is_some_and(|message| message.contains(word));
    match code.as_str() {
        "ResourceNotFoundException" => SecretError::Missing,
        "InvalidRequestException" if says("deletion") => SecretError::Deleted,
        "ResourceExistsException" => SecretError::Taken,
        "LimitExceededException" => SecretError::Full,
        "AccessDeniedException"
        | "DecryptionFailure"
        | "EncryptionFailure"
        | "InvalidRequestException"
        | "InvalidParameterException"
        | "ValidationException" => SecretError::Port(PortError::Unexpected { operation, code }),
        _ => SecretError::Port(PortError::Unavailable { operation, code }),
    }
}

fn time(at: Option<&aws_sdk_secretsmanager::primitives::DateTime>) -> Timestamp {
    at.and_then(|at| Timestamp::from_second(at.secs()).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[async_trait]
impl SecretStore for ManagedSecret {
    async fn describe(&self) -> Result<SecretState, SecretError> {
        let described = self.client.describe_secret().secret_id(&self.secret).send().await;
        let described = described.map_err(|error| secret_error("DescribeSecret", &error))?;
        let mut versions = BTreeMap::new();
        if let Some(stages) = described.version_ids_to_stages() {
            for (version, labels) in stages.iter().filter(|(_, labels)| !labels.is_empty()) {
                let state = VersionState { labels: labels.iter().cloned().collect(), created: Timestamp::UNIX_EPOCH };
                versions.insert(KeyVersion(version.clone()), state);
            }
        }
        let is_deleted = described.deleted_date().is_some();
        if !is_deleted && !versions.is_empty() {
            // When each was stored is told by another call only. The labels are those of the first: one moment.
            let listed = self.client.list_secret_version_ids().secret_id(&self.secret).max_results(VERSIONS_MAX).send().await;
            let listed = listed.map_err(|error| secret_error("ListSecretVersionIds", &error))?;
            for entry in listed.versions() {
                let known = entry.version_id().and_then(|id| versions.get_mut(&KeyVersion(id.to_owned())));
                if let Some(known) = known {
                    known.created = time(entry.created_date());
                }
            }
        }
        Ok(SecretState { versions, is_rotation_enabled: described.rotation_enabled().unwrap_or(false), is_deleted })
    }

    async fn read(&self, version: &KeyVersion) -> Result<Option<SecretText>, SecretError> {
        let got = self.client.get_secret_value().secret_id(&self.secret).version_id(&version.0).send().await;
        match got {
            Ok(value) => Ok(value.secret_string().map(|text| SecretText::new(text.to_owned()))),
            Err(error) => match secret_error("GetSecretValue", &error) {
                // No such version, or one that has no text yet.
                SecretError::Missing => Ok(None),
                other => Err(other),
            },
        }
    }

    async fn put(&self, version: &KeyVersion, text: &SecretText, label: &str) -> Result<(), SecretError> {
        let put = self.client.put_secret_value().secret_id(&self.secret).client_request_token(&version.0);
        let put = put.secret_string(text.expose()).version_stages(label).send().await;
        put.map(|_| ()).map_err(|error| secret_error("PutSecretValue", &error))
    }

    async fn move_label(&self, label: &str, from: Option<&KeyVersion>, to: Option<&KeyVersion>) -> Result<(), SecretError> {
        let mut update = self.client.update_secret_version_stage().secret_id(&self.secret).version_stage(label);
        if let Some(from) = from {
            update = update.remove_from_version_id(&from.0);
        }
        if let Some(to) = to {
            update = update.move_to_version_id(&to.0);
        }
        update.send().await.map(|_| ()).map_err(|error| match error.code() {
            // The only parameter that can be wrong is where the label is.
            Some("InvalidParameterException") => SecretError::Moved,
            _ => secret_error("UpdateSecretVersionStage", &error),
        })
    }
}
