//! `versions`: what the bucket keeps of a document.

use crate::args::One;
use crate::client::Client;
use crate::display::Screen;
use crate::display::measure::size;
use crate::display::text::plain;
use crate::outcome::Outcome;
use anyhow::Result;

/// Prints a line for each, the newest first.
pub fn run(one: &One, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let found = client.versions(&one.id)?;
    if one.json {
        screen.json(&found)?;
        return Ok(Outcome::Done);
    }
    for version in &found.versions {
        let cited = if version.is_searchable { "answers cite it" } else { "" };
        let line =
            format!("{}  {:>9}  {}  {cited}", plain(&version.written_at), size(version.size_bytes), plain(&version.version));
        screen.line(line.trim_end())?;
    }
    Ok(Outcome::Done)
}
