//! Admissions and breakers in memory.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::breaker::{BreakerState, BreakerStore, StoredBreaker};
use domain::fault::PortError;
use domain::ids::RequestId;
use domain::limits::{AdmissionLog, LimitKey, Rule};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The times of one person's admissions, the latest admission first, and the request of the latest.
type Admissions = (Vec<i64>, Option<RequestId>);

/// Admissions in memory. A clone is the same log.
#[derive(Clone, Default)]
pub struct MemoryAdmissions {
    admitted: Arc<Mutex<BTreeMap<LimitKey, Admissions>>>,
    outage: Outage,
}

impl MemoryAdmissions {
    /// A log whose calls fail when this outage says so.
    pub fn with_outage(outage: Outage) -> Self {
        Self { outage, ..Self::default() }
    }
}

#[async_trait]
impl AdmissionLog for MemoryAdmissions {
    async fn admit(
        &self,
        key: &LimitKey,
        rule: &Rule,
        request: &RequestId,
        now: Timestamp,
    ) -> Result<Result<(), u32>, PortError> {
        let answer = self.outage.call("admit").await?;
        let verdict = {
            let mut all = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
            let (times, latest) = all.entry(key.clone()).or_default();
            if latest.as_ref() == Some(request) {
                Ok(())
            } else {
                let verdict = rule.judge(times, now);
                if verdict.is_ok() {
                    times.insert(0, now.as_millisecond());
                    times.truncate(rule.remembered());
                    *latest = Some(request.clone());
                }
                verdict
            }
        };
        answer.with(verdict)
    }
}

/// Breakers in memory. A clone is the same ones.
#[derive(Clone, Default)]
pub struct MemoryBreakers {
    states: Arc<Mutex<BTreeMap<&'static str, StoredBreaker>>>,
    outage: Outage,
}

impl MemoryBreakers {
    /// Breakers whose calls fail when this outage says so.
    pub fn with_outage(outage: Outage) -> Self {
        Self { outage, ..Self::default() }
    }
}

#[async_trait]
impl BreakerStore for MemoryBreakers {
    async fn load(&self, provider: &'static str) -> Result<StoredBreaker, PortError> {
        let answer = self.outage.call("load breaker").await?;
        let state = self.states.lock().unwrap_or_else(PoisonError::into_inner).get(provider).cloned().unwrap_or_default();
        answer.with(state)
    }

    async fn replace(&self, provider: &'static str, read: &StoredBreaker, next: &BreakerState) -> Result<(), PortError> {
        let answer = self.outage.call("replace breaker").await?;
        {
            let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
            let stored = states.entry(provider).or_default();
            if stored.version != read.version {
                return Err(PortError::Conflict { operation: "replace breaker" });
            }
            *stored = StoredBreaker { state: next.clone(), version: read.version + 1 };
        }
        answer.with(())
    }
}
