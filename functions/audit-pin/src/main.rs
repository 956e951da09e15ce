//! Wiring of the pin: settings, clients, run.

use audit_pin::{AuditPin, Config};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use std::time::Duration;

/// The longest call reads a file of a few megabytes.
const ATTEMPT: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = &AuditPin::connect(&config, &runtime::aws::sdk_config(ATTEMPT).await);
    run(service_fn(move |event: LambdaEvent<Value>| async move { audit_pin::handle(app, &event.context.request_id).await })).await
}
