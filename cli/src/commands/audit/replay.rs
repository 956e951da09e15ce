//! `audit replay`: rows of the audit table in the form of the table's stream, for the seal, when the stream has lost them.

use super::Replay;
use crate::display::Screen;
use crate::display::measure::count;
use crate::outcome::Outcome;
use crate::profile::Found;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use store::AuditRows;

const ATTEMPT: Duration = Duration::from_mins(1);
/// A row says by its writer's clock when it was written. The seal looks for it in older files as well, so a row that is said to
/// be older than it is costs a look; a younger one could be sealed twice.
const CLOCKS_APART_S: i64 = 86_400;

/// Writes the batches.
pub fn run(asked: &Replay, found: &Found, screen: &mut Screen) -> Result<Outcome> {
    let table = found.profile.outputs.get("AuditTable").filter(|value| !value.is_empty());
    let table = table.with_context(|| format!("The profile {} has no AuditTable.", found.name))?;
    fs::create_dir_all(&asked.folder).with_context(|| format!("{} cannot be made", asked.folder.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (batches, rows) = runtime.block_on(async {
        let sdk = runtime::aws::sdk_config_of(ATTEMPT, &found.profile.region, found.profile.endpoint.as_deref()).await?;
        let trail = AuditRows::new(&sdk, table.clone());
        let (mut batches, mut rows, mut after) = (0, 0, None);
        loop {
            let (images, next) = trail.images(&asked.tenant, asked.from, asked.to, after).await?;
            if !images.is_empty() {
                batches += 1;
                rows += images.len();
                let records: Vec<Value> = images.iter().enumerate().map(|(at, image)| record(at, image)).collect();
                let path = asked.folder.join(format!("replay-{batches:05}.json"));
                let text = json!({ "Records": records }).to_string();
                fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            }
            after = next;
            if after.is_none() {
                return anyhow::Ok((batches, rows));
            }
        }
    })?;
    screen.line(format!("{} in {} in {}", count(rows, "row"), count(batches, "batch"), asked.folder.display()))?;
    screen.note("Hand each to the function audit-seal; what is sealed already is left out. docs/runbook.md has the command.");
    Ok(Outcome::Done)
}

fn record(at: usize, image: &Value) -> Value {
    let created = image["created_at"]["N"].as_str().and_then(|ms| ms.parse::<i64>().ok()).unwrap_or(0);
    json!({
        "eventName": "INSERT",
        "dynamodb": {
            "ApproximateCreationDateTime": (created / 1_000 - CLOCKS_APART_S).max(0),
            "Keys": { "pk": image["pk"], "sk": image["sk"] },
            "NewImage": image,
            "SequenceNumber": (at + 1).to_string(),
        },
    })
}
