//! Whether a provider is worth asking: after some failures in a row nobody asks it for a while, then one caller tries. The
//! state is shared by all invocations; the rules are a pure state machine, the store only swaps.

use crate::fault::PortError;
use crate::ids::IdSource;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;

/// When it opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// So many failures in a row open it.
    pub failures: u32,
    /// Failures further apart than this, in seconds, are not a row.
    pub row_seconds: u32,
    /// How long it is open the first time, in seconds. Twice as long after each probe that fails.
    pub open_seconds: u32,
    /// How long it is open at most.
    pub open_seconds_max: u32,
    /// How long a probe is waited for: longer than any call takes, so that two never run at once.
    pub probe_seconds: u32,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { failures: 3, row_seconds: 60, open_seconds: 15, open_seconds_max: 300, probe_seconds: 40 }
    }
}

/// The state of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerState {
    /// Everybody asks.
    Closed {
        /// Failures in a row.
        failures: u32,
        /// When the last one was.
        last: Timestamp,
    },
    /// Nobody asks.
    Open {
        /// Until then.
        until: Timestamp,
        /// How many times in a row it opened.
        openings: u32,
    },
    /// One asks.
    HalfOpen {
        /// Who.
        probe: Ulid,
        /// Until when it is waited for.
        until: Timestamp,
        /// How many times in a row it opened.
        openings: u32,
    },
}

impl Default for BreakerState {
    fn default() -> Self {
        Self::Closed { failures: 0, last: Timestamp::UNIX_EPOCH }
    }
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Ask.
    Ask,
    /// Ask, and everybody waits for what comes of it.
    Probe(Ulid),
    /// Do not ask.
    Blocked {
        /// Until then.
        until: Timestamp,
    },
}

/// What a call has shown of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It answers.
    Well,
    /// It does not.
    Unwell,
    /// It has said itself for how long nobody should ask.
    Busy(Duration),
}

fn after(now: Timestamp, seconds: u32) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX)
}

impl BreakerState {
    /// What a caller may do now, and the state that has to be stored first if there is one.
    pub fn permission(&self, rules: &BreakerRules, probe: Ulid, now: Timestamp) -> (Permission, Option<Self>) {
        match self {
            Self::Closed { .. } => (Permission::Ask, None),
            // The answer to our own write was lost, and it had landed.
            Self::HalfOpen { probe: mine, until, .. } if *mine == probe && *until > now => (Permission::Probe(probe), None),
            Self::Open { until, .. } | Self::HalfOpen { until, .. } if *until > now => {
                (Permission::Blocked { until: *until }, None)
            }
            Self::Open { openings, .. } | Self::HalfOpen { openings, .. } => {
                let next = Self::HalfOpen { probe, until: after(now, rules.probe_seconds), openings: *openings };
                (Permission::Probe(probe), Some(next))
            }
        }
    }

    /// The state after a call that was permitted, if it changes. What a call says that began before the breaker opened does not
    /// count any more.
    pub fn after_call(&self, rules: &BreakerRules, permission: Permission, shown: Shown, now: Timestamp) -> Option<Self> {
        let worked = shown == Shown::Well;
        let pause = match shown {
            Shown::Busy(pause) => Some(u32::try_from(pause.as_secs()).unwrap_or(u32::MAX).clamp(1, rules.open_seconds_max)),
            Shown::Well | Shown::Unwell => None,
        };
        match (self, permission, worked) {
            (Self::Closed { failures: 0, .. }, _, true) => None,
            (Self::Closed { .. }, _, true) => Some(Self::default()),
            (Self::Closed { .. }, _, false) if pause.is_some() => Some(Self::Open { until: after(now, pause?), openings: 1 }),
            (Self::Closed { failures, last }, _, false) => {
                let in_row = now.duration_since(*last) <= SignedDuration::from_secs(rules.row_seconds.into());
                let failures = if in_row { failures + 1 } else { 1 };
                if failures >= rules.failures {
                    Some(Self::Open { until: after(now, rules.open_seconds), openings: 1 })
                } else {
                    Some(Self::Closed { failures, last: now })
                }
            }
            (Self::HalfOpen { probe, .. }, Permission::Probe(mine), true) if *probe == mine => Some(Self::default()),
            (Self::HalfOpen { probe, openings, .. }, Permission::Probe(mine), false) if *probe == mine => {
                let doubled = rules.open_seconds.saturating_mul(2_u32.saturating_pow(*openings));
                let until = after(now, pause.unwrap_or_else(|| doubled.min(rules.open_seconds_max)));
                Some(Self::Open { until, openings: openings.saturating_add(1) })
            }
            _ => None,
        }
    }
}

/// A state as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredBreaker {
    /// The state.
    pub state: BreakerState,
    /// Counts its changes; 0 if there is none yet.
    pub version: u64,
}

/// Where the states are.
#[async_trait]
pub trait BreakerStore: Send + Sync {
    /// A provider's state; the default if there is none.
    async fn load(&self, provider: &'static str) -> Result<StoredBreaker, PortError>;

    /// Puts a state in the place of the one that was read; `Conflict` if it is not that one any more.
    async fn replace(&self, provider: &'static str, read: &StoredBreaker, next: &BreakerState) -> Result<(), PortError>;
}

/// The breakers of all providers.
#[derive(Clone)]
pub struct Breakers {
    /// Where the states are.
    pub store: Arc<dyn BreakerStore>,
    /// The rules.
    pub rules: BreakerRules,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
}

/// A permission with the state that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    provider: &'static str,
    /// What the caller may do.
    pub permission: Permission,
    read: StoredBreaker,
}

impl Breakers {
    /// Conflicts mean that somebody else changed the state: then there is a newer one to read. More than a few in a row do not
    /// happen to one who reads again each time.
    const ATTEMPTS: u32 = 4;

    /// Whether a provider may be asked. An error says that nobody knows: a breaker protects from waiting, not from harm, so the
    /// caller may ask all the same.
    pub async fn permit(&self, provider: &'static str, now: Timestamp) -> Result<Permit, PortError> {
        let probe = self.ids.next(now);
        for _ in 0..Self::ATTEMPTS {
            let read = self.store.load(provider).await?;
            let (permission, next) = read.state.permission(&self.rules, probe, now);
            let Some(next) = next else { return Ok(Permit { provider, permission, read }) };
            match self.store.replace(provider, &read, &next).await {
                Ok(()) => {
                    let read = StoredBreaker { state: next, version: read.version + 1 };
                    return Ok(Permit { provider, permission, read });
                }
                Err(PortError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(PortError::Conflict { operation: "permit" })
    }

    /// Says how a permitted call went. Most calls change nothing and write nothing.
    pub async fn report(&self, permit: Permit, shown: Shown, now: Timestamp) -> Result<(), PortError> {
        let Permit { provider, permission, mut read } = permit;
        for _ in 0..Self::ATTEMPTS {
            let Some(next) = read.state.after_call(&self.rules, permission, shown, now) else { return Ok(()) };
            match self.store.replace(provider, &read, &next).await {
                Err(PortError::Conflict { .. }) => read = self.store.load(provider).await?,
                done => return done,
            }
        }
        Err(PortError::Conflict { operation: "report" })
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
