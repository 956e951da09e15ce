//! The daily upkeep of the index: what attempts that were cut off have left is removed, and what a new model or a new format
//! has put out of search is found, so that it can be indexed anew.

use super::index_object::{Hint, ObjectEvent};
use super::registry::{IndexingRegistry, Status};
use crate::fault::PortError;
use crate::ids::RequestId;
use crate::retrieval::IndexUpkeep;
use jiff::{SignedDuration, Timestamp};

/// No attempt lives longer than a function may run, a quarter of an hour. What is as old as this and not pointed at never
/// will be.
const ABANDONED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// The use case with its ports.
pub struct KeepIndex<'a> {
    /// The index.
    pub index: &'a dyn IndexUpkeep,
    /// The registry.
    pub registry: &'a dyn IndexingRegistry,
}

impl KeepIndex<'_> {
    /// Removes what nobody points at; answers how many objects.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, PortError> {
        let mut swept = 0;
        for tenant in self.index.tenants().await? {
            swept += self.index.sweep(&tenant, now - ABANDONED_AFTER).await?;
        }
        Ok(swept)
    }

    /// What has to be indexed anew, as events that say so.
    pub async fn outdated(&self, request_id: &RequestId) -> Result<Vec<ObjectEvent>, PortError> {
        let mut events = Vec::new();
        for tenant in self.index.tenants().await? {
            for id in self.index.outdated(&tenant).await? {
                let row = self.registry.look_up(&tenant, &id).await?;
                let row = row.filter(|row| !matches!(row.status, Status::Deleting | Status::Deleted));
                let Some((key, sequencer)) = row.and_then(|row| Some((row.key, row.sequencer?))) else { continue };
                events.push(ObjectEvent { key, sequencer, hint: Hint::Reindex, request_id: request_id.clone() });
            }
        }
        Ok(events)
    }
}
