//! How often one person may do something: so many within any hour, so many within any minute. A window slides: what counts is
//! the time of the last so-many admissions, not the hour on the clock. Counted by verified subject, never by address.

use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Label, Outcome};
use crate::context::Context;
use crate::fault::{Fault, PortError};
use crate::ids::{IdSource, RequestId, SubjectId, TenantId};
use async_trait::async_trait;
use jiff::Timestamp;

/// A window holds no more than this: the store keeps a time for each.
pub const WINDOW_MOST: u32 = 1_000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// Questions.
    Questions,
    /// Uploads.
    Uploads,
}

impl Limit {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Questions => "questions",
            Self::Uploads => "uploads",
        }
    }
}

/// So many within so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    most: u32,
    seconds: u32,
}

impl Window {
    /// A window; between 1 and [`WINDOW_MOST`].
    pub const fn new(most: u32, seconds: u32) -> Self {
        let most = if most == 0 { 1 } else { most };
        Self { most: if most > WINDOW_MOST { WINDOW_MOST } else { most }, seconds }
    }

    /// The most that it admits.
    pub const fn most(&self) -> u32 {
        self.most
    }

    /// The time of the admission that has to be over before there is room: the last but `most`.
    pub fn edge(&self, now: Timestamp) -> i64 {
        now.as_millisecond() - i64::from(self.seconds) * 1_000
    }
}

/// All windows that one thing is limited by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule(Vec<Window>);

impl Rule {
    /// So many an hour, and so many a minute if that is said. 0 is no limit.
    pub fn new(hourly: u32, minutely: Option<u32>) -> Self {
        let windows = [(hourly, 3_600), (minutely.unwrap_or(0), 60)];
        Self(windows.into_iter().filter(|(most, _)| *most > 0).map(|(most, seconds)| Window::new(most, seconds)).collect())
    }

    /// The windows.
    pub fn windows(&self) -> &[Window] {
        &self.0
    }

    /// How many admissions have to be remembered.
    pub fn remembered(&self) -> usize {
        self.0.iter().map(|window| window.most as usize).max().unwrap_or(0)
    }

    /// Whether there is room, given the times (milliseconds since 1970) of the last admissions, the latest admission first.
    /// If not: in how many whole seconds there will be.
    pub fn judge(&self, admitted: &[i64], now: Timestamp) -> Result<(), u32> {
        let waits = self.0.iter().filter_map(|window| {
            let oldest = admitted.get(window.most as usize - 1)?;
            let left = oldest - window.edge(now);
            (left > 0).then(|| u32::try_from(left.cast_unsigned().div_ceil(1_000)).unwrap_or(u32::MAX))
        });
        waits.max().map_or(Ok(()), Err)
    }
}

/// What holds for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// For questions.
    pub questions: Rule,
    /// For uploads.
    pub uploads: Rule,
}

impl Default for Limits {
    /// 50 questions an hour and 10 a minute, 20 uploads an hour.
    fn default() -> Self {
        Self { questions: Rule::new(50, Some(10)), uploads: Rule::new(20, None) }
    }
}

impl Limits {
    const fn rule(&self, limit: Limit) -> &Rule {
        match limit {
            Limit::Questions => &self.questions,
            Limit::Uploads => &self.uploads,
        }
    }
}

/// Whose admissions of what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitKey {
    /// The tenant.
    pub tenant: TenantId,
    /// The person, from the verified token.
    pub subject: SubjectId,
    /// What.
    pub limit: Limit,
}

/// Where admissions are counted.
#[async_trait]
pub trait AdmissionLog: Send + Sync {
    /// Notes an admission if [`Rule::judge`] has room for it, in one conditional write; otherwise says in how many seconds
    /// there will be room. The same request twice is one admission.
    async fn admit(&self, key: &LimitKey, rule: &Rule, request: &RequestId, now: Timestamp)
    -> Result<Result<(), u32>, PortError>;
}

