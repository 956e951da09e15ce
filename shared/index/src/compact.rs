//! Writes packs: reads the segments of some objects, writes them as one, and points the manifest there. Every step can be
//! the last: what was written and not pointed at is swept, what was pointed away from is listed until it is removed.

use crate::held::{Held, Known};
use crate::manifest::{Manifest, Pack, Place, SegmentRef};
use crate::nonce::Nonces;
use crate::pack::{MAGIC, cut, plan};
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::objects::{Fetched, ObjectReader, ObjectWriter, WriteCondition};
use std::sync::Arc;

/// Lost races before giving up: the next event tries again.
const TRIES: usize = 32;
/// Merges after one event: one per size class, and one for what was left over.
const ROUNDS: usize = 6;

/// What becomes of the objects whose segments are written anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// They stay until the next merge, for readers who still have the manifest before.
    Retire,
    /// They go at once: they hold text that was deleted.
    Erase,
}

pub struct Compactor<S> {
    objects: Arc<S>,
    held: Arc<Held<S>>,
    nonces: Arc<Nonces>,
    model: String,
}

impl<S: ObjectReader + ObjectWriter> Compactor<S> {
    pub const fn new(objects: Arc<S>, held: Arc<Held<S>>, nonces: Arc<Nonces>, model: String) -> Self {
        Self { objects, held, nonces, model }
    }

    /// Puts small objects together, as long as there are enough of them.
    pub async fn compact(&self, tenant: &TenantId) -> Result<(), PortError> {
        let is_due = |known: &Known| plan(&known.manifest, &self.model);
        if self.held.last(tenant).as_ref().is_some_and(|known| is_due(known).is_none()) {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let known = self.held.latest(tenant).await?;
            let Some(sources) = is_due(&known) else { return Ok(()) };
            if !self.rewrite(known, &sources, After::Retire).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Makes deleted text go: what the manifest says must go, and what lies in packs beside text that stays.
    pub async fn erase(&self, known: Known) -> Result<(), PortError> {
        for key in &known.manifest.doomed {
            self.objects.remove(key).await?;
        }
        let mut known = known;
        for _ in 0..TRIES {
            let packs = known.manifest.to_erase();
            let Some(pack) = packs.first() else { return Ok(()) };
            let tenant = known.tenant.clone();
            self.rewrite(known, std::slice::from_ref(pack), After::Erase).await?;
            known = self.held.latest(&tenant).await?;
        }
        Err(PortError::Unavailable { operation: "erase from packs", code: "contended".into() })
    }

    /// Writes the segments of some objects as one pack and points the manifest there. `false` if that was not to be done:
    /// the manifest has moved on, or an object is lost.
    async fn rewrite(&self, known: Known, sources: &[String], after: After) -> Result<bool, PortError> {
        let moved: Vec<(DocumentId, SegmentRef)> = known
            .manifest
            .segments()
            .filter(|(_, segment)| sources.iter().any(|key| key == segment.object().0))
            .map(|(id, segment)| (id.clone(), segment.clone()))
            .collect();
        let mut bytes = MAGIC.to_vec();
        let mut places = Vec::with_capacity(moved.len());
        for source in sources {
            let lying_here: Vec<_> = moved.iter().filter(|(_, segment)| segment.object().0 == source).collect();
            if lying_here.is_empty() {
                continue;
            }
            let object = match (self.objects.get(source, None, None).await?, after) {
                (Fetched::Found { bytes, .. }, _) => bytes,
                (_, After::Retire) => return Ok(false),
                // Lost, or gone because somebody else was quicker, which the manifest then says.
                (_, After::Erase) => Vec::new(),
            };
            for (document, segment) in lying_here {
                places.push((document, segment, bytes.len() as u64));
                bytes.extend(cut(&object, segment));
            }
        }
        let key = self.nonces.pack_key(&known.tenant);
        let pack = Pack { size_bytes: bytes.len() as u64, ..Pack::default() };
        if !places.is_empty() {
            match self.objects.put(&key, bytes, WriteCondition::Absent).await {
                // Nobody else has this key: a conflict is an answer that was lost and asked for again.
                Ok(_) | Err(PortError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.point(known, sources, &key, pack, &places, after).await
    }

    async fn point(
        &self,
        mut known: Known,
        sources: &[String],
        key: &str,
        pack: Pack,
        places: &[(&DocumentId, &SegmentRef, u64)],
        after: After,
    ) -> Result<bool, PortError> {
        for _ in 0..TRIES {
            if known.manifest.packs.contains_key(key) {
                return Ok(true); // Written before, and only the answer was lost.
            }
            let next = moved(&known.manifest, sources, key, pack.clone(), places, after);
            let Some(mut next) = next else {
                // The key is ours alone, and no manifest has ever had it.
                self.objects.remove(key).await?;
                return Ok(false);
            };
            for before in known.manifest.retired.iter().filter(|_| after == After::Retire) {
                self.objects.remove(before).await?;
            }
            self.held.purge(&known, &mut next).await?;
            match self.held.replace(&known, next).await {
                Ok(now) => {
                    for key in &now.manifest.doomed {
                        self.objects.remove(key).await?;
                    }
                    return Ok(true);
                }
                Err(PortError::Conflict { .. }) => known = self.held.latest(&known.tenant).await?,
                Err(error) => return Err(error),
            }
        }
        Err(PortError::Unavailable { operation: "write pack", code: "contended".into() })
    }
}

/// The manifest after the move, or nothing if there is no point in it any more.
fn moved(
    manifest: &Manifest,
    sources: &[String],
    key: &str,
    pack: Pack,
    places: &[(&DocumentId, &SegmentRef, u64)],
    after: After,
) -> Option<Manifest> {
    let in_use = |manifest: &Manifest, key: &String| {
        manifest.packs.contains_key(key) || manifest.segments().any(|(_, segment)| segment.object().0 == key)
    };
    // A document was deleted, replaced or moved meanwhile: a pack with what it was is never pointed at, not even for a moment. So
    // whoever finds such a pack after a deletion may remove it.
    let is_current = |(id, segment, _): &(&DocumentId, &SegmentRef, u64)| {
        let current = manifest.documents.get(*id).and_then(|entry| entry.segment.as_ref());
        current.is_some_and(|current| current.key == segment.key && current.place == segment.place)
    };
    if !places.iter().all(is_current) {
        return None;
    }
    let mut left: Vec<String> = sources.iter().filter(|source| in_use(manifest, source)).cloned().collect();
    if left.is_empty() {
        return None;
    }
    let mut next = manifest.clone();
    for (document, _, offset) in places {
        if let Some(current) = next.documents.get_mut(*document).and_then(|entry| entry.segment.as_mut()) {
            current.place = Some(Place { pack: key.to_owned(), offset: *offset });
        }
    }
    for source in &left {
        next.packs.remove(source);
    }
    if !places.is_empty() {
        next.packs.insert(key.to_owned(), pack);
    }
    match after {
        After::Retire => {
            // A deletion that was cut off before it got here: what holds its text does not wait for readers.
            let to_erase = manifest.to_erase();
            let (erased, retired) = left.into_iter().partition(|source| to_erase.contains(source));
            next.retired = retired;
            next.doomed.extend::<Vec<String>>(erased);
        }
        After::Erase => {
            next.doomed.append(&mut next.retired);
            next.doomed.append(&mut left);
        }
    }
    Some(next)
}
