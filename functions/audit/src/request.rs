//! What a caller sends: a batch of events, each read by itself, or what to search for.

use crate::cursor;
use crate::export::Format;
use api::{Kind, Problem, query_parameter};
use domain::audit::EventType;
use domain::audit::receive::{BATCH_MAX, Field, RefuseEventError, Reported};
use domain::audit::search::{EXPORT_MAX, PAGE_MAX, TrailFilter};
use domain::ids::{RequestId, SubjectId};
use jiff::Timestamp;
use lambda_http::Request;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use ulid::Ulid;

/// Rows per page where the caller names no number.
const LIMIT: u32 = 50;
/// An event of the five kinds has a few short fields; more is content.
const EVENT_BYTES_MAX: usize = 4 * 1024;

const SHAPE: &str = "{\"events\": [1 to 100 events]}";

/// Wire form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchBody {
    events: Vec<Value>,
}

/// Wire form of one event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBody {
    key: String,
    event_type: String,
    occurred_at: Timestamp,
    outcome: String,
    actor: String,
    entity: EntityBody,
    #[serde(default)]
    data: BTreeMap<String, FieldBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityBody {
    r#type: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FieldBody {
    Count(u64),
    Word(String),
}

/// Reads a batch. What is wrong with one event is that event's result.
pub fn batch(request: &Request) -> Result<Vec<Result<Reported, RefuseEventError>>, Problem> {
    let body: BatchBody = api::decode(request, SHAPE)?;
    if body.events.is_empty() || body.events.len() > BATCH_MAX {
        return Err(Problem::new(Kind::BadBody, format!("A batch has 1 to {BATCH_MAX} events.")));
    }
    Ok(body.events.into_iter().map(event).collect())
}

fn event(value: Value) -> Result<Reported, RefuseEventError> {
    if !value.is_object() || value.to_string().len() > EVENT_BYTES_MAX {
        return Err(RefuseEventError::BadShape);
    }
    let body: EventBody = api::object(value).map_err(|_| RefuseEventError::BadShape)?;
    let fields = body.data.into_iter().map(|(name, field)| {
        let field = match field {
            FieldBody::Count(count) => Field::Count(count),
            FieldBody::Word(word) => Field::Word(word),
        };
        (name, field)
    });
    Ok(Reported {
        key: body.key,
        event_type: body.event_type,
        occurred_at: body.occurred_at,
        outcome: body.outcome,
        actor: body.actor,
        entity_type: body.entity.r#type,
        entity_id: body.entity.id,
        fields: fields.collect(),
    })
}

/// A search.
#[derive(Debug)]
pub struct Search {
    /// What is looked for.
    pub filter: TrailFilter,
    /// After which event.
    pub after: Option<Ulid>,
    /// How many rows.
    pub limit: u32,
}

impl Search {
    /// The cursor of the next page.
    pub fn cursor(&self, next: Ulid) -> String {
        cursor::write(&self.filter, next)
    }
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::BadParameter, detail)
}

/// Reads a search.
pub fn search(request: &Request) -> Result<Search, Problem> {
    read(request, "newest", LIMIT, PAGE_MAX)
}

/// Reads what to take out, and as what.
pub fn export(request: &Request) -> Result<(Search, Format), Problem> {
    let format = query_parameter(request, "format").unwrap_or_else(|| "jsonl".into());
    let format = Format::parse(&format).ok_or_else(|| bad("format must be jsonl, csv or fhir."))?;
    Ok((read(request, "oldest", EXPORT_MAX, EXPORT_MAX)?, format))
}

fn read(request: &Request, order: &str, limit: u32, limit_max: u32) -> Result<Search, Problem> {
    let text = |name: &str| -> Result<Option<String>, Problem> {
        let value = query_parameter(request, name).filter(|value| !value.is_empty());
        match value {
            Some(value) if value.chars().count() > 256 || value.chars().any(char::is_control) => {
                Err(bad(format!("{name} must have at most 256 characters and no control characters.")))
            }
            value => Ok(value),
        }
    };
    let time = |name: &str| -> Result<Option<Timestamp>, Problem> {
        let value = text(name)?.map(|value| value.parse()).transpose();
        value.map_err(|_| bad(format!("{name} must be a time such as 2026-03-01T00:00:00Z.")))
    };
    let entity = match (text("entity_type")?, text("entity_id")?) {
        (None, None) => None,
        (Some(kind), Some(id)) => Some((kind, id)),
        _ => return Err(bad("entity_type and entity_id go together.")),
    };
    let event_type = text("event_type")?.map(|name| EventType::parse(&name).ok_or_else(|| bad("there is no such event_type.")));
    let actor = text("actor")?.map(|actor| SubjectId::parse(&actor).map_err(|_| bad("actor does not have the form of one.")));
    let order = text("order")?.unwrap_or_else(|| order.to_owned());
    if !["newest", "oldest"].contains(&order.as_str()) {
        return Err(bad("order must be newest or oldest."));
    }
    let filter = TrailFilter {
        entity,
        actor: actor.transpose()?,
        outside_actor: text("outside_actor")?,
        event_type: event_type.transpose()?,
        request: text("request_id")?.map(|id| RequestId::new(&id)),
        from: time("from")?,
        to: time("to")?,
        newest_first: order == "newest",
    };
    let limit = match text("limit")? {
        None => limit,
        Some(text) => {
            let number = text.parse().ok().filter(|limit| (1..=limit_max).contains(limit));
            number.ok_or_else(|| bad(format!("limit must be 1 to {limit_max}.")))?
        }
    };
    let after = text("cursor")?.map(|text| cursor::read(&filter, &text).ok_or_else(|| bad("the cursor is not of this search.")));
    Ok(Search { after: after.transpose()?, filter, limit })
}
