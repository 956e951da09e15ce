//! Wiring of the indexer: settings, clients, model, run. The same binary reads one document as a child process.

use aws_lambda_events::event::sqs::SqsEvent;
use indexer::{Config, Indexer};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use std::time::Duration;

/// The longest call reads a document of 50 MiB.
const ATTEMPT: Duration = Duration::from_mins(1);

fn main() -> Result<(), Error> {
    extract::child::run_child_if_asked();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Error> {
    let config = Config::from_env()?;
    runtime::telemetry::init(&config.log_level);
    let app = &Indexer::connect(&config, &runtime::aws::sdk_config(ATTEMPT).await)?;
    run(service_fn(move |event: LambdaEvent<SqsEvent>| async move { indexer::handle(app, event.payload).await })).await
}
