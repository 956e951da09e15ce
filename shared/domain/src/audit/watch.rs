//! Looking at each change of the trail's table as it comes by, and telling somebody where a rule says so.
//!
//! **Once per key.** A message is claimed in the memory, published, and marked as sent. A death before the publication leaves a
//! claim that the same record, when it comes again, takes over at once, and any other record when its lease is over: the
//! message is late, not lost. A death between the publication and the mark publishes it once more, under the same key: a topic
//! cannot be asked whether it has a message already, so one of the two must be possible, and a lost alert is the worse one.

use super::rules::{Per, Rule, Tampering};
use super::{AuditValue, EventType, Label, Outcome};
use crate::alert::{Alert, AlertSink};
use crate::fault::PortError;
use crate::ids::TenantId;
use crate::text::hexadecimal;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use ulid::Ulid;

/// A publication takes seconds; the function that does it ends within this time.
const LEASE: SignedDuration = SignedDuration::from_secs(90);
/// What a process remembers of messages that were sent. Beyond that it asks the memory again.
const KNOWN_MAX: usize = 10_000;

/// What a rule looks at in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEvent {
    /// The kind.
    pub event_type: EventType,
    /// The outcome.
    pub outcome: Outcome,
    /// Kind and id of what it is about.
    pub entity: String,
    /// Who did it.
    pub actor: String,
}

/// What happened to the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It was appended.
    Appended(SeenEvent),
    /// Something that nobody may do.
    Tampered(Tampering),
    /// It was removed at the end of its time.
    Expired,
}

/// One change of the trail's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The stream's own id of the change: the same when it comes again.
    pub record: String,
    /// Whose trail.
    pub tenant: TenantId,
    /// Which row.
    pub row: Ulid,
    /// When the row was recorded, or the change happened.
    pub at: Timestamp,
    /// When what it says happened: rates are counted in that time, however late it was reported.
    pub occurred: Timestamp,
    /// What happened.
    pub seen: Seen,
}

/// A row in a series of rows that are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The rule, the tenant, and whose.
    pub series: String,
    /// The row.
    pub row: Ulid,
    /// When it happened.
    pub at: Timestamp,
    /// How far around it is looked.
    pub span: SignedDuration,
    /// How many rows on either side are enough to know.
    pub limit: u32,
    /// When it may be forgotten.
    pub expires: Timestamp,
}

/// A message that somebody is about to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Rule, tenant and time.
    pub group: String,
    /// Which message of the group.
    pub key: String,
    /// The record that it is sent for.
    pub holder: String,
    /// Now.
    pub now: Timestamp,
    /// Until when nobody else sends it.
    pub until: Timestamp,
    /// When it may be forgotten.
    pub expires: Timestamp,
}

/// What the memory says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// Send it.
    Mine,
    /// It was sent.
    Sent,
    /// Another record is at it.
    Elsewhere,
}

/// What was counted and sent before.
#[async_trait]
pub trait AlertMemory: Send + Sync {
    /// Notes a row in its series; answers when the rows around it happened, itself included: the nearest ones within its span,
    /// as many as its limit on either side. Noting a row twice is noting it once.
    async fn note(&self, mark: &Mark) -> Result<Vec<Timestamp>, PortError>;

    /// The keys of a group that were claimed, up to `limit` of them; the message about too many is not among them.
    async fn claims(&self, group: &str, limit: usize) -> Result<Vec<String>, PortError>;

    /// Claims a message.
    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError>;

    /// Marks a claimed message as sent.
    async fn sent(&self, claim: &Claim) -> Result<(), PortError>;
}

/// What this process knows to have been sent, so that a storm is not asked about record by record.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashSet<String>>);

impl Known {
    fn has(&self, key: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn add(&self, key: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key);
    }
}

/// The key of the message that says that there are more than the cap. `#` is in no digest.
pub const STORM: &str = "#storm";

/// The use case with its ports.
pub struct WatchTrail<'a> {
    /// The rules.
    pub rules: &'a [Rule],
    /// What was counted and sent.
    pub memory: &'a dyn AlertMemory,
    /// Where messages go.
    pub sink: &'a dyn AlertSink,
    /// What this process knows.
    pub known: &'a Known,
}

