//! Comparing what the API let through with what the trail says: each request that reached a function has a row, or its id is
//! named. The two are written by two parties - the gateway and our functions -, so that neither can leave something out unseen.

use super::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Outcome};
use crate::context::{Actor, Context};
use crate::fault::PortError;
use crate::ids::{IdSource, RequestId, SubjectId, TenantId};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How late a record may come: a window is closed when it is over for so long.
pub const LATE: SignedDuration = SignedDuration::from_mins(15);
/// How far a row's time may be from that of its request: clocks differ, and an answer in pieces takes its time.
const BEFORE: SignedDuration = SignedDuration::from_mins(5);
const AFTER: SignedDuration = SignedDuration::from_mins(20);
/// Ids that a report names; beyond that it counts.
pub const NAMED_MAX: usize = 1_000;
/// Why the gateway turns somebody away before any function is asked. A closed list: what is not on it has to have a row.
const TURNED_AWAY: &[&str] = &[
    "ACCESS_DENIED",
    "AUTHORIZER_CONFIGURATION_ERROR",
    "AUTHORIZER_FAILURE",
    "BAD_REQUEST_BODY",
    "BAD_REQUEST_PARAMETERS",
    "EXPIRED_TOKEN",
    "INVALID_API_KEY",
    "INVALID_SIGNATURE",
    "MISSING_AUTHENTICATION_TOKEN",
    "QUOTA_EXCEEDED",
    "REQUEST_TOO_LARGE",
    "RESOURCE_NOT_FOUND",
    "THROTTLED",
    "UNAUTHORIZED",
    "UNSUPPORTED_MEDIA_TYPE",
    "WAF_FILTERED",
];

/// A stretch of time that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, which is not in it.
    pub to: Timestamp,
}

impl Window {
    /// From one time to another, if there is something between them.
    pub fn new(from: Timestamp, to: Timestamp) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// The last whole stretch of this length (an hour, a day) of which nothing more can come.
    pub fn last_closed(length: SignedDuration, now: Timestamp) -> Self {
        let closed = (now - LATE).as_second();
        let to = Timestamp::from_second(closed - closed.rem_euclid(length.as_secs())).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { from: to - length, to }
    }

    /// Whether a time is in it.
    pub fn holds(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }
}

/// A request as the gateway has recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRecord {
    /// Its id.
    pub request: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// What it was answered with.
    pub status: u16,
    /// The gateway's code, if it did not answer with what a function said.
    pub refusal: Option<String>,
    /// Whether a function was asked.
    pub is_integrated: bool,
}

impl AccessRecord {
    /// When its row was written, if there is one. A row from another time is another request's.
    pub fn rows_between(&self) -> Window {
        Window { from: self.at - BEFORE, to: self.at + AFTER }
    }

    /// Why the gateway turned it away, if no function was asked.
    fn turned_away(&self) -> Option<&str> {
        self.refusal.as_deref().filter(|code| TURNED_AWAY.contains(code) && !self.is_integrated)
    }
}

/// Some of the records of a window.
#[derive(Debug, Clone, Default)]
pub struct AccessPage {
    /// The records.
    pub records: Vec<AccessRecord>,
    /// Lines that are no records: there should be none.
    pub unreadable: u64,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What the gateway has recorded.
#[async_trait]
pub trait AccessRecords: Send + Sync {
    /// One page of a window's records.
    async fn page(&self, window: &Window, next: Option<&str>) -> Result<AccessPage, PortError>;
}

/// Which requests the trail has rows of, whatever their tenants.
#[async_trait]
pub trait RequestTrail: Send + Sync {
    /// For each request, in order, whether there is a row of it from its time.
    async fn has_rows(&self, requests: &[AccessRecord]) -> Result<Vec<bool>, PortError>;
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Of which time.
    pub window: Window,
    /// Requests that reached a function, without those that failed.
    pub requests: u64,
    /// Of these, those that have a row.
    pub covered: u64,
    /// Of the others, the first ones' ids.
    pub missing: Vec<RequestId>,
    /// Requests that ended with 5xx and left no row: nothing was done and nothing was shown.
    pub failed: u64,
    /// Requests that the gateway turned away before a function was asked, by its reason.
    pub turned_away: BTreeMap<String, u64>,
    /// Requests under an id that another one had. The gateway gives each its own; if it does not, one row cannot stand for two
    /// requests, and they count as without one.
    pub repeated: u64,
    /// Lines of the access log that are no records.
    pub unreadable: u64,
}

impl Coverage {
    /// How many have no row.
    pub const fn missing_count(&self) -> u64 {
        self.requests - self.covered
    }

    /// Whether nothing is missing, as far as can be told.
    pub const fn is_whole(&self) -> bool {
        self.requests == self.covered && self.repeated == 0 && self.unreadable == 0
    }

    /// Hundredths of a percent, rounded down: 100.00 is said of nothing less.
    const fn basis_points(&self) -> u64 {
        match (self.covered * 10_000).checked_div(self.requests) {
            Some(hundredths) => hundredths,
            None => 10_000,
        }
    }

    /// As a number.
    pub fn percent(&self) -> f64 {
        self.basis_points() as f64 / 100.0
    }

