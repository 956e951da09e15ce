//! What an index still holds of a document: a sample of it while it is searchable, and after its removal the objects that
//! have it, of which there must be none.

use crate::manifest::Manifest;
use crate::nonce::document_folder;
use crate::segment::{Segment, headers};
use crate::writer::SegmentWriter;
use domain::documents::receipt::spread;
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::objects::{Fetched, ObjectReader, ObjectWriter};

impl<S: ObjectReader + ObjectWriter> SegmentWriter<S> {
    /// Texts of the document's passages, from all over it; none if there is nothing that can be read.
    pub(crate) async fn passages_of(
        &self,
        tenant: &TenantId,
        document: &DocumentId,
        limit: usize,
    ) -> Result<Vec<String>, PortError> {
        let known = self.held.latest(tenant).await?;
        let Some(reference) = known.manifest.documents.get(document).and_then(|entry| entry.segment.as_ref()) else {
            return Ok(Vec::new());
        };
        let (key, offset) = reference.object();
        let range = offset..offset.saturating_add(reference.size_bytes);
        let Some(bytes) = self.objects.get_range(key, range).await? else { return Ok(Vec::new()) };
        let Ok(segment) = Segment::read(bytes) else { return Ok(Vec::new()) };
        let chunks = spread(segment.len(), limit).filter_map(|at| segment.chunk(u32::try_from(at).ok()?).ok());
        Ok(chunks.map(|chunk| chunk.text).collect())
    }

    /// Removes the packs that no manifest names and that hold what a removed document was: those of merges that were cut off. A
    /// merge that is still under way cannot point at its pack any more, because what the document was is not current.
    pub(crate) async fn erase_strays(&self, tenant: &TenantId, document: &DocumentId) -> Result<(), PortError> {
        let known = self.held.latest(tenant).await?;
        for pack in self.strays_with(tenant, &known.manifest, document).await? {
            self.objects.remove(&pack).await?;
        }
        Ok(())
    }

    /// How many objects hold something of it: its own segments, packs with its text, and what the manifest points at or is
    /// about to remove.
    pub(crate) async fn count_remains(&self, tenant: &TenantId, document: &DocumentId) -> Result<u64, PortError> {
        let known = self.held.latest(tenant).await?;
        let manifest = &known.manifest;
        let own = self.objects.keys(&document_folder(tenant, document)).await?.len();
        let is_current = manifest.documents.get(document).is_some_and(|entry| entry.segment.is_some());
        let packs = manifest.packs.values().filter(|pack| pack.dead.contains(document)).count();
        let strays = self.strays_with(tenant, manifest, document).await?.len();
        let mut doomed = 0;
        for key in &manifest.doomed {
            doomed += u64::from(self.objects.head(key).await?.is_some());
        }
        Ok((own + usize::from(is_current) + packs + strays) as u64 + doomed)
    }

    async fn strays_with(&self, tenant: &TenantId, manifest: &Manifest, document: &DocumentId) -> Result<Vec<String>, PortError> {
        let known = manifest.known_keys();
        let Some(removed) = manifest.documents.get(document).filter(|entry| entry.segment.is_none()) else {
            return Ok(Vec::new()); // A newer event has brought it back.
        };
        let mut strays = Vec::new();
        for key in self.objects.keys(&format!("index/{tenant}/packs/")).await? {
            if known.contains(key.as_str()) {
                continue;
            }
            let Fetched::Found { bytes, .. } = self.objects.get(&key, None, None).await? else { continue };
            // What came after the removal is in a pack that somebody may be about to point at.
            if headers(&bytes).any(|header| header.document_id == *document && header.sequencer < removed.sequencer) {
                strays.push(key);
            }
        }
        Ok(strays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::build;
    use domain::documents::attributes::Attributes;
    use domain::ids::Sequencer;
    use domain::retrieval::IndexEntry;

    #[test]
    fn the_segments_of_a_pack_are_told_by_their_headers() {
        let tenant = TenantId::parse("main").unwrap();
        let mut pack = b"CCPACK1\n".to_vec();
        for (key, sequencer) in [("a", "1"), ("b", "2f")] {
            let entry = IndexEntry {
                document_id: DocumentId::for_key(&tenant, key),
                tenant: tenant.clone(),
                title: "CCSEG2".into(),
                version: "v".into(),
                sequencer: Sequencer::parse(sequencer).unwrap(),
                pages: 1,
                attributes: Attributes::default(),
                chunks: Vec::new(),
            };
            pack.extend(build(&entry, "m").unwrap());
        }
        let found: Vec<_> = headers(&pack).map(|header| (header.document_id, header.sequencer)).collect();
        let expected = [("a", "1"), ("b", "2f")];
        let expected = expected.map(|(key, s)| (DocumentId::for_key(&tenant, key), Sequencer::parse(s).unwrap()));
        assert_eq!(found, expected);
        assert_eq!(headers(&pack[..20]).count(), 0);
    }
}
