//! `receipt`: what the deletion of a document ended with.

use crate::args::One;
use crate::client::Client;
use crate::display::Screen;
use crate::display::text::{one_line, plain};
use crate::outcome::Outcome;
use anyhow::{Result, ensure};
use domain::text::hexadecimal;

/// Prints the receipt, after a check that its digest is the one of what it says.
pub fn run(one: &One, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let found = client.receipt(&one.id)?;
    let receipt = &found.receipt;
    ensure!(hexadecimal(&receipt.digest()) == found.sha256, "the digest is not the one of this receipt");
    if one.json {
        screen.json(&found)?;
        return Ok(Outcome::Done);
    }
    let paint = screen.paint;
    let asked = format!(
        "{} questions, its title and its own sentences: {} found it before, {} after",
        receipt.questions, receipt.found_before, receipt.found_after
    );
    let version = receipt.version.as_deref().map_or_else(|| "none was searchable".into(), one_line);
    let rows = [
        ("document", receipt.document_id.to_string()),
        ("version", version),
        ("removed", format!("{} pages, {} passages", receipt.pages, receipt.chunks)),
        ("asked again", asked),
        ("objects left", receipt.objects_left.to_string()),
        ("bucket keeps", format!("{} versions of its bytes until the policy erases them", receipt.kept_versions.len())),
        ("checked", receipt.checked_at.to_string()),
        ("sha256", plain(&found.sha256)),
    ];
    for (name, value) in rows {
        screen.line(format!("{} {value}", paint.faint(&format!("  {name:<12}"))))?;
    }
    Ok(Outcome::Done)
}
