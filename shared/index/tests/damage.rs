//! Damage at rest: flipped bytes and cut-off objects, wherever in a segment they are. The document is named, the rest keeps
//! answering, and nothing wrong is ever quoted.

mod tenant;

use domain::ids::DocumentId;
use index::{Manifest, manifest_key};
use std::ops::Range;
use tenant::{Tenant, document_id};
use testkit::MemoryObjects;

/// Four documents end in a pack, one stays an object of its own.
const PACKED: usize = 4;
const DOCUMENTS: usize = PACKED + 1;

async fn filled() -> Tenant {
    let tenant = Tenant::new("main");
    for number in 0..PACKED {
        tenant.put(number, 1).await;
    }
    tenant.compact().await;
    tenant.put(PACKED, 1).await;
    tenant
}

/// Where each document's segment lies.
fn places(objects: &MemoryObjects) -> Vec<(DocumentId, String, Range<usize>)> {
    let (bytes, _) = objects.peek(&manifest_key(&tenant::id("main"))).expect("a manifest");
    let manifest = Manifest::read(&bytes).expect("a manifest");
    let place = |segment: &index::SegmentRef| {
        let (key, offset) = segment.object();
        (key.to_owned(), offset as usize..(offset + segment.size_bytes) as usize)
    };
    manifest.segments().map(|(id, segment)| (id.clone(), place(segment).0, place(segment).1)).collect()
}

#[tokio::test]
async fn every_flipped_byte_costs_one_document_and_it_is_named() {
    let tenant = filled().await;
    let places = places(&tenant.objects);
    let mut keys: Vec<&String> = places.iter().map(|(_, key, _)| key).collect();
    keys.dedup();
    assert!(keys.iter().any(|key| key.contains("/packs/")) && keys.iter().any(|key| key.contains("/doc_")), "{keys:?}");
    for key in keys {
        let length = tenant.objects.peek(key).expect("an object").0.len();
        for at in 0..length {
            tenant.objects.damage(key, |bytes| bytes[at] ^= 0x10);
            let hit: Vec<_> =
                places.iter().filter(|(_, k, range)| k == key && range.contains(&at)).map(|(id, ..)| id.clone()).collect();
            let found = tenant.everything().await;
            assert_eq!(found.unreadable, hit, "byte {at} of {key}");
            assert_eq!(found.passages.len(), DOCUMENTS - hit.len(), "byte {at} of {key}");
            tenant.objects.damage(key, |bytes| bytes[at] ^= 0x10);
        }
    }
}

#[tokio::test]
async fn a_cut_off_object_costs_the_documents_that_it_no_longer_holds_whole() {
    let tenant = filled().await;
    let places = places(&tenant.objects);
    for (_, key, _) in &places {
        let whole = tenant.objects.peek(key).expect("an object").0;
        // Every length near the edges of segments, and a sample of those between.
        let is_edge = |at: usize| places.iter().any(|(_, _, range)| at.abs_diff(range.start) < 3 || at.abs_diff(range.end) < 3);
        for at in (0..whole.len()).filter(|at| is_edge(*at) || at % 37 == 0) {
            tenant.objects.damage(key, |bytes| bytes.truncate(at));
            let found = tenant.everything().await;
            let lost = places.iter().filter(|(_, k, range)| k == key && range.end > at);
            assert_eq!(found.unreadable, lost.map(|(id, ..)| id.clone()).collect::<Vec<_>>(), "{at} bytes of {key}");
            assert_eq!(found.passages.len() + found.unreadable.len(), DOCUMENTS);
            tenant.objects.damage(key, |bytes| bytes.clone_from(&whole));
        }
    }
}

#[tokio::test]
async fn a_lost_object_costs_its_documents_and_a_new_upload_brings_one_back() {
    let tenant = filled().await;
    let (_, pack, _) = places(&tenant.objects).into_iter().find(|(_, key, _)| key.contains("/packs/")).expect("a pack");
    tenant.objects.take_away(&pack);
    let found = tenant.everything().await;
    assert_eq!((found.unreadable.len(), found.passages.len()), (PACKED, DOCUMENTS - PACKED));
    tenant.put(0, 2).await;
    let found = tenant.everything().await;
    assert_eq!((found.unreadable.len(), found.passages.len()), (PACKED - 1, DOCUMENTS - PACKED + 1));
    // Even what cannot be read any more can be deleted, and holds nobody up.
    for number in 1..PACKED {
        tenant.remove(number, 3).await;
    }
    let found = tenant.everything().await;
    assert_eq!((found.unreadable.len(), found.passages.len()), (0, DOCUMENTS - PACKED + 1));
}

#[tokio::test]
async fn damage_survives_a_merge_as_damage_and_never_as_something_else() {
    let tenant = filled().await;
    let (hurt, pack, range) = places(&tenant.objects).into_iter().find(|(_, key, _)| key.contains("/packs/")).expect("a pack");
    tenant.objects.damage(&pack, |bytes| bytes[range.start + 40] ^= 1);
    let packed = |number: &usize| document_id("main", *number) != hurt;
    let other = (0..PACKED).find(packed).expect("another document of the pack");
    tenant.remove(other, 2).await; // The pack is written anew without it.
    let found = tenant.everything().await;
    assert_eq!((found.unreadable, found.passages.len()), (vec![hurt], DOCUMENTS - 2));
    assert!(tenant.objects.peek(&pack).is_none(), "the pack with the deleted text is gone");
}

#[tokio::test]
async fn a_damaged_manifest_is_an_error_or_names_what_cannot_be_read_but_invents_nothing() {
    let tenant = filled().await;
    let key = manifest_key(&tenant::id("main"));
    let (whole, _) = tenant.objects.peek(&key).expect("a manifest");
    let mut errors = 0;
    for at in 0..whole.len() {
        tenant.objects.damage(&key, |bytes| bytes[at] ^= 1);
        match tenant.search_everything().await {
            Err(_) => errors += 1,
            Ok(found) => {
                for passage in found.passages {
                    let number = (0..DOCUMENTS).find(|number| document_id("main", *number) == passage.document_id);
                    assert_eq!(number.map(tenant::words), Some(passage.chunk.text), "byte {at}");
                }
            }
        }
        tenant.objects.damage(&key, |bytes| bytes.truncate(at));
        assert!(tenant.search_everything().await.is_err(), "cut after {at} bytes");
        tenant.objects.damage(&key, |bytes| bytes.clone_from(&whole));
    }
    assert!(errors > whole.len() / 10, "only {errors} of {} flips were noticed at once", whole.len());
    assert_eq!(tenant.everything().await.passages.len(), DOCUMENTS);
}
