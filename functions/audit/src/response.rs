//! What became of each event of a batch, and rows of the trail as auditors see them.

use crate::request::Search;
use domain::audit::receive::{Received, RefuseEventError};
use domain::audit::search::{TrailPage, TrailRow};
use serde::Serialize;
use serde_json::Value;

/// Wire form of a batch's results, in the batch's order.
#[derive(Serialize)]
pub struct ReceivedBody {
    results: Vec<ResultBody>,
}

/// Wire form of one result. The status is what the event would have been answered alone.
#[derive(Serialize)]
struct ResultBody {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemBody>,
}

#[derive(Serialize)]
struct ProblemBody {
    r#type: &'static str,
    title: &'static str,
    detail: String,
}

/// The results.
pub fn received(received: &[Received]) -> ReceivedBody {
    let results = received.iter().map(|one| match one {
        Received::Stored(id) => ResultBody { status: 201, id: Some(id.to_string()), problem: None },
        Received::Repeat(id) => ResultBody { status: 200, id: Some(id.to_string()), problem: None },
        Received::Refused(refused) => {
            let (status, r#type, title) = match refused {
                RefuseEventError::OtherContent => (409, "urn:clinchat:problem:conflict", "Not in this state"),
                _ => (400, "urn:clinchat:problem:bad-event", "This event cannot be taken"),
            };
            ResultBody { status, id: None, problem: Some(ProblemBody { r#type, title, detail: refused.to_string() }) }
        }
    });
    ReceivedBody { results: results.collect() }
}

/// Wire form of a row.
#[derive(Serialize)]
pub struct RowBody<'a> {
    id: &'a str,
    timestamp: &'a str,
    event_type: &'a str,
    action: &'a str,
    outcome: &'a str,
    entity_type: &'a str,
    entity_id: &'a str,
    actor: &'a str,
    roles: &'a [String],
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    data: Value,
}

impl<'a> RowBody<'a> {
    /// A row as callers see it.
    pub fn new(row: &'a TrailRow) -> Self {
        Self {
            id: &row.id,
            timestamp: &row.timestamp,
            event_type: &row.event_type,
            action: &row.action,
            outcome: &row.outcome,
            entity_type: &row.entity_type,
            entity_id: &row.entity_id,
            actor: &row.agent,
            roles: &row.roles,
            request_id: &row.request_id,
            source: row.source.as_deref(),
            data: serde_json::from_str(&row.details).unwrap_or_default(),
        }
    }
}

/// Wire form of a page.
#[derive(Serialize)]
pub struct PageBody<'a> {
    events: Vec<RowBody<'a>>,
    /// `?cursor=` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A page.
pub fn page<'a>(page: &'a TrailPage, asked: &Search) -> PageBody<'a> {
    PageBody { events: page.rows.iter().map(RowBody::new).collect(), next: page.next.map(|next| asked.cursor(next)) }
}
