//! The daily upkeep: removes what attempts that were cut off have left, and tells what has to be indexed anew.

use crate::segment::FORMAT;
use crate::writer::SegmentWriter;
use async_trait::async_trait;
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::objects::{ObjectReader, ObjectWriter};
use domain::retrieval::IndexUpkeep;
use jiff::Timestamp;
use std::collections::BTreeSet;

#[async_trait]
impl<S: ObjectReader + ObjectWriter> IndexUpkeep for SegmentWriter<S> {
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        let keys = self.objects.keys("index/").await?;
        let names = keys.iter().filter_map(|key| key.strip_prefix("index/")?.split_once('/'));
        let tenants: BTreeSet<TenantId> = names.filter_map(|(name, _)| TenantId::parse(name).ok()).collect();
        Ok(tenants.into_iter().collect())
    }

    async fn sweep(&self, tenant: &TenantId, before: Timestamp) -> Result<usize, PortError> {
        let folder = format!("index/{tenant}/");
        // The list first: what is in it and not in a manifest that is read later was given up before.
        let old = self.objects.keys_before(&folder, before).await?;
        let known = self.held.latest(tenant).await?;
        let keep = known.manifest.known_keys();
        let mut removed = 0;
        for key in old.iter().filter(|key| matches!(key.rsplit_once('.'), Some((_, "seg" | "pack")))) {
            if !keep.contains(key.as_str()) {
                self.objects.remove(key).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn outdated(&self, tenant: &TenantId) -> Result<Vec<DocumentId>, PortError> {
        let known = self.held.latest(tenant).await?;
        let is_outdated = |model: &str, format| model != self.model || format != FORMAT;
        let all = known.manifest.segments().filter(|(_, s)| is_outdated(&s.model, s.format));
        Ok(all.map(|(id, _)| id.clone()).collect())
    }
}
