//! `audit list`: events as a table.

use super::List;
use crate::client::Client;
use crate::display::table::{Side, render};
use crate::display::{Screen, text};
use crate::outcome::Outcome;
use anyhow::Result;
use serde_json::{Value, json};

/// Rows per page: the most the API gives.
const PAGE: usize = 200;

/// Page after page until there are enough.
pub fn run(list: &List, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let mut events: Vec<Value> = Vec::new();
    let mut query = list.sought.query()?;
    query.push(("order", if list.oldest { "oldest" } else { "newest" }.to_owned()));
    let mut cursor: Option<String> = None;
    while events.len() < list.limit {
        let mut page_query = query.clone();
        page_query.push(("limit", (list.limit - events.len()).min(PAGE).to_string()));
        page_query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let mut page = client.trail(&page_query)?;
        if let Value::Array(found) = page["events"].take() {
            events.extend(found);
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if list.json {
        screen.json(&json!({ "events": events, "more": cursor.is_some() }))?;
    } else if events.is_empty() {
        screen.note("There are no such events.");
    } else {
        let of = |event: &Value, name: &str| text::one_line(event[name].as_str().unwrap_or_default());
        let rows: Vec<Vec<String>> = events
            .iter()
            .map(|event| {
                let entity = format!("{}:{}", of(event, "entity_type"), of(event, "entity_id"));
                [of(event, "timestamp"), of(event, "event_type"), of(event, "outcome"), of(event, "actor"), entity]
                    .into_iter()
                    .collect()
            })
            .collect();
        let head = [
            ("RECORDED", Side::Left),
            ("EVENT", Side::Left),
            ("OUTCOME", Side::Left),
            ("ACTOR", Side::Left),
            ("ABOUT", Side::Left),
        ];
        for line in render(&head, &rows, screen.table_columns, screen.paint) {
            screen.line(line)?;
        }
        if cursor.is_some() {
            screen.note(format!("There are more: --limit {} or a narrower search.", list.limit * 4));
        }
    }
    Ok(Outcome::Done)
}
