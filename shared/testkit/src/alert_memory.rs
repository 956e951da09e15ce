//! What the alerts remember, in memory.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::audit::watch::{AlertMemory, Claim, Claimed, Mark, STORM};
use domain::fault::PortError;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use ulid::Ulid;

#[derive(Default)]
struct Remembered {
    series: BTreeMap<String, BTreeSet<(Timestamp, Ulid)>>,
    /// Holder, lease, whether it was sent.
    claims: BTreeMap<(String, String), (String, Timestamp, bool)>,
}

/// A clone is the same memory.
#[derive(Clone, Default)]
pub struct MemoryAlertMemory {
    remembered: Arc<Mutex<Remembered>>,
    outage: Outage,
}

impl MemoryAlertMemory {
    /// A memory whose calls fail when this outage says so.
    pub fn with_outage(outage: Outage) -> Self {
        Self { outage, ..Self::default() }
    }
}

#[async_trait]
impl AlertMemory for MemoryAlertMemory {
    async fn note(&self, mark: &Mark) -> Result<Vec<Timestamp>, PortError> {
        let answer = self.outage.call("note").await?;
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = remembered.series.entry(mark.series.clone()).or_default();
        marks.insert((mark.at, mark.row));
        let place = (mark.at, mark.row);
        let limit = mark.limit as usize;
        let before = marks.range(..=place).rev().take(limit);
        let after = marks.range(place..).skip(1).take(limit);
        let near = before.chain(after).map(|(at, _)| *at).filter(|at| at.duration_since(mark.at).abs() <= mark.span);
        answer.with(near.collect())
    }

    async fn claims(&self, group: &str, limit: usize) -> Result<Vec<String>, PortError> {
        let answer = self.outage.call("claims").await?;
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = remembered.claims.keys().filter(|(of, key)| of == group && key != STORM);
        answer.with(keys.take(limit).map(|(_, key)| key.clone()).collect())
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        let answer = self.outage.call("claim").await?;
        let place = (claim.group.clone(), claim.key.clone());
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let claimed = match remembered.claims.get(&place) {
            Some((_, _, true)) => Claimed::Sent,
            Some((holder, lease, false)) if *holder != claim.holder && *lease >= claim.now => Claimed::Elsewhere,
            _ => Claimed::Mine,
        };
        if claimed == Claimed::Mine {
            remembered.claims.insert(place, (claim.holder.clone(), claim.until, false));
        }
        answer.with(claimed)
    }

    async fn sent(&self, claim: &Claim) -> Result<(), PortError> {
        let answer = self.outage.call("sent").await?;
        let place = (claim.group.clone(), claim.key.clone());
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, sent)) = remembered.claims.get_mut(&place) {
            *sent = true;
        }
        answer.with(())
    }
}
