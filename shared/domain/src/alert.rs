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
