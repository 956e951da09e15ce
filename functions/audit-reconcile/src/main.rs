//! Wiring of the reconciliation: settings, clients, run.

use audit_reconcile::{AuditReconcile, Config};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use std::time::Duration;

/// A page of the access log can take some seconds.
const ATTEMPT: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = &AuditReconcile::connect(&config, &runtime::aws::sdk_config(ATTEMPT).await);
    let serve =
        |event: LambdaEvent<Value>| async move { audit_reconcile::handle(app, &event.payload, &event.context.request_id).await };
    run(service_fn(serve)).await
}
