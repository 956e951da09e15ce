//! `show`: one document.

use crate::args::One;
use crate::client::Client;
use crate::display::{Screen, document};
use crate::outcome::Outcome;
use anyhow::Result;
use jiff::Timestamp;

/// Prints its card.
pub fn run(one: &One, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let document = client.document(one.id.as_str())?;
    if one.json {
        screen.json(&document)?;
    } else {
        document::card(&document, screen, Timestamp::now())?;
    }
    Ok(Outcome::Done)
}
