//! Wiring of the documents function: settings, clients, run.

use documents::{Config, Documents};
use lambda_http::{Error, Request, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = &Documents::connect(&config, &runtime::aws::sdk_config().await);
    run(service_fn(move |request: Request| async move { Ok::<_, Error>(documents::handle(app, &request).await) })).await
}
