//! `audit coverage`: whether each request that the API let through left a row in the trail, asked of both logs directly.

use super::Coverage as Asked;
use crate::display::Screen;
use crate::display::measure::count;
use crate::outcome::Outcome;
use crate::profile::Found;
use accesslog::AccessLog;
use anyhow::{Context as _, Result};
use domain::audit::coverage::{Coverage, ReconcileAccess, Window};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use store::AuditRows;

/// A page of the access log can take some seconds.
const ATTEMPT: Duration = Duration::from_mins(1);

/// Compares and prints.
pub fn run(asked: &Asked, found: &Found, screen: &mut Screen) -> Result<Outcome> {
    let output = |name: &str| {
        let value = found.profile.outputs.get(name).filter(|value| !value.is_empty());
        value
            .with_context(|| format!("The profile {} has no {name}: add it again with `profile add --from-outputs`.", found.name))
    };
    let window = match (asked.from, asked.to) {
        (Some(from), Some(to)) => Window::new(from, to).context("--from must be before --to.")?,
        _ => Window::last_closed(SignedDuration::from_hours(1), Timestamp::now()),
    };
    let (group, table) = (output("ApiLogGroup")?, output("AuditTable")?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let coverage = runtime.block_on(async {
        let sdk = runtime::aws::sdk_config_of(ATTEMPT, &found.profile.region, found.profile.endpoint.as_deref()).await?;
        let (records, trail) = (AccessLog::new(&sdk, group.clone()), AuditRows::new(&sdk, table.clone()));
        anyhow::Ok(ReconcileAccess { records: &records, trail: &trail }.run(window).await?)
    })?;
    if asked.json {
        let mut document = serde_json::to_value(&coverage)?;
        document["coverage"] = coverage.text().into();
        screen.json(&document)?;
    } else {
        print(&coverage, screen)?;
    }
    Ok(if coverage.is_whole() { Outcome::Done } else { Outcome::Unsound })
}

fn print(coverage: &Coverage, screen: &mut Screen) -> Result<()> {
    let requests = count(coverage.requests as usize, "request");
    screen.line(format!("{}  {requests} from {} to {}", coverage.text(), coverage.window.from, coverage.window.to))?;
    for request in &coverage.missing {
        screen.line(format!("no row: {request}"))?;
    }
    for (reason, times) in &coverage.turned_away {
        screen.line(format!("turned away by the gateway: {times} {reason}"))?;
    }
    for (times, what) in [
        (coverage.failed, "failed and left no row: nothing was done"),
        (coverage.repeated, "under an id that another request had"),
        (coverage.unreadable, "lines of the access log are no records"),
    ] {
        if times > 0 {
            screen.line(format!("{times} {what}"))?;
        }
    }
    Ok(())
}
