//! The audit trail in memory, for those who read it and for other systems that report to it.

use crate::simple::MemoryAuditLog;
use async_trait::async_trait;
use domain::audit::coverage::{AccessRecord, RequestTrail};
use domain::audit::receive::{EventIntake, Taken};
use domain::audit::search::{AuditTrail, TrailFilter, TrailPage, TrailRow};
use domain::audit::{AuditEvent, AuditLog as _};
use domain::fault::PortError;
use domain::ids::TenantId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use ulid::Ulid;

type Keys = BTreeMap<(TenantId, [u8; 32]), (Ulid, [u8; 32])>;

/// Reads what was appended to a log, and takes events into it once per key. A clone is the same trail.
#[derive(Clone, Default)]
pub struct MemoryTrail {
    log: MemoryAuditLog,
    keys: Arc<Mutex<Keys>>,
}

impl MemoryTrail {
    /// Over a log.
    pub fn new(log: MemoryAuditLog) -> Self {
        Self { log, keys: Arc::default() }
    }
}

/// A row as the table would have it.
pub fn trail_row(event: &AuditEvent) -> TrailRow {
    TrailRow {
        id: event.id.to_string(),
        timestamp: event.recorded.to_string(),
        event_type: event.event_type.as_str().to_owned(),
        action: event.event_type.action().as_str().to_owned(),
        outcome: event.outcome.as_str().to_owned(),
        entity_type: event.entity.kind().to_owned(),
        entity_id: event.entity.id().to_owned(),
        agent: event.agent.as_str().to_owned(),
        roles: event.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        request_id: event.request_id.as_str().to_owned(),
        source: event.source.as_ref().map(|source| source.as_str().to_owned()),
        details: serde_json::to_string(&event.details).expect("details are JSON"),
    }
}

#[async_trait]
impl EventIntake for MemoryTrail {
    async fn take(&self, event: &AuditEvent, key: &[u8; 32], content: &[u8; 32]) -> Result<Taken, PortError> {
        let place = (event.tenant.clone(), *key);
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&place).copied();
        if let Some((id, stored)) = known {
            return Ok(if stored == *content { Taken::Before(id) } else { Taken::Other });
        }
        self.log.append(event).await?;
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(place, (event.id, *content));
        Ok(Taken::Now)
    }
}

#[async_trait]
impl RequestTrail for MemoryTrail {
    async fn has_rows(&self, requests: &[AccessRecord]) -> Result<Vec<bool>, PortError> {
        let events = self.log.events();
        let is_its = |request: &AccessRecord, event: &AuditEvent| {
            event.request_id == request.request && request.rows_between().holds(event.recorded)
        };
        Ok(requests.iter().map(|request| events.iter().any(|event| is_its(request, event))).collect())
    }
}

#[async_trait]
impl AuditTrail for MemoryTrail {
    async fn page(
        &self,
        tenant: &TenantId,
        filter: &TrailFilter,
        after: Option<Ulid>,
        limit: u32,
    ) -> Result<TrailPage, PortError> {
        let mut events: Vec<AuditEvent> = self.log.events().into_iter().filter(|event| event.tenant == *tenant).collect();
        events.sort_by_key(|event| event.id);
        if filter.newest_first {
            events.reverse();
        }
        let matches = |event: &AuditEvent| {
            let entity = (event.entity.kind(), event.entity.id());
            filter.entity.as_ref().is_none_or(|(kind, id)| entity == (kind, id))
                && filter.actor.as_ref().is_none_or(|actor| event.agent == *actor)
                && filter.event_type.is_none_or(|kind| event.event_type == kind)
                && filter.request.as_ref().is_none_or(|request| event.request_id == *request)
                && filter.from.is_none_or(|from| event.recorded >= from)
                && filter.to.is_none_or(|to| event.recorded < to)
                && after.is_none_or(|after| if filter.newest_first { event.id < after } else { event.id > after })
        };
        let mut found: Vec<&AuditEvent> = events.iter().filter(|event| matches(event)).collect();
        let has_more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| has_more).map(|last| last.id);
        Ok(TrailPage { rows: found.into_iter().map(trail_row).collect(), next })
    }
}
