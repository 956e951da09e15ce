//! Which objects, and which parts of them, a reader needs for the segments that it does not have yet.

use crate::manifest::{Manifest, SegmentRef};
use domain::fault::PortError;
use domain::ids::DocumentId;
use domain::objects::{Fetched, ObjectReader};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Unwanted bytes between two wanted segments of a pack that are fetched along rather than asked for around: at some 80 MB/s
/// they take as long as the wait for another answer.
const GAP_MAX: u64 = 1 << 20;

/// One request, and the segments in its answer.
#[derive(Debug, PartialEq)]
pub struct Fetch<'a> {
    key: &'a str,
    /// The bytes of the object; all of them if there is none.
    range: Option<Range<u64>>,
    pub segments: Vec<(&'a DocumentId, &'a SegmentRef)>,
}

impl Fetch<'_> {
    /// The bytes, or `None` if there is no such object.
    pub async fn run<S: ObjectReader>(self, objects: &S) -> Result<(Self, Option<Arc<Vec<u8>>>), PortError> {
        let bytes = match &self.range {
            Some(range) => objects.get_range(self.key, range.clone()).await?,
            None => match objects.get(self.key, None, None).await? {
                Fetched::Found { bytes, .. } => Some(bytes),
                Fetched::Absent | Fetched::NotModified => None,
            },
        };
        Ok((self, bytes.map(Arc::new)))
    }

    /// Where a segment is in the answer.
    pub fn place(&self, segment: &SegmentRef) -> Range<usize> {
        let first = segment.object().1.saturating_sub(self.range.as_ref().map_or(0, |range| range.start));
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        place(first)..place(first.saturating_add(segment.size_bytes))
    }
}

/// The requests for these segments: an object is fetched whole if it is all wanted, else in as few parts as make sense.
pub fn plan<'a>(manifest: &'a Manifest, wanted: &[(&'a DocumentId, &'a SegmentRef)]) -> Vec<Fetch<'a>> {
    let mut by_object: BTreeMap<&str, Vec<(&DocumentId, &SegmentRef)>> = BTreeMap::new();
    for (document, segment) in wanted {
        by_object.entry(segment.object().0).or_default().push((document, segment));
    }
    let mut fetches = Vec::new();
    for (key, mut segments) in by_object {
        let Some(pack) = manifest.packs.get(key) else {
            fetches.push(Fetch { key, range: None, segments });
            continue;
        };
        segments.sort_by_key(|(_, segment)| segment.object().1);
        let mut parts: Vec<Fetch<'_>> = Vec::new();
        for (document, segment) in segments {
            let start = segment.object().1;
            let end = start.saturating_add(segment.size_bytes);
            match parts.last_mut() {
                Some(Fetch { range: Some(range), segments, .. }) if start.saturating_sub(range.end) <= GAP_MAX => {
                    range.end = range.end.max(end);
                    segments.push((document, segment));
                }
                _ => parts.push(Fetch { key, range: Some(start..end), segments: vec![(document, segment)] }),
            }
        }
        if let [Fetch { range: range @ Some(_), .. }] = &mut parts[..] {
            let is_nearly_all = range.as_ref().is_some_and(|r| pack.size_bytes.saturating_sub(r.end - r.start) <= GAP_MAX);
            *range = range.take().filter(|_| !is_nearly_all);
        }
        fetches.append(&mut parts);
    }
    // The largest first: the last answer to come is then a short one.
    fetches.sort_by_key(|fetch| std::cmp::Reverse(fetch.segments.iter().map(|(_, s)| s.size_bytes).sum::<u64>()));
    fetches
}
