//! Searches a tenant: one cheap look at the manifest per question, segments fetched once and kept while the function is warm.

use crate::fetch;
use crate::manifest::{Manifest, SegmentRef};
use crate::manifest_key;
use crate::score::{Scored, search};
use crate::segment::{FORMAT, Segment, quantise};
use async_trait::async_trait;
use domain::context::Scope;
use domain::documents::attributes::Attributes;
use domain::documents::chunks::Chunk;
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::objects::{Fetched, ObjectReader};
use domain::retrieval::{ChunkIndex, Passage, Query, Retrieval, weigh_down_apparatus};
use domain::text::count_words;
use futures_util::stream::{self, StreamExt as _};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Fetches at the same time. S3 answers each in some 30 ms; more connections win little and cost memory and TLS handshakes.
const FETCHES: usize = 16;
/// Looks at the manifest before giving up on a segment that is gone: each means that a writer replaced it meanwhile. What was
/// fetched before is not fetched again, so each look has less to do.
const LOOKS: usize = 8;
/// How many more than asked for are scored: as many lists of references may be among the best without taking anybody's place.
const SPARE: usize = 10;
/// Tenants kept in a warm function. A function sees few; this bounds what a hostile mix can pin in memory.
const TENANTS_MAX: usize = 32;

/// One state of a tenant, as the manifest had it.
struct View {
    etag: String,
    /// The documents that it was asked for; all of them if none is named.
    only: Vec<DocumentId>,
    documents: BTreeMap<DocumentId, Held>,
    /// Whether an object that the manifest names was not there.
    is_incomplete: bool,
}

/// A document of a view.
struct Held {
    attributes: Attributes,
    state: State,
}

enum State {
    /// By the segment's name, so that an unchanged document is not fetched again wherever it lies now.
    Ready(String, Arc<Segment>),
    /// Damaged or lost.
    Unreadable,
    /// Of another model or format.
    Outdated,
}

/// A [`ChunkIndex`] over an object store.
pub struct SegmentIndex<S> {
    objects: Arc<S>,
    model: String,
    views: Mutex<HashMap<TenantId, Arc<View>>>,
    /// Whether only the documents are loaded that a query's filter names.
    is_narrow: bool,
}

impl<S: ObjectReader> SegmentIndex<S> {
    /// Searches segments whose vectors are this model's; others are left out until they are re-indexed.
    pub fn new(objects: Arc<S>, model: String) -> Self {
        Self { objects, model, views: Mutex::new(HashMap::new()), is_narrow: false }
    }

    /// The same search for somebody who asks about few documents and has no room for all the others: it loads those that a
    /// query's filter names. Terms weigh what they weigh among these.
    pub fn of_named_documents(objects: Arc<S>, model: String) -> Self {
        Self { is_narrow: true, ..Self::new(objects, model) }
    }

    fn views(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<View>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn view(&self, tenant: &TenantId, named: &[DocumentId]) -> Result<Arc<View>, PortError> {
        let only = if self.is_narrow { named.to_vec() } else { Vec::new() };
        let mut known = self.views().get(tenant).filter(|view| view.only == only).cloned();
        for _ in 0..LOOKS {
            let tag = known.as_ref().map(|view| view.etag.as_str()).filter(|etag| !etag.is_empty());
            let (manifest, etag) = match (self.objects.get(&manifest_key(tenant), None, tag).await?, &known) {
                // If something was missing, it is lost, not replaced: the rest keeps answering.
                (Fetched::NotModified, Some(view)) => return Ok(self.keep(tenant, view.clone())),
                (Fetched::Found { bytes, etag }, _) => (Manifest::read(&bytes)?, etag),
                (Fetched::Absent | Fetched::NotModified, _) => (Manifest::default(), String::new()),
            };
            let empty = View { etag, only: only.clone(), documents: BTreeMap::new(), is_incomplete: false };
            let view = Arc::new(self.load(tenant, &manifest, empty, known.as_deref()).await?);
            if !view.is_incomplete {
                return Ok(self.keep(tenant, view));
            }
            known = Some(view);
        }
        Err(PortError::Unavailable { operation: "load index", code: "changing".into() })
    }

    fn keep(&self, tenant: &TenantId, view: Arc<View>) -> Arc<View> {
        let mut views = self.views();
        if views.len() >= TENANTS_MAX && !views.contains_key(tenant) {
            views.clear();
        }
        views.insert(tenant.clone(), view.clone());
        view
    }

    /// The view that a manifest describes, put into an empty one.
    async fn load(
        &self,
        tenant: &TenantId,
        manifest: &Manifest,
        mut view: View,
        known: Option<&View>,
    ) -> Result<View, PortError> {
        let mut wanted: Vec<(&DocumentId, &SegmentRef)> = Vec::new();
        let is_asked_for = |document: &DocumentId| !self.is_narrow || view.only.contains(document);
        for (document, entry) in manifest.documents.iter().filter(|(document, _)| is_asked_for(document)) {
            let Some(reference) = &entry.segment else { continue };
            let state = if reference.model != self.model || reference.format != FORMAT {
                State::Outdated
            } else if let Some(segment) = known.and_then(|view| view.segment(document, &reference.key)) {
                State::Ready(reference.key.clone(), segment)
            } else {
                wanted.push((document, reference));
                State::Unreadable
            };
            view.documents.insert(document.clone(), Held { attributes: entry.attributes.clone(), state });
        }
        // In a list first: the compiler cannot tell that a lazy one of borrowing futures may be sent to another thread.
        let fetches: Vec<_> = fetch::plan(manifest, &wanted).into_iter().map(|f| f.run(self.objects.as_ref())).collect();
        let mut answers = stream::iter(fetches).buffer_unordered(FETCHES);
        while let Some(answer) = answers.next().await {
            let (fetch, Some(object)) = answer? else {
                view.is_incomplete = true;
                continue;
            };
            for (document, reference) in &fetch.segments {
                let segment = Segment::read_in(&object, fetch.place(reference));
                let held = view.documents.get_mut(*document);
                if let (Some(held), Ok(segment)) = (held, segment)
                    && (&segment.header.document_id, &segment.header.tenant) == (*document, tenant)
                {
                    held.state = State::Ready(reference.key.clone(), Arc::new(segment));
                }
            }
        }
        Ok(view)
    }
}

impl View {
    fn segment(&self, document: &DocumentId, key: &str) -> Option<Arc<Segment>> {
        match &self.documents.get(document)?.state {
            State::Ready(name, segment) if name == key => Some(segment.clone()),
            _ => None,
        }
    }
}

#[async_trait]
impl<S: ObjectReader> ChunkIndex for SegmentIndex<S> {
    async fn prime(&self, tenant: &TenantId) -> Result<(), PortError> {
        self.view(tenant, &[]).await.map(|_| ())
    }