    /// Such as `100.00 %`.
    pub fn text(&self) -> String {
        format!("{}.{:02} %", self.basis_points() / 100, self.basis_points() % 100)
    }
}

/// The use case with its ports.
pub struct ReconcileAccess<'a> {
    /// What the gateway has recorded.
    pub records: &'a dyn AccessRecords,
    /// What the trail has.
    pub trail: &'a dyn RequestTrail,
}

impl ReconcileAccess<'_> {
    /// Compares a window.
    pub async fn run(&self, window: Window) -> Result<Coverage, PortError> {
        let mut coverage = Coverage {
            window,
            requests: 0,
            covered: 0,
            missing: Vec::new(),
            failed: 0,
            turned_away: BTreeMap::new(),
            repeated: 0,
            unreadable: 0,
        };
        let mut seen: BTreeSet<(RequestId, Timestamp)> = BTreeSet::new();
        let mut ids: BTreeSet<RequestId> = BTreeSet::new();
        let mut next = None;
        loop {
            let page = self.records.page(&window, next.as_deref()).await?;
            coverage.unreadable += page.unreadable;
            let mut asked: Vec<AccessRecord> = Vec::new();
            let mut again: Vec<AccessRecord> = Vec::new();
            for record in page.records.into_iter().filter(|record| window.holds(record.at)) {
                // A log line may be delivered twice; that is one request.
                if !seen.insert((record.request.clone(), record.at)) {
                    continue;
                }
                if let Some(code) = record.turned_away() {
                    *coverage.turned_away.entry(code.to_owned()).or_insert(0) += 1;
                } else if ids.insert(record.request.clone()) {
                    asked.push(record);
                } else {
                    again.push(record);
                }
            }
            coverage.repeated += again.len() as u64;
            for record in again {
                coverage.count(record, false);
            }
            let found = self.trail.has_rows(&asked).await?;
            for (record, has_row) in asked.into_iter().zip(found) {
                coverage.count(record, has_row);
            }
            next = page.next;
            if next.is_none() {
                return Ok(coverage);
            }
        }
    }
}

impl Coverage {
    fn count(&mut self, record: AccessRecord, has_row: bool) {
        if !has_row && record.status >= 500 {
            self.failed += 1;
            return;
        }
        self.requests += 1;
        self.covered += u64::from(has_row);
        if !has_row && self.missing.len() < NAMED_MAX {
            self.missing.push(record.request);
        }
    }
}

/// Records what came of a comparison, in the deployment's own trail: a request without a row has no tenant.
pub async fn record_coverage(
    audit: &dyn AuditLog,
    ids: &dyn IdSource,
    coverage: &Coverage,
    request_id: RequestId,
    now: Timestamp,
) -> Result<(), PortError> {
    let subject = SubjectId::system("audit-reconcile");
    let actor = Actor { subject, roles: Vec::new(), groups: BTreeSet::new(), department: None };
    let context = Context { actor, tenant: TenantId::deployment(), request_id, now };
    let outcome = if coverage.is_whole() { Outcome::Success } else { Outcome::Failure };
    let event = AuditEvent::new(ids, &context, EventType::AuditReconciled, Entity::Trail(context.tenant.clone()), outcome)
        .with("from", AuditValue::Time(coverage.window.from))
        .with("to", AuditValue::Time(coverage.window.to))
        .with("requests", AuditValue::Count(coverage.requests))
        .with("missing", AuditValue::Count(coverage.missing_count()))
        .with("failed", AuditValue::Count(coverage.failed))
        .with("turned_away", AuditValue::Count(coverage.turned_away.values().sum()))
        .with("unreadable", AuditValue::Count(coverage.unreadable));
    audit.append(&event).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_taken_when_its_last_records_have_come() {
        let closed = |now: &str, minutes| Window::last_closed(SignedDuration::from_mins(minutes), now.parse().unwrap());
        let hour = closed("2026-01-05T08:20:00Z", 60);
        assert_eq!((hour.from.to_string(), hour.to.to_string()), ("2026-01-05T07:00:00Z".into(), "2026-01-05T08:00:00Z".into()));
        assert_eq!(closed("2026-01-05T08:14:59Z", 60).to, "2026-01-05T07:00:00Z".parse().unwrap());
        assert_eq!(closed("2026-01-05T08:20:00Z", 24 * 60).from, "2026-01-04T00:00:00Z".parse().unwrap());
        assert!(hour.holds(hour.from) && !hour.holds(hour.to));
        assert_eq!(Window::new(hour.to, hour.from), None);
    }

    #[test]
    fn all_is_said_of_nothing_less() {
        let window = Window::last_closed(SignedDuration::from_hours(1), Timestamp::UNIX_EPOCH);
        let of = |requests, covered| Coverage {
            window,
            requests,
            covered,
            missing: Vec::new(),
            failed: 0,
            turned_away: BTreeMap::new(),
            repeated: 0,
            unreadable: 0,
        };
        let text = |requests, covered| of(requests, covered).text();
        assert_eq!([text(0, 0), text(7, 7), text(100_000, 99_999), text(3, 2)], ["100.00 %", "100.00 %", "99.99 %", "66.66 %"]);
        assert!(of(7, 7).is_whole() && !of(7, 6).is_whole());
        assert!(!Coverage { unreadable: 1, ..of(7, 7) }.is_whole());
        assert!(!Coverage { repeated: 1, ..of(7, 7) }.is_whole());
    }
}
