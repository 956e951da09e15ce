//! `ls`: all documents.

use crate::client::Client;
use crate::display::{Screen, document};
use crate::outcome::Outcome;
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

/// Newest first: what somebody just uploaded is what they look for.
pub fn run(client: &Client, as_json: bool, screen: &mut Screen) -> Result<Outcome> {
    let mut documents = client.documents()?;
    documents.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.id.cmp(&b.id)));
    if as_json {
        screen.json(&json!({ "documents": documents }))?;
    } else if documents.is_empty() {
        screen.note("There are no documents yet: `clinchat upload FILE`.");
    } else {
        for line in document::table(&documents, screen.table_columns, screen.paint, Timestamp::now()) {
            screen.line(line)?;
        }
    }
    Ok(Outcome::Done)
}
