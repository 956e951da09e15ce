//! The manifest as a writer last saw it. One event needs it several times; the conditional write tells whether it was still
//! the current one, so nothing is read twice to be sure.

use crate::manifest::Manifest;
use crate::manifest_key;
use domain::fault::PortError;
use domain::ids::TenantId;
use domain::objects::{Fetched, ObjectReader, ObjectWriter, WriteCondition};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A manifest and the condition under which it may be replaced.
#[derive(Clone)]
pub struct Known {
    pub tenant: TenantId,
    pub manifest: Arc<Manifest>,
    condition: WriteCondition,
}

/// Holds the manifest of the tenant that was worked on last.
pub struct Held<S> {
    objects: Arc<S>,
    last: Mutex<Option<Known>>,
}

impl<S: ObjectReader + ObjectWriter> Held<S> {
    pub const fn new(objects: Arc<S>) -> Self {
        Self { objects, last: Mutex::new(None) }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Known>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The manifest as it was seen last. May be out of date.
    pub fn last(&self, tenant: &TenantId) -> Option<Known> {
        self.slot().as_ref().filter(|known| known.tenant == *tenant).cloned()
    }

    /// The manifest as it is now.
    pub async fn latest(&self, tenant: &TenantId) -> Result<Known, PortError> {
        let last = self.last(tenant);
        let tag = last.as_ref().and_then(|known| match &known.condition {
            WriteCondition::Matches(etag) => Some(etag.as_str()),
            WriteCondition::Absent => None,
        });
        let (manifest, condition) = match (self.objects.get(&manifest_key(tenant), None, tag).await?, &last) {
            (Fetched::NotModified, Some(known)) => return Ok(known.clone()),
            (Fetched::Found { bytes, etag }, _) => (Manifest::read(&bytes)?, WriteCondition::Matches(etag)),
            (Fetched::Absent | Fetched::NotModified, _) => (Manifest::default(), WriteCondition::Absent),
        };
        Ok(self.keep(Known { tenant: tenant.clone(), manifest: Arc::new(manifest), condition }))
    }

    /// Removes what the manifest says must go, and crosses it off in the one that comes after.
    pub async fn purge(&self, known: &Known, next: &mut Manifest) -> Result<(), PortError> {
        for key in &known.manifest.doomed {
            self.objects.remove(key).await?;
        }
        next.doomed.retain(|key| !known.manifest.doomed.contains(key));
        Ok(())
    }

    /// Replaces the manifest, unless somebody else did meanwhile.
    pub async fn replace(&self, known: &Known, next: Manifest) -> Result<Known, PortError> {
        let put = self.objects.put(&manifest_key(&known.tenant), next.write()?, known.condition.clone()).await;
        match put {
            Ok(etag) => Ok(self.keep(Known {
                tenant: known.tenant.clone(),
                manifest: Arc::new(next),
                condition: WriteCondition::Matches(etag),
            })),
            Err(error) => {
                // Whether it was written or not is only known by looking.
                *self.slot() = None;
                Err(error)
            }
        }
    }

    fn keep(&self, known: Known) -> Known {
        *self.slot() = Some(known.clone());
        known
    }
}