impl WatchTrail<'_> {
    /// Looks at one change; answers how many messages were sent for it. The same change again sends nothing twice.
    pub async fn look(&self, change: &Change, now: Timestamp) -> Result<usize, PortError> {
        let mut sent = 0;
        for rule in self.rules {
            if !fits(rule, change) {
                continue;
            }
            let scope = scope(rule.per, change);
            if let Some(rate) = rule.rate {
                let span = SignedDuration::from_mins(rate.minutes.into());
                let mark = Mark {
                    series: format!("{}#{}#{scope}", rule.name, change.tenant),
                    row: change.row,
                    at: change.occurred,
                    span,
                    limit: rate.count,
                    expires: now.max(change.occurred) + span * 2,
                };
                if most_within(self.memory.note(&mark).await?, span) < rate.count as usize {
                    continue;
                }
            }
            sent += usize::from(self.tell(rule, change, &scope, now).await?);
        }
        Ok(sent)
    }

    async fn tell(&self, rule: &Rule, change: &Change, scope: &str, now: Timestamp) -> Result<bool, PortError> {
        let quiet = SignedDuration::from_mins(rule.quiet_minutes.into());
        let period = change.at.as_second().div_euclid(quiet.as_secs());
        let group = format!("{}#{}#{period}", rule.name, change.tenant);
        let (one, all) = (format!("{group}#{scope}"), format!("{group}{STORM}"));
        if self.known.has(&one) || self.known.has(&all) {
            return Ok(false);
        }
        let claims = self.memory.claims(&group, rule.cap).await?;
        // A message that is claimed already is not one more.
        let is_storm = claims.len() >= rule.cap && !claims.iter().any(|key| key == scope);
        let claim = Claim {
            group: group.clone(),
            key: if is_storm { STORM.to_owned() } else { scope.to_owned() },
            holder: change.record.clone(),
            now,
            until: now + LEASE,
            // A stream replays a day: what was told then is not told again.
            expires: now.max(change.at) + (quiet * 2).max(SignedDuration::from_hours(48)),
        };
        let place = if is_storm { all } else { one };
        match self.memory.claim(&claim).await? {
            Claimed::Elsewhere => return Ok(false),
            Claimed::Sent => {
                self.known.add(place);
                return Ok(false);
            }
            Claimed::Mine => {}
        }
        self.sink.publish(&alert(rule, change, &place, is_storm)).await?;
        self.memory.sent(&claim).await?;
        self.known.add(place);
        Ok(true)
    }
}

/// The most that happened within a span. Rows come in any order: one that closes a gap counts what came before it and after.
fn most_within(mut times: Vec<Timestamp>, span: SignedDuration) -> usize {
    times.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (at, time) in times.iter().enumerate() {
        while time.duration_since(times[first]) > span {
            first += 1;
        }
        most = most.max(at + 1 - first);
    }
    most
}

fn fits(rule: &Rule, change: &Change) -> bool {
    match &change.seen {
        Seen::Appended(event) => {
            rule.events.contains(&event.event_type) && rule.outcome.is_none_or(|outcome| outcome == event.outcome)
        }
        Seen::Tampered(tampering) => rule.tampering == Some(*tampering),
        Seen::Expired => false,
    }
}

/// Whose events count together, as a digest: an alert's key leaves the account, and nobody is to be read out of it.
fn scope(per: Per, change: &Change) -> String {
    let row = change.row.to_string();
    let of = match (&change.seen, per) {
        (_, Per::Tenant) => "",
        (Seen::Appended(event), Per::Entity) => &event.entity,
        (Seen::Appended(event), Per::Actor) => &event.actor,
        _ => &row,
    };
    hexadecimal(&Sha256::digest(of.as_bytes())[..8])
}

fn alert(rule: &Rule, change: &Change, dedupe_key: &str, is_storm: bool) -> Alert {
    let mut facts = BTreeMap::from([("event", AuditValue::Event(change.row))]);
    facts.extend(Label::parse(change.tenant.as_str()).ok().map(|tenant| ("tenant", AuditValue::Label(tenant))));
    if let Some(rate) = rule.rate {
        facts.insert("at_least", AuditValue::Count(rate.count.into()));
        facts.insert("within_minutes", AuditValue::Count(rate.minutes.into()));
    }
    let headline = if is_storm {
        facts.insert("told_of_each_until", AuditValue::Count(rule.cap as u64));
        format!("There are more of these; the rest is in the trail only. {}", rule.headline)
    } else {
        rule.headline.clone()
    };
    Alert {
        kind: rule.name.clone(),
        severity: rule.severity,
        headline,
        facts,
        runbook: rule.runbook(),
        dedupe_key: dedupe_key.to_owned(),
        at: change.at,
    }
}
