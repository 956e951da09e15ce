//! Packs: many segments in one object, so that a cold start reads few. This file decides what is put together and how a
//! pack is laid out; `compact.rs` does it.
//!
//! A pack is [`MAGIC`] and then segments, one after another, each with its own checksum. Its index is the manifest: a second
//! one could contradict it. Objects are put together when [`FANOUT`] of them are of one size class, and each class is
//! [`FANOUT`] times the one before, so that a byte is written once per class: at most five times in a tenant of any size.

use crate::manifest::{Manifest, SegmentRef};
use crate::segment::FORMAT;
use std::collections::BTreeMap;

/// What a pack begins with.
pub const MAGIC: &[u8] = b"CCPACK1\n";
/// So many objects of one size class become one of the next.
const FANOUT: usize = 4;
/// The upper bounds of the size classes. What is larger stays as it is, so that deleting one of its documents never writes
/// more than a pack of [`BYTES_MAX`].
const CLASSES: [u64; 4] = [256 << 10, 1 << 20, 4 << 20, 16 << 20];
/// No pack is made larger: it is read, and written again, in the memory of one function.
const BYTES_MAX: u64 = 64 << 20;

/// What is put together next, by key; `None` if everything is well as it is. Segments of another model or format are left
/// where they are: they will be replaced.
pub fn plan(manifest: &Manifest, model: &str) -> Option<Vec<String>> {
    let live = live_bytes(manifest, |s| s.place.is_some() || (s.model == model && s.format == FORMAT));
    let mut classes: [Vec<(&str, u64)>; CLASSES.len()] = Default::default();
    for (key, bytes) in &live {
        if let Some(class) = CLASSES.iter().position(|bound| bytes < bound) {
            classes[class].push((key, *bytes));
        }
    }
    if let Some(class) = classes.iter().find(|class| class.len() >= FANOUT) {
        let mut total = 0;
        let fits = class.iter().take_while(|(_, bytes)| {
            total += bytes;
            total <= BYTES_MAX
        });
        return Some(fits.map(|(key, _)| (*key).to_owned()).collect());
    }
    // What was replaced is more than half of what is still current.
    let is_sparse = |key: &str, size: u64| size > live.get(key).copied().unwrap_or(0).saturating_mul(3) / 2 + MAGIC.len() as u64;
    manifest.packs.iter().find(|(key, pack)| is_sparse(key, pack.size_bytes)).map(|(key, _)| vec![key.clone()])
}

fn live_bytes(manifest: &Manifest, counts: impl Fn(&SegmentRef) -> bool) -> BTreeMap<&str, u64> {
    let mut live = BTreeMap::new();
    for (_, segment) in manifest.segments().filter(|(_, segment)| counts(segment)) {
        *live.entry(segment.object().0).or_default() += segment.size_bytes;
    }
    live
}

