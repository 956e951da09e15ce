//! Wiring of the audit function: settings, clients, the pseudonyms' key, run.

use audit::{Audit, Config};
use lambda_http::{Error, Request, run, service_fn};
use std::time::Duration;

/// Three tries fit into the 28 s that a request may take.
const ATTEMPT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = &Audit::connect(&config, &runtime::aws::sdk_config(ATTEMPT).await).await?;
    run(service_fn(move |request: Request| async move { Ok::<_, Error>(audit::handle(app, &request).await) })).await
}
