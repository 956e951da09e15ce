//! Events of other systems: each is checked against its kind's schema, its identifiers become pseudonyms, and it is taken
//! once for its sender's key. One bad event harms no other of its batch, and nothing is half-written.

use super::pseudonyms::agent;
use super::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Label, Origin, Outcome, OutsideKind, Pseudonyms};
use crate::context::{Act, Context, NotAllowed};
use crate::fault::{Fault, PortError};
use crate::ids::{IdSource, TenantId};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use ulid::Ulid;

/// Events in a batch.
pub const BATCH_MAX: usize = 100;
/// Clocks of servers that are looked after differ by less.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// A system that was cut off for a week may still report what happened; what is older is not news but history.
const BEHIND_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A sender's key and an identifier are short; what is longer is content.
const TEXT_CHARS_MAX: usize = 128;

/// What another system reports, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The sender's own key for this event: the same key is the same event.
    pub key: String,
    /// The kind's name.
    pub event_type: String,
    /// When it happened, by the sender's clock.
    pub occurred_at: Timestamp,
    /// `success` or `failure`.
    pub outcome: String,
    /// Who did it, as the sender names them.
    pub actor: String,
    /// What kind of thing it was done to.
    pub entity_type: String,
    /// Which one, as the sender names it.
    pub entity_id: String,
    /// Numbers and codes, by the kind's schema.
    pub fields: BTreeMap<String, Field>,
}

/// A field of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A number.
    Count(u64),
    /// A word; must be one of the kind's codes.
    Word(String),
}

/// Why an event was not taken. Names fields, never what was in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefuseEventError {
    /// Not an object of the fields that the README lists, or over 4 KB.
    #[error(
        "an event has key, event_type, occurred_at, outcome, actor, entity and data as the README lists them, in at most 4 KB"
    )]
    BadShape,
    /// Not one of the five kinds that other systems report.
    #[error("event_type must be bill_validated, fraud_detected, user_login, data_access or configuration_change")]
    UnknownType,
    /// A key or identifier is empty, too long, or has control characters.
    #[error("{0} must be 1 to {TEXT_CHARS_MAX} characters without control characters")]
    BadText(&'static str),
    /// The outcome is none.
    #[error("outcome must be success or failure")]
    BadOutcome,
    /// Events of this kind are about other things.
    #[error("an event of this kind is about one of: {0}")]
    BadEntity(&'static str),
    /// A setting or system has another form of name.
    #[error("a setting or system is named by 1 to 96 lower-case letters, digits and . _ : / -")]
    BadName,
    /// The data has a field that the kind does not have.
    #[error("data of this kind has only: {0}")]
    UnknownField(&'static str),
    /// A field is missing or has another type or code.
    #[error("{0} is missing or not what the README lists")]
    BadField(&'static str),
    /// The sender's clock is far off.
    #[error("occurred_at must lie within the last seven days and at most five minutes ahead")]
    BadClock,
    /// The same key came with other content.
    #[error("this key came before with other content")]
    OtherContent,
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It is in the trail under this id.
    Stored(Ulid),
    /// It was there already, under this id.
    Repeat(Ulid),
    /// It was not taken.
    Refused(RefuseEventError),
}

/// What the store says of an event that was to be taken once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Now.
    Now,
    /// Before, under this id, with the same content.
    Before(Ulid),
    /// Before, with other content.
    Other,
}

/// Takes events once per key. The event and its key are written together or not at all.
#[async_trait]
pub trait EventIntake: Send + Sync {
    /// Stores the event unless the key is known. `content` tells whether a known key came with the same content.
    async fn take(&self, event: &AuditEvent, key: &[u8; 32], content: &[u8; 32]) -> Result<Taken, PortError>;
}

/// Why a batch was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveEventsError {
    /// The caller is no audit source.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// There are none, or too many.
    #[error("a batch has 1 to {BATCH_MAX} events")]
    BadBatch,
    /// A port failed. What was stored until then is stored, and the same batch again changes nothing of it.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ReceiveEventsError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotAllowed(_) => Fault::Denied,
            Self::BadBatch => Fault::Caller,
            Self::Port(error) => error.fault(),
        }
    }
}

