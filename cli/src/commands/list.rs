//! `ls`: all documents, or those with a tag.

use crate::args::List;
use crate::client::Client;
use crate::display::{Screen, document};
use crate::outcome::Outcome;
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

/// Newest first: what somebody just uploaded is what they look for.
pub fn run(list: &List, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let mut documents = client.documents(list.tag.as_ref())?;
    documents.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.id.cmp(&b.id)));
    if list.json {
        screen.json(&json!({ "documents": documents }))?;
    } else if documents.is_empty() {
        screen.note(match list.tag {
            None => "There are no documents yet: `clinchat upload FILE`.",
            Some(_) => "There are no documents with this tag.",
        });
    } else {
        for line in document::table(&documents, screen.table_columns, screen.paint, Timestamp::now()) {
            screen.line(line)?;
        }
    }
    Ok(Outcome::Done)
}