/// A segment's bytes out of the object that it lies in. What the object lacks is made up with zeros: the segment's checksum
/// tells, and its neighbours are not held up.
pub fn cut(object: &[u8], segment: &SegmentRef) -> Vec<u8> {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(object.len());
    let (offset, size) = (segment.object().1, segment.size_bytes);
    let mut bytes = object[place(offset)..place(offset.saturating_add(size))].to_vec();
    bytes.resize(usize::try_from(size).unwrap_or(bytes.len()).min(BYTES_MAX as usize * 2), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ManifestEntry, Pack, Place};
    use domain::documents::attributes::Attributes;
    use domain::ids::{DocumentId, Sequencer, TenantId};
    use proptest::prelude::*;

    fn add(manifest: &mut Manifest, name: usize, size_bytes: u64, pack: Option<&str>) {
        let sequencer = Sequencer::parse("1").unwrap();
        let segment = SegmentRef {
            key: format!("k{name:06}"),
            place: pack.map(|pack| Place { pack: pack.into(), offset: 0 }),
            size_bytes,
            model: "m".into(),
            format: FORMAT,
            version: "v".into(),
            seen_at: sequencer.clone(),
            pages: 1,
            chunks: 1,
        };
        let document = DocumentId::for_key(&TenantId::parse("main").unwrap(), &name.to_string());
        manifest.set(&document, ManifestEntry { sequencer, segment: Some(segment), attributes: Attributes::default() });
    }

    /// Carries a plan out in the manifest alone; answers the bytes that it writes.
    fn merge(manifest: &mut Manifest, sources: &[String], name: &str) -> u64 {
        let mut written = 0;
        for entry in manifest.documents.values_mut() {
            let Some(segment) = entry.segment.as_mut().filter(|s| sources.iter().any(|key| key == s.object().0)) else {
                continue;
            };
            segment.place = Some(Place { pack: name.into(), offset: written });
            written += segment.size_bytes;
        }
        manifest.packs.retain(|key, _| !sources.contains(key));
        if written > 0 {
            manifest.packs.insert(name.into(), Pack { size_bytes: written, ..Pack::default() });
        }
        written
    }

    #[test]
    fn a_growing_tenant_has_few_objects_and_writes_each_byte_a_bounded_number_of_times() {
        for size in [20_000_u64, 60_000, 300_000] {
            let (mut manifest, mut written) = (Manifest::default(), 0);
            for name in 0..3_000 {
                add(&mut manifest, name, size, None);
                written += size;
                while let Some(sources) = plan(&manifest, "m") {
                    let bytes = merge(&mut manifest, &sources, &format!("p{written}"));
                    assert!(bytes <= BYTES_MAX);
                    written += bytes;
                }
            }
            let total = 3_000 * size;
            let objects = live_bytes(&manifest, |_| true).len();
            let bound = CLASSES.len() * (FANOUT - 1) + (total / CLASSES[CLASSES.len() - 1]) as usize;
            assert!(objects <= bound, "{objects} objects of {size} bytes a document");
            assert!(written <= total * 7, "each byte was written {:.1} times", written as f64 / total as f64);
        }
    }

    #[test]
    fn a_pack_that_is_mostly_replaced_is_written_anew_and_one_of_another_model_waits() {
        let mut manifest = Manifest::default();
        manifest.packs.insert("p".into(), Pack { size_bytes: 3_000, ..Pack::default() });
        add(&mut manifest, 1, 2_000, Some("p"));
        assert_eq!(plan(&manifest, "m"), None);
        manifest.packs.insert("p".into(), Pack { size_bytes: 3_100, ..Pack::default() });
        assert_eq!(plan(&manifest, "m"), Some(vec!["p".to_owned()]));
        let mut manifest = Manifest::default();
        for name in 0..9 {
            add(&mut manifest, name, 10, None);
        }
        assert_eq!(plan(&manifest, "m").map(|sources| sources.len()), Some(9));
        assert_eq!(plan(&manifest, "another"), None);
    }

    proptest! {
        #[test]
        fn planning_ends_whatever_the_sizes_are(sizes in prop::collection::vec(0_u64..40 << 20, 0..40)) {
            let mut manifest = Manifest::default();
            for (name, size) in sizes.iter().enumerate() {
                add(&mut manifest, name, *size, None);
            }
            let mut rounds = 0;
            while let Some(sources) = plan(&manifest, "m") {
                merge(&mut manifest, &sources, &format!("p{rounds}"));
                rounds += 1;
                prop_assert!(rounds <= sizes.len() + 1, "it goes round in circles");
            }
        }

        #[test]
        fn a_cut_is_as_long_as_it_should_be(object in prop::collection::vec(any::<u8>(), 0..40), offset in 0_u64..60, size in 0_u64..60) {
            let mut manifest = Manifest::default();
            add(&mut manifest, 0, size, Some("p"));
            let (_, segment) = manifest.segments().next().unwrap();
            let segment = SegmentRef { place: Some(Place { pack: "p".into(), offset }), ..segment.clone() };
            let bytes = cut(&object, &segment);
            prop_assert_eq!(bytes.len() as u64, size);
            let there: Vec<u8> = object.iter().skip(offset as usize).take(size as usize).copied().collect();
            prop_assert!(bytes.starts_with(&there));
        }
    }
}
