//! Searches a tenant: one cheap look at the manifest per question, segments fetched once and kept while the function is warm.

use crate::manifest::{Manifest, SegmentRef};
use crate::manifest_key;
use crate::score::{Scored, search};
use crate::segment::{FORMAT, Segment};
use crate::writer::parse_manifest;
use async_trait::async_trait;
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::objects::{Fetched, ObjectReader};
use domain::retrieval::{ChunkIndex, Filter, Passage, Query, Retrieval};
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Fetches at the same time. S3 answers each in some 30 ms; more connections win little and cost memory and TLS handshakes.
const FETCHES: usize = 16;
/// Looks at the manifest before giving up on a segment that is gone: each means that a writer replaced it meanwhile.
const LOOKS: usize = 3;
/// Tenants kept in a warm function. A function sees few; this bounds what a hostile mix can pin in memory.
const TENANTS_MAX: usize = 32;

/// One state of a tenant, as the manifest had it.
struct View {
    etag: String,
    /// By key, so that an unchanged document is not fetched again.
    segments: HashMap<String, Arc<Segment>>,
    /// Documents whose segment is damaged.
    unreadable: Vec<DocumentId>,
}

/// A [`ChunkIndex`] over an object store.
pub struct SegmentIndex<S> {
    objects: Arc<S>,
    model: String,
    views: Mutex<HashMap<TenantId, Arc<View>>>,
}

impl<S: ObjectReader> SegmentIndex<S> {
    /// Searches segments whose vectors are this model's; others are left out until they are re-indexed.
    pub fn new(objects: Arc<S>, model: String) -> Self {
        Self { objects, model, views: Mutex::new(HashMap::new()) }
    }

    async fn view(&self, tenant: &TenantId) -> Result<Arc<View>, PortError> {
        for look in 1..=LOOKS {
            let known = self.views.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
            let fetched = self.objects.get(&manifest_key(tenant), None, known.as_ref().map(|v| v.etag.as_str())).await?;
            let (manifest, etag) = match (fetched, known.as_ref()) {
                (Fetched::NotModified, Some(view)) => return Ok(view.clone()),
                (Fetched::Found { bytes, etag }, _) => (parse_manifest(&bytes)?, etag),
                (Fetched::Absent | Fetched::NotModified, _) => (Manifest::default(), String::new()),
            };
            if let Some(view) = self.load(&manifest, etag, known.as_deref(), look == LOOKS).await? {
                let view = Arc::new(view);
                let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
                if views.len() >= TENANTS_MAX && !views.contains_key(tenant) {
                    views.clear();
                }
                views.insert(tenant.clone(), view.clone());
                return Ok(view);
            }
        }
        Err(PortError::Unavailable { operation: "load index", code: "changing".into() })
    }

    /// The view that a manifest describes; `None` if a segment is gone, that is, if the manifest is no longer current.
    async fn load(
        &self,
        manifest: &Manifest,
        etag: String,
        known: Option<&View>,
        is_last_look: bool,
    ) -> Result<Option<View>, PortError> {
        let mut view = View { etag, segments: HashMap::new(), unreadable: Vec::new() };
        let mut wanted: Vec<(&DocumentId, &SegmentRef)> = Vec::new();
        for (document, reference) in manifest.segments().filter(|(_, s)| s.model == self.model && s.format == FORMAT) {
            match known.and_then(|v| v.segments.get(&reference.key)) {
                Some(segment) => {
                    view.segments.insert(reference.key.clone(), segment.clone());
                }
                None => wanted.push((document, reference)),
            }
        }
        for batch in wanted.chunks(FETCHES) {
            let fetches = batch.iter().map(|(_, reference)| self.objects.get(&reference.key, None, None));
            for ((document, reference), fetched) in batch.iter().zip(join_all(fetches).await) {
                let Fetched::Found { bytes, .. } = fetched? else {
                    if is_last_look {
                        // Not replaced meanwhile but lost: the rest keeps answering.
                        view.unreadable.push((*document).clone());
                        continue;
                    }
                    return Ok(None);
                };
                match Segment::read(bytes) {
                    Ok(segment) if segment.header.document_id == **document => {
                        view.segments.insert(reference.key.clone(), Arc::new(segment));
                    }
                    _ => view.unreadable.push((*document).clone()),
                }
            }
        }
        Ok(Some(view))
    }
}

fn admitted(filter: &Filter, segment: &Segment) -> bool {
    filter.documents.is_empty() || filter.documents.contains(&segment.header.document_id)
}

#[async_trait]
impl<S: ObjectReader> ChunkIndex for SegmentIndex<S> {
    async fn prime(&self, tenant: &TenantId) -> Result<(), PortError> {
        self.view(tenant).await.map(|_| ())
    }

    async fn search(&self, tenant: &TenantId, query: &Query, limit: usize) -> Result<Retrieval, PortError> {
        let view = self.view(tenant).await?;
        // Filters narrow what is searched, so term statistics are those of what the caller may see.
        let mut segments: Vec<Arc<Segment>> =
            view.segments.values().filter(|s| s.header.tenant == *tenant && admitted(&query.filter, s)).cloned().collect();
        segments.sort_unstable_by(|a, b| a.header.document_id.cmp(&b.header.document_id));
        let (best, terms) = search(&segments, &query.text, &query.embedding.0, limit);
        let mut unreadable = view.unreadable.clone();
        let mut passages = Vec::with_capacity(best.len());
        for Scored { segment, chunk, score, cosine, lexical } in best {
            let header = &segments[segment].header;
            match segments[segment].chunk(chunk) {
                Ok(chunk) => passages.push(Passage {
                    document_id: header.document_id.clone(),
                    title: header.title.clone(),
                    version: header.version.clone(),
                    chunk,
                    score,
                    cosine,
                    lexical,
                }),
                Err(_) => unreadable.push(header.document_id.clone()),
            }
        }
        Ok(Retrieval { passages, terms, unreadable })
    }
}
