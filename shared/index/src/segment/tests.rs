//! A segment is read as it was written, and damage is noticed.

use super::*;
use domain::documents::chunks::Span;
use domain::retrieval::EmbeddedChunk;
use domain::text;
use proptest::prelude::*;

fn entry(texts: &[&str]) -> IndexEntry {
    let tenant = TenantId::parse("main").unwrap();
    IndexEntry {
        document_id: DocumentId::for_key(&tenant, "k"),
        tenant,
        title: "Handbook".into(),
        version: "v1".into(),
        sequencer: Sequencer::parse("1").unwrap(),
        pages: 1,
        attributes: domain::documents::attributes::Attributes::default(),
        chunks: texts
            .iter()
            .enumerate()
            .map(|(at, text)| {
                let span = Span { page: 1, start: 0, end: text.chars().count() };
                let chunk = Chunk { ordinal: at as u32, section: vec![], text: (*text).into(), spans: vec![span], flags: vec![] };
                let sentences = text::sentences(text)
                    .into_iter()
                    .map(|range| EmbeddedSentence { embedding: Embedding(vec![range.start as f32, 1.0, 0.0]), range });
                let embedding = Embedding(vec![0.6, -0.8, at as f32 / 10.0]);
                EmbeddedChunk { chunk, embedding, sentences: sentences.collect() }
            })
            .collect(),
    }
}

#[test]
fn what_is_written_is_read() {
    let entry = entry(&["Give fluids early", "Fluids, fluids and antibiotics"]);
    let segment = Segment::read(build(&entry, "m").unwrap()).unwrap();
    assert_eq!(segment.len(), 2);
    assert_eq!(segment.chunk(1).unwrap(), entry.chunks[1].chunk);
    let mut seen = Vec::new();
    let hashes = [term_hash("fluid"), term_hash("absent")];
    let lists: Vec<_> = segment.postings(&hashes).collect();
    let list = lists[0].unwrap();
    list.for_each(|c, f| seen.push((c, f)));
    assert_eq!((list.count(), seen), (2, vec![(0, 1), (1, 2)]));
    assert!(lists[1].is_none());
    let (scale, query) = quantise(&[0.6, -0.8, 0.0]);
    let mut cosines = [0.0; 2];
    segment.cosines(1..2, scale, &query, &mut cosines);
    assert_eq!(cosines[0].to_bits(), 0, "only what was asked for");
    segment.cosines(0..2, scale, &query, &mut cosines);
    assert!((cosines[0] - 1.0).abs() < 0.01 && (cosines[1] - 1.0).abs() < 0.01, "{cosines:?}");
    assert!(segment.chunk(2).is_err());
}

#[test]
fn each_chunk_has_its_own_sentences() {
    let entry = entry(&["Give fluids. Give more fluids.", "", "Stop."]);
    let mut object = vec![7; 5];
    let bytes = build(&entry, "m").unwrap();
    object.extend(&bytes);
    object.push(9);
    let segment = Segment::read_in(&Arc::new(object), 5..5 + bytes.len()).unwrap();
    let (scale, query) = quantise(&[0.0, 1.0, 0.0]);
    let found = |chunk| segment.sentences(chunk, scale, &query);
    let cosines: Vec<_> = found(0).iter().map(|s| (s.range.clone(), (s.cosine * 100.0).round() / 100.0)).collect();
    assert_eq!(cosines, [(0..12, 1.0), (13..30, 1.02)], "not to unit length here: 1/13 in steps of 13/127");
    assert_eq!((found(1).len(), found(2)[0].range.clone(), found(3).len()), (0, 0..5, 0));
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let bytes = build(&entry(&["Give fluids early"]), "m").unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Segment::read(damaged).is_err(), "flip at {at} went unseen");
        assert!(Segment::read(bytes[..at].to_vec()).is_err(), "cut at {at} went unseen");
    }
}

proptest! {
    #[test]
    fn a_forged_body_with_a_right_checksum_never_panics(body: Vec<u8>, query: [i8; 3]) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(body);
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        if let Ok(segment) = Segment::read(bytes) {
            segment.cosines(0..segment.len(), 1.0, &query, &mut vec![0.0; segment.len()]);
            segment.estimates(&SignQuery::new(&query), &mut vec![0.0; segment.len()]);
            let _ = segment.chunk(0);
            let _ = segment.sentences(0, 1.0, &query);
        }
    }

    #[test]
    fn quantising_keeps_the_direction(vector in prop::collection::vec(-1.0_f32..1.0, 1..50)) {
        let (scale, quantised) = quantise(&vector);
        for (value, q) in vector.iter().zip(quantised) {
            prop_assert!((value - scale * f32::from(q)).abs() <= scale * 0.501 + f32::EPSILON);
        }
    }
}
