//! The parsers as the port that the use case knows: one child process per document.

use async_trait::async_trait;
use domain::documents::index_object::Extractor;
use domain::documents::pages::{ExtractedDocument, Reason};
use extract::{Limits, extract_in_child};

/// Reads each document in a process of its own, which is this binary again.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChildExtractor;

#[async_trait]
impl Extractor for ChildExtractor {
    async fn extract(&self, bytes: Vec<u8>, name: &str) -> Result<ExtractedDocument, Reason> {
        let name = name.to_owned();
        let read = tokio::task::spawn_blocking(move || extract_in_child(&bytes, &name, &Limits::default()));
        match read.await {
            Ok(outcome) => outcome.map_err(|error| {
                tracing::warn!(detail = ?error, "not readable");
                error.reason
            }),
            Err(_) => Err(Reason::Internal),
        }
    }
}
