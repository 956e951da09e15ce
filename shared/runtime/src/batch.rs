//! Answers to SQS batches: which messages are to be delivered again. Everything else is done or parked with a reason.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse};

/// Collects the messages that have to come again.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    failures: Vec<String>,
}

impl BatchOutcome {
    /// Asks for a message again.
    ///
    /// A message without an id cannot be named, and an empty name would make Lambda repeat the whole batch; that repeat
    /// is then the right thing, so the caller returns an error for it instead.
    pub fn retry(&mut self, message_id: &str) {
        self.failures.push(message_id.to_owned());
    }

    /// The response to the event source.
    pub fn into_response(self) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = self
            .failures
            .into_iter()
            .map(|id| {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = id;
                failure
            })
            .collect();
        response
    }
}
