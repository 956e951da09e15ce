//! The closed catalogue of events: a kind that is not here cannot be written. One line says its name, its FHIR action and who
//! may report it.

use serde::Serialize;

/// FHIR `AuditEvent.action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Something new.
    #[serde(rename = "C")]
    Create,
    /// Something was seen.
    #[serde(rename = "R")]
    Read,
    /// Something changed.
    #[serde(rename = "U")]
    Update,
    /// Something was removed.
    #[serde(rename = "D")]
    Delete,
    /// Something was run.
    #[serde(rename = "E")]
    Execute,
}

impl Action {
    /// FHIR's one-letter code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "C",
            Self::Read => "R",
            Self::Update => "U",
            Self::Delete => "D",
            Self::Execute => "E",
        }
    }
}

/// Who reports an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Our own functions, in the act.
    Ours,
    /// Another system, through the audit API.
    Outside,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $action:ident, $origin:ident;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventType {
            $($(#[$doc])* $variant,)*
        }

        impl EventType {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name that is stored.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// FHIR `AuditEvent.action`.
            pub const fn action(self) -> Action {
                match self {
                    $(Self::$variant => Action::$action,)*
                }
            }

            /// Who may report it.
            pub const fn origin(self) -> Origin {
                match self {
                    $(Self::$variant => Origin::$origin,)*
                }
            }
        }
    };
}

catalogue! {
    /// An upload link was issued.
    DocumentUploadRequested = "document_upload_requested", Create, Ours;
    /// A document became searchable.
    DocumentIndexed = "document_indexed", Update, Ours;
    /// A document could not be indexed; the reason is in the details.
    DocumentFailed = "document_failed", Update, Ours;
    /// A document's title, tags, date or access list was changed.
    DocumentDescribed = "document_described", Update, Ours;
    /// A document was asked to be deleted.
    DocumentDeleteRequested = "document_delete_requested", Delete, Ours;
    /// A document is gone from the index.
    DocumentDeleted = "document_deleted", Delete, Ours;
    /// A link to a document's content was issued.
    DocumentViewed = "document_viewed", Read, Ours;
    /// Titles and states of documents were shown as a list.
    DocumentsListed = "documents_listed", Read, Ours;
    /// A document's title and state were shown.
    DocumentShown = "document_shown", Read, Ours;

    /// A question was answered; the cited documents are in the details.
    ChatAnswered = "chat_answered", Execute, Ours;
    /// A question found no support and was refused.
    ChatRefused = "chat_refused", Execute, Ours;
    /// A conversation was shown to whoever had it.
    ConversationViewed = "conversation_viewed", Read, Ours;
    /// A conversation was erased by whoever had it.
    ConversationErased = "conversation_erased", Delete, Ours;
    /// An outside model was asked: one intent before the request leaves, one outcome after.
    LlmCall = "llm_call", Execute, Ours;
    /// A text was kept from leaving because it held identifiers of a patient.
    PhiBlocked = "phi_blocked", Execute, Ours;

    /// Spending passed a threshold; work goes on, more cheaply.
    BudgetThreshold = "budget_threshold", Execute, Ours;
    /// A budget is used up; nothing more is bought.
    BudgetStop = "budget_stop", Execute, Ours;
    /// Costs were shown.
    CostViewed = "cost_viewed", Read, Ours;
    /// Somebody asked more often than allowed.
    RateLimited = "rate_limited", Execute, Ours;
    /// Somebody asked for what their roles do not allow, or for what is not there for them.
    AccessDenied = "access_denied", Execute, Ours;
    /// A request could not be taken as it was sent, or not at that time.
    RequestRefused = "request_refused", Execute, Ours;

    /// A key's rotation began.
    KeyRotationStarted = "key_rotation_started", Update, Ours;
    /// A new key was stored beside the one in use.
    KeyRotationCreated = "key_rotation_created", Create, Ours;
    /// A new key was made known to the provider.
    KeyRotationSet = "key_rotation_set", Update, Ours;
    /// A new key was tried against the provider.
    KeyRotationTested = "key_rotation_tested", Execute, Ours;
    /// A new key is the one in use.
    KeyRotationFinished = "key_rotation_finished", Update, Ours;
    /// A rotation was given up; the old key stays in use.
    KeyRotationFailed = "key_rotation_failed", Update, Ours;

    /// A new key was taken back: the one before is in use again.
    KeyRolledBack = "key_rolled_back", Update, Ours;
    /// A replaced key is not used any more and is to be revoked.
    KeyRetired = "key_retired", Update, Ours;
    /// The provider was asked to revoke a key.
    KeyRevocationRequested = "key_revocation_requested", Delete, Ours;
    /// The provider refuses a key that was revoked.
    KeyRevokedConfirmed = "key_revoked_confirmed", Execute, Ours;
    /// An operator has put a key into a pool.
    KeyAdded = "key_added", Create, Ours;
    /// An operator has taken a key out of a pool, or all of them.
    KeyRemoved = "key_removed", Delete, Ours;
    /// An operator has looked at the keys.
    KeysViewed = "keys_viewed", Read, Ours;

    /// Somebody used the emergency access.
    BreakGlass = "break_glass", Execute, Ours;
    /// A backup was made, or could not be made.
    BackupMade = "backup_made", Create, Ours;
    /// A backup was checked.
    BackupVerified = "backup_verified", Read, Ours;
    /// A backup was brought back.
    RestoreMade = "restore_made", Update, Ours;

    /// A piece of the trail was sealed into the archive.
    AuditSealed = "audit_sealed", Create, Ours;
    /// The trail was searched.
    AuditQueried = "audit_queried", Read, Ours;
    /// A part of the trail was handed out as a file.
    AuditExported = "audit_exported", Read, Ours;
    /// The archive was checked against its signatures.
    AuditVerified = "audit_verified", Read, Ours;
    /// An outside system's events were taken or refused.
    AuditReceived = "audit_received", Create, Ours;
    /// The trail was compared with the API's access log.
    AuditReconciled = "audit_reconciled", Execute, Ours;

    /// A bill was checked.
    BillValidated = "bill_validated", Execute, Outside;
    /// A bill or claim looks like fraud.
    FraudDetected = "fraud_detected", Execute, Outside;
    /// Somebody signed in, or tried to.
    UserLogin = "user_login", Execute, Outside;
    /// Records were read.
    DataAccess = "data_access", Read, Outside;
    /// A setting was changed.
    ConfigurationChange = "configuration_change", Update, Outside;
}

impl EventType {
    /// Reads a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.as_str() == name)
    }
}

/// FHIR `AuditEvent.outcome`, and the intent that is written before an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is about to be tried. The outcome follows in a row of its own; if none does, the work was cut off.
    Intended,
    /// It worked.
    Success,
    /// It did not, for a reason that lies in the request or the document.
    Failure,
}

impl Outcome {
    /// The stable name that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    /// Reads a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Intended, Self::Success, Self::Failure].into_iter().find(|outcome| outcome.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_different_and_read_back() {
        let names: BTreeSet<&str> = EventType::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(names.len(), EventType::ALL.len());
        for event in EventType::ALL {
            assert_eq!(EventType::parse(event.as_str()), Some(*event));
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
        assert_eq!(EventType::parse("chat_deleted"), None);
    }

    #[test]
    fn outside_systems_report_five_kinds_and_none_of_ours() {
        let outside: Vec<&str> =
            EventType::ALL.iter().filter(|event| event.origin() == Origin::Outside).map(|event| event.as_str()).collect();
        assert_eq!(outside, ["bill_validated", "fraud_detected", "user_login", "data_access", "configuration_change"]);
    }
}
