//! Wiring of the seal: settings, clients, run.

use audit_seal::{AuditSeal, Config};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use std::time::Duration;

/// The longest call writes a file of a few megabytes.
const ATTEMPT: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = &AuditSeal::connect(&config, &runtime::aws::sdk_config(ATTEMPT).await);
    let serve =
        |event: LambdaEvent<Value>| async move { audit_seal::handle(app, &event.payload, &event.context.request_id).await };
    run(service_fn(serve)).await
}
