//! Wiring of the alerts: settings, clients, rules, run.

use audit_alerts::{AuditAlerts, Config};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use std::time::Duration;

/// Three tries fit into the minute that a batch may take.
const ATTEMPT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = &AuditAlerts::connect(&config, &runtime::aws::sdk_config(ATTEMPT).await)?;
    run(service_fn(move |event: LambdaEvent<Value>| async move { audit_alerts::handle(app, &event.payload).await })).await
}
