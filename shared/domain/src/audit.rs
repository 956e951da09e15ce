//! What happened, to what, by whom: the terms are those of FHIR `AuditEvent`. An event holds ids, counts and codes,
//! never content: [`AuditValue`] has no constructor for free text.

use crate::context::{Context, Role};
use crate::fault::PortError;
use crate::ids::{ConversationId, DocumentId, IdSource, RequestId, SubjectId, TenantId};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use ulid::Ulid;

/// The closed catalogue of events. A new kind is added here, with its action and entity, or it cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// An upload link was issued.
    DocumentUploadRequested,
    /// A document became searchable.
    DocumentIndexed,
    /// A document could not be indexed; the reason is in the details.
    DocumentFailed,
    /// A document's title, tags, date or access list was changed.
    DocumentDescribed,
    /// A document was asked to be deleted.
    DocumentDeleteRequested,
    /// A document is gone from the index.
    DocumentDeleted,
    /// A link to a document's content was issued.
    DocumentViewed,
    /// A question was answered; the cited documents are in the details.
    ChatAnswered,
    /// A question found no support and was refused.
    ChatRefused,
}

impl EventType {
    /// The stable name that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DocumentUploadRequested => "document_upload_requested",
            Self::DocumentIndexed => "document_indexed",
            Self::DocumentFailed => "document_failed",
            Self::DocumentDescribed => "document_described",
            Self::DocumentDeleteRequested => "document_delete_requested",
            Self::DocumentDeleted => "document_deleted",
            Self::DocumentViewed => "document_viewed",
            Self::ChatAnswered => "chat_answered",
            Self::ChatRefused => "chat_refused",
        }
    }

    /// FHIR `AuditEvent.action`.
    pub const fn action(self) -> Action {
        match self {
            Self::DocumentUploadRequested => Action::Create,
            Self::DocumentIndexed | Self::DocumentFailed | Self::DocumentDescribed => Action::Update,
            Self::DocumentDeleteRequested | Self::DocumentDeleted => Action::Delete,
            Self::DocumentViewed => Action::Read,
            Self::ChatAnswered | Self::ChatRefused => Action::Execute,
        }
    }
}

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

/// FHIR `AuditEvent.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It worked.
    Success,
    /// It did not, for a reason that lies in the request or the document.
    Failure,
}

impl Outcome {
    /// The stable name that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "entity_type", content = "entity_id", rename_all = "snake_case")]
pub enum Entity {
    /// A document.
    Document(DocumentId),
    /// A conversation.
    Conversation(ConversationId),
}

impl Entity {
    /// The stable name of the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Document(_) => "document",
            Self::Conversation(_) => "conversation",
        }
    }

    /// The id.
    pub fn id(&self) -> &str {
        match self {
            Self::Document(id) => id.as_str(),
            Self::Conversation(id) => id.as_str(),
        }
    }
}

/// A detail of an event: a number, one of our own codes, or ids. There is no way to put text in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AuditValue {
    /// How many.
    Count(u64),
    /// One of our own constants.
    Code(&'static str),
    /// Documents, by id.
    Documents(Vec<DocumentId>),
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Unique, and in time order within a millisecond's grain.
    pub id: Ulid,
    /// Whose trail this belongs to.
    pub tenant: TenantId,
    /// When it was recorded.
    pub recorded: Timestamp,
    /// What happened.
    pub event_type: EventType,
    /// To what.
    pub entity: Entity,
    /// By whom.
    pub agent: SubjectId,
    /// In which roles.
    pub roles: Vec<Role>,
    /// With what result.
    pub outcome: Outcome,
    /// Which request; the same id is in the log lines and in the answer.
    pub request_id: RequestId,
    /// Counts, codes and ids.
    pub details: BTreeMap<&'static str, AuditValue>,
}

impl AuditEvent {
    /// An event of this request.
    pub fn new(ids: &dyn IdSource, context: &Context, event_type: EventType, entity: Entity, outcome: Outcome) -> Self {
        Self {
            id: ids.next(context.now),
            tenant: context.tenant.clone(),
            recorded: context.now,
            event_type,
            entity,
            agent: context.actor.subject.clone(),
            roles: context.actor.roles.clone(),
            outcome,
            request_id: context.request_id.clone(),
            details: BTreeMap::new(),
        }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: AuditValue) -> Self {
        self.details.insert(name, value);
        self
    }
}

/// Where events are appended. There is no way to change or remove one.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Stores the event durably. A request whose event cannot be stored fails.
    async fn append(&self, event: &AuditEvent) -> Result<(), PortError>;
}
