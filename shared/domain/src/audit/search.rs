//! Reading the trail: by entity, actor, kind, request and time, a page at a time. The reading is itself in the trail before
//! its result leaves.

use super::pseudonyms::agent;
use super::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Outcome, OutsideKind, Pseudonym, Pseudonyms};
use crate::context::{Act, Context, NotAllowed};
use crate::fault::{Fault, PortError};
use crate::ids::{IdSource, RequestId, SubjectId, TenantId};
use async_trait::async_trait;
use jiff::Timestamp;
use ulid::Ulid;

/// Rows per page of a search.
pub const PAGE_MAX: u32 = 200;
/// Rows per page of an export: some 600 bytes each in the table, under 3 KB as FHIR, and an answer may have 6 MB.
pub const EXPORT_MAX: u32 = 1_000;

/// What is looked for. What is `None` may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailFilter {
    /// What it was done to: kind and id.
    pub entity: Option<(String, String)>,
    /// Who did it.
    pub actor: Option<SubjectId>,
    /// Who did it, as another system names them.
    pub outside_actor: Option<String>,
    /// What was done.
    pub event_type: Option<EventType>,
    /// In which request.
    pub request: Option<RequestId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// The newest first.
    pub newest_first: bool,
}

/// A row as it is stored. Texts, because the trail outlives the catalogue of any one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailRow {
    /// The event's id.
    pub id: String,
    /// When it was recorded.
    pub timestamp: String,
    /// The kind.
    pub event_type: String,
    /// FHIR's letter.
    pub action: String,
    /// The outcome.
    pub outcome: String,
    /// What kind of thing.
    pub entity_type: String,
    /// Which one.
    pub entity_id: String,
    /// Who.
    pub agent: String,
    /// In which roles.
    pub roles: Vec<String>,
    /// In which request.
    pub request_id: String,
    /// Which other system reported it.
    pub source: Option<String>,
    /// The details, as JSON.
    pub details: String,
}

/// One page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailPage {
    /// The rows.
    pub rows: Vec<TrailRow>,
    /// Where the next page begins, if there is one.
    pub next: Option<Ulid>,
}

/// The trail of a tenant, to read.
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// One page of what matches, after this event in the filter's order.
    async fn page(
        &self,
        tenant: &TenantId,
        filter: &TrailFilter,
        after: Option<Ulid>,
        limit: u32,
    ) -> Result<TrailPage, PortError>;
}

/// What the rows are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody looks.
    Look,
    /// A file of this format leaves.
    Export(&'static str),
}

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum SearchTrailError {
    /// The caller is no auditor.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The time ends before it begins.
    #[error("`from` must be before `to`")]
    BadTime,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl SearchTrailError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotAllowed(_) => Fault::Denied,
            Self::BadTime => Fault::Caller,
            Self::Port(error) => error.fault(),
        }
    }
}

/// The use case with its ports.
pub struct SearchTrail<'a> {
    /// The trail, to read.
    pub trail: &'a dyn AuditTrail,
    /// The trail, to append to.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
    /// Finds what another system named.
    pub pseudonyms: &'a Pseudonyms,
}

impl SearchTrail<'_> {
    /// One page of the caller's tenant.
    pub async fn run(
        &self,
        context: &Context,
        filter: &TrailFilter,
        after: Option<Ulid>,
        limit: u32,
        purpose: Purpose,
    ) -> Result<TrailPage, SearchTrailError> {
        context.allow(Act::ReadTrail)?;
        if filter.from.zip(filter.to).is_some_and(|(from, to)| from >= to) {
            return Err(SearchTrailError::BadTime);
        }
        let stored = self.as_stored(&context.tenant, filter);
        let page = self.trail.page(&context.tenant, &stored, after, limit).await?;
        let event_type = match purpose {
            Purpose::Look => EventType::AuditQueried,
            Purpose::Export(_) => EventType::AuditExported,
        };
        let trail = Entity::Trail(context.tenant.clone());
        let mut event = AuditEvent::new(self.ids, context, event_type, trail, Outcome::Success)
            .with("rows", AuditValue::Count(page.rows.len() as u64))
            .with("by", AuditValue::Code(by(filter)));
        if let Purpose::Export(format) = purpose {
            event = event.with("format", AuditValue::Code(format));
        }
        self.audit.append(&event).await?;
        Ok(page)
    }

    /// An identifier of another system is stored as its pseudonym, so that is what is looked for.
    fn as_stored(&self, tenant: &TenantId, filter: &TrailFilter) -> TrailFilter {
        let mut stored = filter.clone();
        if let Some((kind, id)) = &mut stored.entity
            && let Some(outside) = OutsideKind::ALL.iter().find(|outside| outside.as_str() == kind)
            && Pseudonym::parse(id).is_err()
        {
            self.pseudonyms.of(tenant, *outside, id).as_str().clone_into(id);
        }
        if let Some(name) = stored.outside_actor.take() {
            stored.actor = Some(agent(&self.pseudonyms.of(tenant, OutsideKind::Account, &name)));
        }
        stored
    }
}

/// By what was searched, without saying for whom or what: that would be one more place to keep it.
const fn by(filter: &TrailFilter) -> &'static str {
    if filter.entity.is_some() {
        "entity"
    } else if filter.request.is_some() {
        "request"
    } else if filter.actor.is_some() || filter.outside_actor.is_some() {
        "actor"
    } else if filter.event_type.is_some() {
        "type"
    } else {
        "time"
    }
}
