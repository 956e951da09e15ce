//! A record of the table's stream to a row of the trail. Each record is read for itself: whatever one of them is, its
//! neighbours are sealed.

use domain::ids::TenantId;
use seal::{Row, row_of_image};
use serde_json::Value;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in the stream; failures are reported by it.
    pub number: String,
    /// What it is.
    pub content: Content,
}

/// What a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An audit row that was appended.
    Appended(TenantId, Row),
    /// An item of the audit table that belongs to no tenant's trail.
    Foreign,
    /// Something else than an append. The alerts look at those; what was sealed stays what it was.
    Other,
}

/// The event is no batch of a stream's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadBatchError;

/// Reads a batch.
pub fn read(event: &Value) -> Result<Vec<Record>, ReadBatchError> {
    let records = event["Records"].as_array().ok_or(ReadBatchError)?;
    records.iter().map(record).collect()
}

fn record(record: &Value) -> Result<Record, ReadBatchError> {
    let change = &record["dynamodb"];
    // A record without a number could not be reported as failed.
    let number = change["SequenceNumber"].as_str().filter(|number| !number.is_empty()).ok_or(ReadBatchError)?;
    let content = if record["eventName"] == "INSERT" {
        // Without a time every file of the trail is looked through for the row: slow, but never wrong.
        let written = change["ApproximateCreationDateTime"].as_f64().map_or(0, |seconds| seconds as i64);
        row_of_image(&change["NewImage"], written).map_or(Content::Foreign, |(tenant, row)| Content::Appended(tenant, row))
    } else {
        Content::Other
    };
    Ok(Record { number: number.to_owned(), content })
}