/// The use case with its ports.
pub struct ReceiveEvents<'a> {
    /// Takes each event once.
    pub intake: &'a dyn EventIntake,
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
    /// Hides identifiers.
    pub pseudonyms: &'a Pseudonyms,
}

impl ReceiveEvents<'_> {
    /// Takes a batch, one result per event in its order. `Err` in the batch is an event that could not even be read.
    pub async fn run(
        &self,
        context: &Context,
        batch: &[Result<Reported, RefuseEventError>],
    ) -> Result<Vec<Received>, ReceiveEventsError> {
        context.allow(Act::ReportEvents)?;
        if batch.is_empty() || batch.len() > BATCH_MAX {
            return Err(ReceiveEventsError::BadBatch);
        }
        let mut received = Vec::with_capacity(batch.len());
        for reported in batch {
            received.push(match reported {
                Ok(reported) => self.take(context, reported).await?,
                Err(refused) => Received::Refused(*refused),
            });
        }
        let count = |wanted: fn(&Received) -> bool| AuditValue::Count(received.iter().filter(|r| wanted(r)).count() as u64);
        let trail = Entity::Trail(context.tenant.clone());
        let event = AuditEvent::new(self.ids, context, EventType::AuditReceived, trail, Outcome::Success)
            .with("stored", count(|r| matches!(r, Received::Stored(_))))
            .with("repeated", count(|r| matches!(r, Received::Repeat(_))))
            .with("refused", count(|r| matches!(r, Received::Refused(_))));
        self.audit.append(&event).await?;
        Ok(received)
    }

    async fn take(&self, context: &Context, reported: &Reported) -> Result<Received, PortError> {
        let event = match self.event(context, reported) {
            Ok(event) => event,
            Err(refused) => return Ok(Received::Refused(refused)),
        };
        let source = context.actor.subject.as_str().as_bytes();
        let key = self.pseudonyms.digest(&context.tenant, "key", &[source, reported.key.as_bytes()]);
        let print = content(self.pseudonyms, &context.tenant, reported);
        Ok(match self.intake.take(&event, &key, &print).await? {
            Taken::Now => Received::Stored(event.id),
            Taken::Before(id) => Received::Repeat(id),
            Taken::Other => Received::Refused(RefuseEventError::OtherContent),
        })
    }

    fn event(&self, context: &Context, reported: &Reported) -> Result<AuditEvent, RefuseEventError> {
        let event_type = EventType::parse(&reported.event_type).filter(|kind| kind.origin() == Origin::Outside);
        let schema = event_type.and_then(Schema::of).ok_or(RefuseEventError::UnknownType)?;
        for (name, text) in [("key", &reported.key), ("actor", &reported.actor), ("entity id", &reported.entity_id)] {
            let chars = text.trim().chars().count();
            if !(1..=TEXT_CHARS_MAX).contains(&chars) || text.chars().any(char::is_control) {
                return Err(RefuseEventError::BadText(name));
            }
        }
        let outcome = match reported.outcome.as_str() {
            "success" => Outcome::Success,
            "failure" => Outcome::Failure,
            _ => return Err(RefuseEventError::BadOutcome),
        };
        let offset = reported.occurred_at.duration_since(context.now);
        if offset > AHEAD_MAX || offset < -BEHIND_MAX {
            return Err(RefuseEventError::BadClock);
        }
        let entity = self.entity(&context.tenant, &schema, reported)?;
        let actor = self.pseudonyms.of(&context.tenant, OutsideKind::Account, &reported.actor);
        let mut event = AuditEvent::new(self.ids, context, schema.event_type, entity, outcome)
            .with("occurred_at", AuditValue::Time(reported.occurred_at));
        event.agent = agent(&actor);
        event.roles = Vec::new();
        event.source = Some(context.actor.subject.clone());
        event.details.extend(schema.read(&reported.fields)?);
        Ok(event)
    }

    fn entity(&self, tenant: &TenantId, schema: &Schema, reported: &Reported) -> Result<Entity, RefuseEventError> {
        let is_named = schema.entities.split(", ").any(|kind| kind == reported.entity_type);
        if !is_named {
            return Err(RefuseEventError::BadEntity(schema.entities));
        }
        let outside = OutsideKind::ALL.iter().find(|kind| kind.as_str() == reported.entity_type);
        let Some(kind) = outside else {
            let label = Label::parse(reported.entity_id.trim()).map_err(|_| RefuseEventError::BadName)?;
            return Ok(if reported.entity_type == "setting" { Entity::Setting(label) } else { Entity::System(label) });
        };
        Ok(Entity::Outside(*kind, self.pseudonyms.of(tenant, *kind, &reported.entity_id)))
    }
}

