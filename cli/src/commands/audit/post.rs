//! `audit post`: events of another system, from a file.

use super::Post;
use crate::client::Client;
use crate::display::Screen;
use crate::outcome::Outcome;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;

/// Events in a batch, and bytes: what the API takes.
const BATCH: usize = 100;
const BATCH_BYTES: usize = 60_000;

/// Sends them in batches; the keys make a repeat safe.
pub fn run(post: &Post, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let mut text = String::new();
    if post.file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("Standard input is no text")?;
    } else {
        text = std::fs::read_to_string(&post.file).with_context(|| format!("Cannot read {}", post.file.display()))?;
    }
    let mut body: Value = serde_json::from_str(&text).context("The file is no JSON")?;
    let Value::Array(events) = body["events"].take() else { bail!("The file has no \"events\".") };
    let mut results: Vec<Value> = Vec::new();
    for batch in batches(&events) {
        let mut answer = client.report(&json!({ "events": batch }))?;
        if let Value::Array(found) = answer["results"].take() {
            results.extend(found);
        }
    }
    let refused = results.iter().filter(|result| result["status"].as_u64().is_none_or(|status| status >= 400)).count();
    if post.json {
        screen.json(&json!({ "results": results }))?;
    } else {
        for (number, result) in results.iter().enumerate().filter(|(_, result)| result["problem"].is_object()) {
            let detail = result["problem"]["detail"].as_str().unwrap_or_default();
            screen.line(format!("event {}: {} {detail}", number + 1, result["status"]))?;
        }
        screen.note(format!("{} of {} events are in the trail.", results.len() - refused, results.len()));
    }
    if refused > 0 {
        bail!("{refused} of {} events were refused.", results.len());
    }
    Ok(Outcome::Done)
}

fn batches(events: &[Value]) -> Vec<Vec<&Value>> {
    let mut batches: Vec<Vec<&Value>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        let size = event.to_string().len() + 1;
        if batches.last().is_none_or(|batch| batch.len() == BATCH || bytes + size > BATCH_BYTES) {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(event);
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_the_order_and_both_limits() {
        let events: Vec<Value> = (0..250).map(|n| json!({ "key": n.to_string(), "pad": "x".repeat(n * 20) })).collect();
        let batches = batches(&events);
        assert!(
            batches
                .iter()
                .all(|batch| batch.len() <= BATCH && batch.iter().map(|e| e.to_string().len() + 1).sum::<usize>() <= BATCH_BYTES)
        );
        assert_eq!(batches.concat(), events.iter().collect::<Vec<_>>());
        assert!(super::batches(&[]).is_empty());
    }
}
