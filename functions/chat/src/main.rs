//! Wiring of the chat function: settings, clients, model, run.

use chat::{Chat, Config};
use lambda_http::Error;
use std::sync::Arc;
use std::time::Duration;

/// Three tries fit into the 28 s that an answer may take.
const ATTEMPT: Duration = Duration::from_secs(6);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = Arc::new(Chat::connect(&config, &runtime::aws::sdk_config(ATTEMPT).await)?);
    app.prime(config.default_tenant.as_ref()).await;
    let app = &app;
    api::serve(move |request| async move { chat::reply(app, request).await }).await
}
