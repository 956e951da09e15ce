//! Wiring of the admin function: settings, clients, run.

use admin::{Admin, Config};
use lambda_http::{Error, Request, run, service_fn};
use std::time::Duration;

/// Three tries fit into the 15 s that a request may take.
const ATTEMPT: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = &Admin::connect(&config, &runtime::aws::sdk_config(ATTEMPT).await);
    run(service_fn(move |request: Request| async move { Ok::<_, Error>(admin::handle(app, &request).await) })).await
}
