//! `audit export`: pages of the trail, put together into one file on standard output.

use super::{Export, Format};
use crate::client::Client;
use crate::display::Screen;
use crate::outcome::Outcome;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Page after page. JSON Lines and CSV are written as they come; a Bundle is one object and comes at the end.
pub fn run(export: &Export, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let format = match export.format {
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
        Format::Fhir => "fhir",
    };
    let mut query = export.sought.query()?;
    query.push(("format", format.to_owned()));
    let mut entries: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    let mut is_first = true;
    loop {
        let mut page_query = query.clone();
        page_query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let (page, next) = client.trail_part(&page_query)?;
        match export.format {
            Format::Jsonl => screen.bytes(page.as_bytes())?,
            // The header line is the first page's.
            Format::Csv if is_first => screen.bytes(page.as_bytes())?,
            Format::Csv => screen.bytes(page.split_once("\r\n").map_or("", |(_, rest)| rest).as_bytes())?,
            Format::Fhir => {
                let mut bundle: Value = serde_json::from_str(&page).context("The export is no JSON")?;
                if let Value::Array(found) = bundle["entry"].take() {
                    entries.extend(found);
                }
            }
        }
        is_first = false;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    if export.format == Format::Fhir {
        let mut bundle = json!({ "resourceType": "Bundle", "type": "collection" });
        if !entries.is_empty() {
            bundle["entry"] = entries.into();
        }
        screen.json(&bundle)?;
    }
    Ok(Outcome::Done)
}
