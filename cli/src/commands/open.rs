//! `open`: a document's content, as a link or as a file.

use crate::args::Open;
use crate::client::Client;
use crate::display::Screen;
use crate::display::measure::size;
use crate::display::progress::Bar;
use crate::outcome::Outcome;
use anyhow::{Context, Result};
use std::path::Path;

/// Prints the link, or downloads what is behind it.
pub fn run(open: &Open, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let link = client.content_link(&open.id, open.version.as_deref())?;
    if let Some(path) = &open.output {
        let bar = Bar::alone(screen, open.id.as_str());
        bar.doing("downloading");
        // A file that is there is replaced when the new one is whole, not before.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cannot = || format!("{} cannot be written", path.display());
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
        let bytes = client.download(&link, &mut file)?;
        file.persist(path).map_err(|error| error.error).with_context(cannot)?;
        drop(bar);
        screen.note(format!("{}: {}", path.display(), size(bytes)));
    } else if open.json {
        screen.json(&link)?;
    } else {
        screen.line(&link.url)?;
        screen.note(format!("Whoever has the link can open the document for {} seconds.", link.expires_in_s));
    }
    Ok(Outcome::Done)
}
