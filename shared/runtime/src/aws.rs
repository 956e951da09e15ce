//! One AWS configuration, one HTTP client (rustls on ring, ADR 3) for all SDK clients of a function.

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};
use aws_types::SdkConfig;
use aws_types::region::Region;
use std::time::Duration;

/// A connection inside a region takes single milliseconds; more means that it will not come.
const CONNECT: Duration = Duration::from_secs(2);
/// First try and two more: what fails three times in a row is not a blip, and the queue or the caller tries again.
pub const ATTEMPTS: u32 = 3;

/// Reads region, credentials and endpoint from the environment, as the platform sets them. `attempt` bounds one try of one
/// call; [`ATTEMPTS`] of them should fit into the function's own timeout, so that a hung call ends as an error and not as a
/// killed function.
pub async fn sdk_config(attempt: Duration) -> SdkConfig {
    let http = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(attempt).build())
        .load()
        .await
}

/// Nobody to sign requests as.
#[derive(Debug, thiserror::Error)]
#[error(
    "there are no AWS credentials here: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY \
     (those of the local stack are in .local/root-key.json)"
)]
pub struct NoCredentialsError;

/// The same for a stack that is named, with the credentials of the environment: for the command line.
pub async fn sdk_config_of(attempt: Duration, region: &str, endpoint: Option<&str>) -> Result<SdkConfig, NoCredentialsError> {
    let config = sdk_config(attempt).await;
    // Asked once, first: otherwise every call would say that its service is unavailable.
    match config.credentials_provider() {
        Some(provider) => provider.provide_credentials().await.map_err(|_| NoCredentialsError)?,
        None => return Err(NoCredentialsError),
    };
    let config = config.into_builder().region(Region::new(region.to_owned()));
    Ok(match endpoint {
        Some(endpoint) => config.endpoint_url(endpoint).build(),
        None => config.build(),
    })
}