/// What a repeat must have in common with the first.
fn content(pseudonyms: &Pseudonyms, tenant: &TenantId, reported: &Reported) -> [u8; 32] {
    let when = reported.occurred_at.to_string();
    let mut parts: Vec<Vec<u8>> = [&reported.event_type, &when, &reported.outcome, &reported.actor]
        .into_iter()
        .chain([&reported.entity_type, &reported.entity_id])
        .map(|text| text.as_bytes().to_vec())
        .collect();
    for (name, field) in &reported.fields {
        parts.push(name.as_bytes().to_vec());
        parts.push(match field {
            Field::Count(count) => count.to_be_bytes().to_vec(),
            Field::Word(word) => [b"word ", word.as_bytes()].concat(),
        });
    }
    pseudonyms.digest(tenant, "content", &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// What a field may hold.
enum Rule {
    /// Up to so many.
    UpTo(u64),
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// What an event of a kind is about and what is said of it.
struct Schema {
    event_type: EventType,
    entities: &'static str,
    names: &'static str,
    fields: &'static [(&'static str, Rule, bool)],
}

impl Schema {
    /// The five kinds. The flag says that the field must be there.
    fn of(event_type: EventType) -> Option<Self> {
        use Rule::{OneOf, UpTo};
        const ANY: u64 = 1_000_000_000;
        let (entities, names, fields): (_, _, &'static [(_, Rule, bool)]) = match event_type {
            EventType::BillValidated => {
                ("bill, claim", "issues, lines", &[("issues", UpTo(ANY), true), ("lines", UpTo(ANY), false)])
            }
            EventType::FraudDetected => (
                "bill, claim, account",
                "score, category",
                &[
                    ("score", UpTo(100), true),
                    ("category", OneOf(&["duplicate", "upcoding", "unbundling", "phantom", "identity", "other"]), false),
                ],
            ),
            EventType::UserLogin => {
                ("account", "method", &[("method", OneOf(&["password", "mfa", "sso", "token", "certificate"]), false)])
            }
            EventType::DataAccess => (
                "patient, record, bill, claim, account",
                "records, purpose",
                &[
                    ("records", UpTo(ANY), false),
                    ("purpose", OneOf(&["treatment", "payment", "operations", "research", "legal", "emergency"]), false),
                ],
            ),
            EventType::ConfigurationChange => {
                ("setting, system", "change", &[("change", OneOf(&["created", "updated", "deleted"]), true)])
            }
            _ => return None,
        };
        Some(Self { event_type, entities, names, fields })
    }

    fn read(&self, sent: &BTreeMap<String, Field>) -> Result<BTreeMap<&'static str, AuditValue>, RefuseEventError> {
        if sent.keys().any(|name| self.fields.iter().all(|(known, _, _)| known != name)) {
            return Err(RefuseEventError::UnknownField(self.names));
        }
        let mut details = BTreeMap::new();
        for (name, rule, is_needed) in self.fields {
            let value = match (sent.get(*name), rule) {
                (None, _) if !is_needed => continue,
                (Some(Field::Count(count)), Rule::UpTo(most)) if count <= most => AuditValue::Count(*count),
                (Some(Field::Word(word)), Rule::OneOf(codes)) => {
                    let code = codes.iter().find(|code| *code == word).ok_or(RefuseEventError::BadField(name))?;
                    AuditValue::Code(code)
                }
                _ => return Err(RefuseEventError::BadField(name)),
            };
            details.insert(*name, value);
        }
        Ok(details)
    }
}
