//! The manifest without the segments: what is searchable, for an engine that keeps the chunks elsewhere; and one document at
//! a time, for the copy there.

use crate::fetch;
use crate::manifest::Manifest;
use crate::manifest_key;
use crate::segment::{FORMAT, Segment};
use async_trait::async_trait;
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::objects::{Fetched, ObjectReader};
use domain::retrieval::{EmbeddedChunk, EmbeddedSentence, Embedding, IndexEntry};
use domain::scale::{Catalogue, Current, Currents};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Tenants kept in a warm function.
const TENANTS_MAX: usize = 32;

/// A manifest's state with its tag.
type Known = (String, Arc<Currents>);

/// A [`Catalogue`] over an object store.
pub struct ManifestCatalogue<S> {
    objects: Arc<S>,
    model: String,
    known: Mutex<HashMap<TenantId, Known>>,
}

impl<S: ObjectReader> ManifestCatalogue<S> {
    /// Lists segments whose vectors are this model's.
    pub fn new(objects: Arc<S>, model: String) -> Self {
        Self { objects, model, known: Mutex::new(HashMap::new()) }
    }

    fn list(&self, manifest: &Manifest) -> Currents {
        let is_current = |model: &str, format| model == self.model && format == FORMAT;
        let entries = manifest.documents.iter().filter_map(|(id, entry)| {
            let segment = entry.segment.as_ref().filter(|segment| is_current(&segment.model, segment.format))?;
            let current =
                Current { version: segment.version.clone(), chunks: segment.chunks, attributes: entry.attributes.clone() };
            Some((id.clone(), current))
        });
        entries.collect()
    }
}

#[async_trait]
impl<S: ObjectReader> Catalogue for ManifestCatalogue<S> {
    async fn currents(&self, tenant: &TenantId) -> Result<Arc<Currents>, PortError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        let tag = known.as_ref().map(|(etag, _)| etag.as_str());
        let (etag, currents) = match (self.objects.get(&manifest_key(tenant), None, tag).await?, known) {
            (Fetched::NotModified, Some((_, currents))) => return Ok(currents),
            (Fetched::Found { bytes, etag }, _) => (etag, Arc::new(self.list(&Manifest::read(&bytes)?))),
            (Fetched::Absent | Fetched::NotModified, _) => return Ok(Arc::default()),
        };
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= TENANTS_MAX && !all.contains_key(tenant) {
            all.clear();
        }
        all.insert(tenant.clone(), (etag, currents.clone()));
        Ok(currents)
    }

    async fn entry(&self, tenant: &TenantId, document: &DocumentId) -> Result<Option<IndexEntry>, PortError> {
        let Fetched::Found { bytes, .. } = self.objects.get(&manifest_key(tenant), None, None).await? else { return Ok(None) };
        let manifest = Manifest::read(&bytes)?;
        let Some(entry) = manifest.documents.get(document) else { return Ok(None) };
        let Some(reference) = entry.segment.as_ref().filter(|s| s.model == self.model && s.format == FORMAT) else {
            return Ok(None);
        };
        let Some(plan) = fetch::plan(&manifest, &[(document, reference)]).pop() else { return Ok(None) };
        let (fetch, Some(object)) = plan.run(self.objects.as_ref()).await? else { return Ok(None) };
        let Ok(segment) = Segment::read_in(&object, fetch.place(reference)) else { return Ok(None) };
        if (&segment.header.tenant, &segment.header.document_id) != (tenant, document) {
            return Ok(None);
        }
        let Some(chunks) = chunks(&segment) else { return Ok(None) };
        let header = &segment.header;
        Ok(Some(IndexEntry {
            tenant: tenant.clone(),
            document_id: document.clone(),
            title: header.title.clone(),
            version: header.version.clone(),
            sequencer: header.sequencer.clone(),
            pages: header.pages,
            attributes: entry.attributes.clone(),
            chunks,
        }))
    }
}

/// The chunks with their vectors, whatever the layout that scanning is fast in: a vector's number is its product with a unit
/// vector.
fn chunks(segment: &Segment) -> Option<Vec<EmbeddedChunk>> {
    let dimensions = segment.header.dimensions as usize;
    let mut chunks: Vec<EmbeddedChunk> = Vec::with_capacity(segment.len());
    let (mut unit, mut values) = (vec![0_i8; dimensions], vec![0.0; segment.len()]);
    for at in 0..segment.len() as u32 {
        let sentences = segment
            .sentences(at, 1.0, &unit)
            .into_iter()
            .map(|found| EmbeddedSentence { range: found.range, embedding: Embedding(vec![0.0; dimensions]) });
        let (chunk, embedding) = (segment.chunk(at).ok()?, Embedding(vec![0.0; dimensions]));
        chunks.push(EmbeddedChunk { chunk, embedding, sentences: sentences.collect() });
    }
    for axis in 0..dimensions {
        unit[axis] = 1;
        segment.cosines(0..segment.len(), 1.0, &unit, &mut values);
        for (chunk, value) in chunks.iter_mut().zip(&values) {
            chunk.embedding.0[axis] = *value;
        }
        for (at, chunk) in (0_u32..).zip(&mut chunks) {
            for (sentence, found) in chunk.sentences.iter_mut().zip(segment.sentences(at, 1.0, &unit)) {
                sentence.embedding.0[axis] = found.cosine;
            }
        }
        unit[axis] = 0;
    }
    Some(chunks)
}
