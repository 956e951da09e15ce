//! An SQS message to an object event. S3 keys are plain in `EventBridge` events (they are URL-encoded in S3's own notices).

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use aws_lambda_events::event::sqs::SqsMessage;
use domain::documents::index_object::ObjectEvent;
use domain::ids::{RequestId, Sequencer};
use serde::Deserialize;

/// Why a message is no object event.
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
pub fn read(message: &SqsMessage, id: &str) -> Result<ObjectEvent, ReadEventError> {
    let body = message.body.as_deref().ok_or(ReadEventError::Malformed)?;
    let event: EventBridgeEvent<serde_json::Value> = serde_json::from_str(body).map_err(|_| ReadEventError::Malformed)?;
    if event.source != "aws.s3" || !matches!(event.detail_type.as_str(), "Object Created" | "Object Deleted") {
        return Err(ReadEventError::Foreign);
    }
    let detail: Detail = serde_json::from_value(event.detail).map_err(|_| ReadEventError::Malformed)?;
    // A version that is erased (by the lifecycle rule, a month after it was replaced) removes nothing that anybody sees.
    let is_removal = detail.deletion_type.as_deref() == Some("Delete Marker Created");
    let sequencer = Sequencer::parse(&detail.object.sequencer).map_err(|_| ReadEventError::Malformed)?;
    Ok(ObjectEvent { key: detail.object.key, sequencer, is_removal, request_id: RequestId::new(id) })
}
