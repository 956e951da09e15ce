//! `edit`: other words, labels or readers for a document, without uploading it again.

use crate::args::Edit;
use crate::client::Client;
use crate::display::{Screen, document};
use crate::outcome::Outcome;
use crate::wire::Description;
use anyhow::Result;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Changes what is said about a document; prints its card.
pub fn run(edit: &Edit, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let has_steps = !edit.add_tags.is_empty() || !edit.remove_tags.is_empty();
    let tags = if has_steps {
        // Labels are added to and taken from those that are there.
        let before = client.document(edit.id.as_str())?.tags;
        let mut tags: BTreeSet<String> = before.into_iter().collect();
        tags.extend(edit.add_tags.iter().map(ToString::to_string));
        for tag in &edit.remove_tags {
            tags.remove(tag.as_str());
        }
        Some(tags.into_iter().collect())
    } else if edit.tags.is_empty() {
        edit.no_tags.then(Vec::new)
    } else {
        Some(edit.tags.iter().map(ToString::to_string).collect())
    };
    let groups = if edit.everybody { Some(Vec::new()) } else { Some(edit.groups.clone()).filter(|groups| !groups.is_empty()) };
    let description = Description {
        title: edit.title.as_deref(),
        tags,
        date: if edit.no_date { Some(None) } else { edit.date.map(|date| Some(date.to_string())) },
        groups: groups.map(|groups| groups.iter().map(ToString::to_string).collect()),
    };
    let document = client.describe(&edit.id, &description)?;
    if edit.json {
        screen.json(&document)?;
    } else {
        document::card(&document, screen, Timestamp::now())?;
    }
    Ok(Outcome::Done)
}
