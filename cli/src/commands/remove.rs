//! `rm`: deletes documents and, if asked to, waits until nothing of them can be found.

use crate::args::Remove;
use crate::client::Client;
use crate::display::Screen;
use crate::display::measure::count;
use crate::display::progress::Bar;
use crate::display::text::{one_line, plain};
use crate::outcome::Outcome;
use anyhow::{Result, bail};
use console::Term;
use domain::ids::DocumentId;
use serde::Serialize;
use std::thread;
use std::time::{Duration, Instant};

/// How often a document that is being deleted is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The index follows within seconds; the queue's retries end after minutes.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// How it went with one document.
#[derive(Serialize)]
struct Removed {
    id: String,
    /// `deleting`, `deleted` or `failed`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Deletes.
pub fn run(remove: &Remove, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    if screen.is_interactive && !remove.yes && !confirmed(&remove.ids, client)? {
        screen.note("Nothing was deleted.");
        return Ok(Outcome::Failed);
    }
    // All of them first, so that the index follows while the first is waited for.
    let asked: Vec<(&DocumentId, Result<()>)> = remove.ids.iter().map(|id| (id, client.delete(id).map(|_| ()))).collect();
    let mut all = Vec::new();
    for (id, result) in asked {
        let result =
            result.and_then(|()| if remove.wait { wait(id, client, screen).map(|()| "deleted") } else { Ok("deleting") });
        let (status, error) = match result {
            Ok(status) => (status, None),
            Err(error) => ("failed", Some(plain(&format!("{error:#}")))),
        };
        if !remove.json {
            let shown = if error.is_none() { screen.paint.good(status) } else { screen.paint.bad(status) };
            let why = error.as_ref().map(|error| format!("  {error}")).unwrap_or_default();
            screen.line(format!("{shown}  {id}{why}"))?;
            screen.flush()?;
        }
        all.push(Removed { id: id.to_string(), status, error });
    }
    if remove.json {
        screen.json(&serde_json::json!({ "documents": all }))?;
    }
    Ok(if all.iter().all(|removed| removed.error.is_none()) { Outcome::Done } else { Outcome::Failed })
}

fn confirmed(ids: &[DocumentId], client: &Client) -> Result<bool> {
    let terminal = Term::stderr();
    for id in ids {
        terminal.write_line(&format!("{id}  {}", one_line(&client.document(id.as_str())?.title)))?;
    }
    terminal.write_str(&format!("Delete {}? [y/N] ", count(ids.len(), "document")))?;
    Ok(matches!(terminal.read_line()?.trim(), "y" | "Y" | "yes"))
}

fn wait(id: &DocumentId, client: &Client, screen: &Screen) -> Result<()> {
    let bar = Bar::alone(screen, id.as_str());
    bar.doing("deleting");
    let started = Instant::now();
    while started.elapsed() < WAIT_MAX {
        match client.document_if_there(id.as_str())? {
            None => return Ok(()),
            Some(document) if document.status.0 == "deleted" => return Ok(()),
            Some(document) if document.status.is_indexed() => bail!("It was uploaded again while it was being deleted."),
            // The indexer is at work on it: it takes a deletion up as it takes up a document.
            Some(_) => thread::sleep(LOOK_EVERY),
        }
    }
    bail!("It is still being deleted after {} minutes: look again with `clinchat show {id}`.", WAIT_MAX.as_secs() / 60);
}