/// Why somebody has to wait.
#[derive(Debug, thiserror::Error)]
pub enum AdmitRequestError {
    /// Too many, too soon.
    #[error("that is more than one person may ask for; try again in {retry_after_s} s")]
    TooMany {
        /// In how many seconds there is room.
        retry_after_s: u32,
    },
    /// The store or the audit trail failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl AdmitRequestError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TooMany { retry_after_s } => Fault::Limited { retry_after_s: *retry_after_s },
            Self::Port(error) => error.fault(),
        }
    }
}

/// The use case with its ports.
pub struct AdmitRequest<'a> {
    /// What holds.
    pub limits: &'a Limits,
    /// Where admissions are counted.
    pub log: &'a dyn AdmissionLog,
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
}

impl AdmitRequest<'_> {
    /// Admits a request, or refuses it and has that recorded.
    pub async fn run(&self, context: &Context, limit: Limit) -> Result<(), AdmitRequestError> {
        let key = LimitKey { tenant: context.tenant.clone(), subject: context.actor.subject.clone(), limit };
        let rule = self.limits.rule(limit);
        if rule.windows().is_empty() {
            return Ok(());
        }
        // A request's id can be the client's choice; ours in front makes each admission one of its own, and a repeat of the same
        // write the same.
        let once = RequestId::new(&format!("{}-{}", self.ids.next(context.now), context.request_id.as_str()));
        let admission = self.log.admit(&key, rule, &once, context.now).await?;
        let Err(retry_after_s) = admission else { return Ok(()) };
        let label = Label::parse(limit.as_str());
        let label = label.map_err(|_| PortError::Unexpected { operation: "admit", code: "label".into() })?;
        let event = AuditEvent::new(self.ids, context, EventType::RateLimited, Entity::Limit(label), Outcome::Failure)
            .with("retry_after_s", AuditValue::Count(retry_after_s.into()));
        self.audit.append(&event).await?;
        Err(AdmitRequestError::TooMany { retry_after_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn the_wait_is_exact_to_the_second() {
        let rule = Rule::new(3, Some(2));
        assert_eq!(rule.judge(&[], at(0)), Ok(()));
        assert_eq!(Rule::new(0, Some(0)).judge(&[0; 100], at(0)), Ok(()));
        assert_eq!(rule.judge(&[10_000, 5_000], at(20_000)), Err(45));
        assert_eq!(rule.judge(&[10_000, 5_000], at(64_999)), Err(1));
        assert_eq!(rule.judge(&[10_000, 5_000], at(65_000)), Ok(()));
        assert_eq!(rule.judge(&[10_000, 5_000, 1_000], at(65_000)), Err(3_536));
        // Both windows are full: the longer wait counts.
        assert_eq!(rule.judge(&[3_600_000, 3_599_000, 1_000], at(3_600_000)), Err(59));
    }

    proptest! {
        /// Whoever asks in whatever rhythm: no window ever holds more than its most, and nobody waits longer than told.
        #[test]
        fn no_window_ever_holds_more(most in 1_u32..6, minute in 1_u32..4, gaps in prop::collection::vec(0_i64..2_000_000, 1..80)) {
            let rule = Rule::new(most, Some(minute));
            let (mut now, mut admitted) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                match rule.judge(&admitted, at(now)) {
                    Ok(()) => admitted.insert(0, now),
                    Err(wait) => {
                        let then = now + i64::from(wait) * 1_000;
                        prop_assert_eq!(rule.judge(&admitted, at(then)), Ok(()));
                        prop_assert!(rule.judge(&admitted, at(then - 1_000)).is_err());
                    }
                }
            }
            for window in rule.windows() {
                for last in &admitted {
                    let within = admitted.iter().filter(|time| **time <= *last && **time > window.edge(at(*last))).count();
                    prop_assert!(within <= window.most() as usize);
                }
            }
        }
    }
}