    async fn search(&self, scope: &Scope, query: &Query, limit: usize) -> Result<Retrieval, PortError> {
        let view = self.view(scope.tenant(), &query.filter.documents).await?;
        let mut found = Retrieval::default();
        let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(view.documents.len());
        // What the caller may not see is out before anything is counted: terms' weights are those of the rest.
        for (id, held) in view.documents.iter().filter(|(id, held)| query.filter.admits(scope, id, &held.attributes)) {
            match &held.state {
                State::Ready(_, segment) => segments.push(segment.clone()),
                State::Unreadable => found.unreadable.push(id.clone()),
                State::Outdated => found.outdated.push(id.clone()),
            }
        }
        let (best, terms) = search(&segments, &query.text, &query.embedding.0, limit.saturating_add(SPARE));
        found.terms = terms;
        let (scale, quantised) = quantise(&query.embedding.0);
        let mut telling = 0;
        for Scored { segment, chunk: at, score, cosine, lexical } in best {
            if telling == limit {
                break;
            }
            let segment = &segments[segment];
            let header = &segment.header;
            let Ok(chunk) = segment.chunk(at) else {
                found.unreadable.push(header.document_id.clone());
                continue;
            };
            telling += usize::from(!chunk.is_apparatus());
            let title = view.documents.get(&header.document_id).and_then(|held| held.attributes.title.as_ref());
            found.passages.push(Passage {
                document_id: header.document_id.clone(),
                title: title.unwrap_or(&header.title).clone(),
                version: header.version.clone(),
                chunk,
                score,
                cosine,
                lexical,
                sentences: segment.sentences(at, scale, &quantised),
            });
        }
        weigh_down_apparatus(&mut found.passages, limit);
        Ok(found)
    }

    fn section(&self, tenant: &TenantId, passage: &Passage, words: usize) -> Vec<Chunk> {
        let view = self.views().get(tenant).cloned();
        let held = view.as_ref().and_then(|view| view.documents.get(&passage.document_id));
        match held.map(|held| &held.state) {
            Some(State::Ready(_, segment)) if segment.header.version == passage.version => around(segment, &passage.chunk, words),
            _ => vec![passage.chunk.clone()],
        }
    }
}

/// The chunks around one, as long as they are of the same section and there is room: the next one, the one before, and so on.
fn around(segment: &Segment, chunk: &Chunk, words: usize) -> Vec<Chunk> {
    let mut room = words.saturating_sub(count_words(&chunk.text));
    let mut take = |at: Option<u32>| {
        let next = segment.chunk(at?).ok().filter(|next| next.section == chunk.section)?;
        room = room.checked_sub(count_words(&next.text))?;
        Some(next)
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let (mut is_open_before, mut is_open_after) = (true, true);
    while is_open_before || is_open_after {
        if is_open_after {
            let next = take(chunk.ordinal.checked_add(after.len() as u32 + 1));
            is_open_after = next.is_some();
            after.extend(next);
        }
        if is_open_before {
            let next = take(chunk.ordinal.checked_sub(before.len() as u32 + 1));
            is_open_before = next.is_some();
            before.extend(next);
        }
    }
    before.into_iter().rev().chain(std::iter::once(chunk.clone())).chain(after).collect()
}
