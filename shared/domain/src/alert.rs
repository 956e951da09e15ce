//! What somebody has to be told, and the port to where it is told. A message leaves the account by mail: it holds our own
//! words, numbers, codes and ids, nothing else.

use crate::audit::AuditValue;
use crate::fault::PortError;
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How soon somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Notice,
    /// Within the day.
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A message to whoever is subscribed. Its words come from our code or our rule files, never from a request or a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The rule that fired, as a code.
    pub kind: String,
    /// How soon somebody has to look.
    pub severity: Severity,
    /// One sentence.
    pub headline: String,
    /// Numbers, codes and ids.
    pub facts: BTreeMap<&'static str, AuditValue>,
    /// The entry of the runbook, such as `docs/runbook.md#budget`.
    pub runbook: String,
    /// Two messages with the same key are one: delivery is at least once.
    pub dedupe_key: String,
    /// When it happened.
    pub at: Timestamp,
}

/// Where alerts go.
#[async_trait]
pub trait AlertSink: Send + Sync {
    /// Hands the alert over.
    async fn publish(&self, alert: &Alert) -> Result<(), PortError>;
}

/// What has been told already.
#[async_trait]
pub trait ToldLog: Send + Sync {
    /// Whether this was told, by its [`Alert::dedupe_key`].
    async fn was_told(&self, dedupe_key: &str) -> Result<bool, PortError>;

    /// It was told now. It may be forgotten after two days.
    async fn note_told(&self, dedupe_key: &str, now: Timestamp) -> Result<(), PortError>;
}

/// Tells each thing once: what looks every few minutes would fill a mailbox. Noted after it was told, so that what is cut off
/// between is told twice and never not at all.
pub struct Once<S, L> {
    /// Where alerts go.
    pub sink: S,
    /// What has been told.
    pub told: L,
}

#[async_trait]
impl<S: AlertSink, L: ToldLog> AlertSink for Once<S, L> {
    async fn publish(&self, alert: &Alert) -> Result<(), PortError> {
        // A log that cannot be read is no reason to be silent.
        if self.told.was_told(&alert.dedupe_key).await.unwrap_or(false) {
            return Ok(());
        }
        self.sink.publish(alert).await?;
        self.told.note_told(&alert.dedupe_key, alert.at).await
    }
}
