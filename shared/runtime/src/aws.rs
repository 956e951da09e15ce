//! One AWS configuration, one HTTP client (rustls on ring, ADR 3) for all SDK clients of a function.

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};
use aws_types::SdkConfig;
use std::time::Duration;

/// A connection inside a region takes single milliseconds; more means that it will not come.
const CONNECT: Duration = Duration::from_secs(2);
/// One attempt at one call. The longest regular one is a document of 50 MiB.
const ATTEMPT: Duration = Duration::from_secs(20);
/// First try and two more: what fails three times in a row is not a blip, and the queue or the caller tries again.
const ATTEMPTS: u32 = 3;

/// Reads region, credentials and endpoint from the environment, as the platform sets them.
pub async fn sdk_config() -> SdkConfig {
    let http = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build())
        .load()
        .await
}
