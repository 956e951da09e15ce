//! An SQS message to an event. S3 keys are plain in `EventBridge` events (they are URL-encoded in S3's own notices).

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use aws_lambda_events::event::sqs::SqsMessage;
use domain::documents::index_object::{Hint, ObjectEvent};
use domain::ids::{RequestId, Sequencer};
use serde::Deserialize;

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something happened to an object.
    Object(ObjectEvent),
    /// The daily upkeep is due.
    Upkeep,
}

/// Why a message is no event of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEventError {
    /// An event of another kind: the rule was widened, or somebody sent a test. Nothing to do.
    Foreign,
    /// Not what S3 sends.
    Malformed,
}

/// Wire form of the detail of `Object Created` and `Object Deleted`.
#[derive(Deserialize)]
struct Detail {
    object: Object,
    #[serde(rename = "deletion-type")]
    deletion_type: Option<String>,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    sequencer: String,
}

/// Reads a message.
pub fn read(message: &SqsMessage, id: &str) -> Result<Event, ReadEventError> {
    let body = message.body.as_deref().ok_or(ReadEventError::Malformed)?;
    let event: EventBridgeEvent<serde_json::Value> = serde_json::from_str(body).map_err(|_| ReadEventError::Malformed)?;
    match (event.source.as_str(), event.detail_type.as_str()) {
        ("aws.s3", "Object Created" | "Object Deleted") => {}
        ("aws.events", "Scheduled Event") => return Ok(Event::Upkeep),
        _ => return Err(ReadEventError::Foreign),
    }
    let detail: Detail = serde_json::from_value(event.detail).map_err(|_| ReadEventError::Malformed)?;
    // A version that is erased (by the lifecycle rule, a month after it was replaced) removes nothing that anybody sees.
    let is_removal = detail.deletion_type.as_deref() == Some("Delete Marker Created");
    let hint = if is_removal { Hint::Removal } else { Hint::Put };
    let sequencer = Sequencer::parse(&detail.object.sequencer).map_err(|_| ReadEventError::Malformed)?;
    Ok(Event::Object(ObjectEvent { key: detail.object.key, sequencer, hint, request_id: RequestId::new(id) }))
}
