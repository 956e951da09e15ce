//! A record of the stream to a change of the trail. Each record is read for itself: one that is none harms no neighbour.

use domain::audit::rules::Tampering;
use domain::audit::watch::{Change, Seen, SeenEvent};
use domain::audit::{EventType, Outcome, TABLE_DAYS};
use domain::ids::TenantId;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use ulid::Ulid;

/// Not a change of a row of the trail. Says which part is missing, never what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record has no {0} that can be read")]
pub struct ReadRecordError(&'static str);

/// The record's number in the stream; failures are reported by it.
pub fn number(record: &Value) -> Option<&str> {
    record["dynamodb"]["SequenceNumber"].as_str().filter(|number| !number.is_empty())
}

/// Reads a record.
pub fn read(record: &Value) -> Result<Change, ReadRecordError> {
    let data = &record["dynamodb"];
    let part = |name: &'static str, value: Option<&str>| value.map(str::to_owned).ok_or(ReadRecordError(name));
    let keys = &data["Keys"];
    let tenant = keys["pk"]["S"].as_str().and_then(|pk| pk.strip_prefix("TENANT#"));
    let tenant = tenant.and_then(|tenant| TenantId::parse(tenant).ok()).ok_or(ReadRecordError("tenant"))?;
    let row = keys["sk"]["S"].as_str().and_then(|id| Ulid::from_string(id).ok()).ok_or(ReadRecordError("id"))?;
    let when = data["ApproximateCreationDateTime"].as_f64().and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    let happened = when.ok_or(ReadRecordError("time"))?;
    let (at, occurred, seen) = match record["eventName"].as_str() {
        Some("INSERT") => {
            let image = &data["NewImage"];
            let text = |name: &'static str| image[name]["S"].as_str().ok_or(ReadRecordError(name));
            let recorded = image["created_at"]["N"].as_str().and_then(|n| n.parse().ok());
            let recorded = recorded.and_then(|ms| Timestamp::from_millisecond(ms).ok()).ok_or(ReadRecordError("created_at"))?;
            let event = SeenEvent {
                event_type: EventType::parse(text("event_type")?).ok_or(ReadRecordError("event_type"))?,
                outcome: Outcome::parse(text("outcome")?).ok_or(ReadRecordError("outcome"))?,
                entity: format!("{}:{}", text("entity_type")?, text("entity_id")?),
                actor: text("agent")?.to_owned(),
            };
            // Another system's report says when it happened; of ours that is when it is recorded.
            let details: Value = serde_json::from_str(text("data")?).map_err(|_| ReadRecordError("data"))?;
            let occurred = details["occurred_at"].as_str().and_then(|time| time.parse().ok()).unwrap_or(recorded);
            (recorded, occurred, Seen::Appended(event))
        }
        Some("MODIFY") => (happened, happened, Seen::Tampered(Tampering::Modified)),
        Some("REMOVE") => (happened, happened, removal(record, happened)),
        _ => return Err(ReadRecordError("change")),
    };
    Ok(Change { record: part("id", record["eventID"].as_str())?, tenant, row, at, occurred, seen })
}

/// A row leaves by time-to-live's own hand and at its time, or somebody removed it. Who turns time-to-live to another
/// attribute has rows removed by the right hand, but too early.
fn removal(record: &Value, happened: Timestamp) -> Seen {
    let identity = &record["userIdentity"];
    let is_expiry = identity["type"] == "Service" && identity["principalId"] == "dynamodb.amazonaws.com";
    let recorded = record["dynamodb"]["OldImage"]["created_at"]["N"].as_str().and_then(|n| n.parse().ok());
    let recorded = recorded.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let is_time =
        recorded.is_some_and(|recorded| happened.duration_since(recorded) >= SignedDuration::from_hours(24 * TABLE_DAYS));
    if is_expiry && is_time { Seen::Expired } else { Seen::Tampered(Tampering::Removed) }
}
