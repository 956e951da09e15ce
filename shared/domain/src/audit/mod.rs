//! What happened, to what, by whom: the terms are those of FHIR `AuditEvent`. An event holds ids, keyed pseudonyms, counts
//! and codes, never content: [`AuditValue`] and [`Entity`] have no constructor for free text.
//!
//! An act that leaves something behind - a row, an object, bytes sent to somebody - is written ahead: [`Intent::write`] before
//! it, [`Intent::end`] after it. What only leaves with the answer needs one event, appended before the answer.

mod catalogue;
pub mod coverage;
mod entity;
mod pseudonyms;
pub mod receive;
pub mod rules;
pub mod search;
pub mod watch;

pub use catalogue::{Action, EventType, Origin, Outcome};
pub use entity::{AuditValue, Entity, Label, OutsideKind, Pseudonym};
pub use pseudonyms::Pseudonyms;

use crate::context::{Context, Role};
use crate::fault::PortError;
use crate::ids::{IdSource, RequestId, SubjectId, TenantId};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;
use ulid::Ulid;

/// How many days a row stays in the table. The archive keeps it for as long as the law asks; sealing takes minutes, so a row is
/// in the archive long before it leaves the table (ADR 9).
pub const TABLE_DAYS: i64 = 400;

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
    /// The system that reported it, if that is not ours.
    pub source: Option<SubjectId>,
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
            source: None,
            details: BTreeMap::new(),
        }
    }

    /// Somebody asked for what their roles do not allow, or for what is not there for them: recorded too, and by route only,
    /// because what they asked for is none of theirs to be named with.
    pub fn denied(ids: &dyn IdSource, context: &Context, method: &str, template: &str, reason: &'static str) -> Self {
        Self::of_route(ids, context, EventType::AccessDenied, method, template, reason)
    }

    /// A request that could not be taken as it was sent, or not now.
    pub fn refused(ids: &dyn IdSource, context: &Context, method: &str, template: &str, reason: &'static str) -> Self {
        Self::of_route(ids, context, EventType::RequestRefused, method, template, reason)
    }

    fn of_route(
        ids: &dyn IdSource,
        context: &Context,
        event_type: EventType,
        method: &str,
        template: &str,
        reason: &'static str,
    ) -> Self {
        let route: String = format!("{method}:{template}").to_ascii_lowercase().replace(['{', '}'], "");
        let entity = Label::parse(&route).map_or_else(|_| Entity::Documents(context.tenant.clone()), Entity::Route);
        Self::new(ids, context, event_type, entity, Outcome::Failure).with("reason", AuditValue::Code(reason))
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: AuditValue) -> Self {
        self.details.insert(name, value);
        self
    }
}

/// An act that was announced to the trail and whose outcome is still to be written. An intent that nobody ends stays in the
/// trail as what it is: work that was cut off.
#[must_use = "the outcome has to be written"]
#[derive(Debug)]
pub struct Intent {
    event: AuditEvent,
}

impl Intent {
    /// Writes the event as an intent. The act may begin only after this.
    pub async fn write(log: &dyn AuditLog, event: AuditEvent) -> Result<Self, PortError> {
        let event = AuditEvent { outcome: Outcome::Intended, ..event };
        log.append(&event).await?;
        Ok(Self { event })
    }

    /// The outcome's event, to add details to: the same act, under an id of its own, with the intent's.
    #[must_use]
    pub fn outcome(self, ids: &dyn IdSource, now: Timestamp, outcome: Outcome) -> AuditEvent {
        let intent = self.event.id;
        AuditEvent { id: ids.next(now), recorded: now, outcome, ..self.event }.with("intent", AuditValue::Event(intent))
    }

    /// Another event as the outcome: an act that ended as something else than what was announced.
    #[must_use]
    pub fn ended_as(self, event: AuditEvent) -> AuditEvent {
        event.with("intent", AuditValue::Event(self.event.id))
    }

    /// Writes the outcome.
    pub async fn end(self, log: &dyn AuditLog, ids: &dyn IdSource, now: Timestamp, outcome: Outcome) -> Result<(), PortError> {
        log.append(&self.outcome(ids, now, outcome)).await
    }
}

/// Where events are appended. There is no way to change or remove one.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Stores the event durably. A request whose event cannot be stored fails.
    async fn append(&self, event: &AuditEvent) -> Result<(), PortError>;
}
