//! Wiring of the rotation: settings, clients, run.

use key_rotation::{Config, Rotations};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use std::time::Duration;

/// Three tries of a call to Secrets Manager and a dozen calls fit into the function's five minutes.
const ATTEMPT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = &Rotations::connect(&config, &runtime::aws::sdk_config(ATTEMPT).await)?;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        key_rotation::handle(app, &event.payload, &event.context.request_id).await
    }))
    .await
}
