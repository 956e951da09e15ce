//! The chat function over fakes, on a Runtime API: `chat-in-memory PLAN`, the plan as JSON. Before each answer it prints what is
//! in its books and its trail as one line of JSON, so that a test sees what the answer before has left behind.

use anyhow::{Context as _, Result, anyhow};
use serde_json::json;
use std::io::Write as _;
use tests::hospital::{Hospital, Plan};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let plan: Plan = serde_json::from_str(&std::env::args().nth(1).context("a plan")?)?;
    let hospital = &Hospital::build(&plan).await?;
    let handle = move |request| async move {
        if let Err(error) = show(hospital).await {
            eprintln!("{error}");
        }
        chat::reply(&hospital.chat, request).await
    };
    api::serve(handle).await.map_err(|error| anyhow!("{error}"))
}

async fn show(hospital: &Hospital) -> Result<()> {
    let attempts = hospital.attempts().await?;
    let attempts: Vec<_> = attempts.iter().map(|row| json!({ "outcome": row.outcome.as_str(), "cost": row.cost })).collect();
    let trail = hospital.audit.events();
    let trail: Vec<_> = trail.iter().map(|event| json!([event.event_type, event.outcome.as_str(), event.details])).collect();
    println!("{}", json!({ "attempts": attempts, "trail": trail }));
    Ok(std::io::stdout().flush()?)
}
