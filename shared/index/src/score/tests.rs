//! The fusion keeps order, and two stages find what one finds.

use super::*;
use crate::segment::build;
use domain::documents::attributes::Attributes;
use domain::documents::chunks::{Chunk, Span};
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::retrieval::{EmbeddedChunk, Embedding, IndexEntry};
use proptest::prelude::*;

/// Scores of a document whose chunks are (cosine, lexical).
fn scores(fusion: Fusion, document: &[(f32, f32)]) -> Vec<f32> {
    let (cosines, lexicals): (Vec<f32>, Vec<f32>) = document.iter().copied().unzip();
    let mut scores = Vec::new();
    fusion.score_document(&cosines, &lexicals, &mut scores);
    scores
}

prop_compose! {
    /// The best of each leg, and a place below it for one chunk.
    fn legs()(cosine_max in -1.0_f32..1.0, lexical_max in 0.0_f32..30.0, near in 0.0_f32..1.0, rich in 0.0_f32..1.0)
        -> (Fusion, f32, f32) {
        (Fusion::new(cosine_max, lexical_max), near * (cosine_max + 1.0) - 1.0, rich * lexical_max)
    }
}

proptest! {
    #[test]
    fn more_of_either_leg_never_scores_less((fusion, cosine, lexical) in legs(), up in 0.0_f32..1.0) {
        let nearer = cosine + up * (fusion.cosine_max - cosine);
        let richer = lexical + up * (fusion.lexical_max - lexical);
        let score = fusion.score(cosine, lexical);
        prop_assert!(fusion.score(nearer, lexical) >= score - 1e-6);
        prop_assert!(fusion.score(cosine, richer) >= score - 1e-6);
        prop_assert!((0.0..=1.0 + 1e-6).contains(&score), "{score}");
    }

    #[test]
    fn the_best_of_both_legs_scores_one((fusion, _, _) in legs()) {
        let best = fusion.score(fusion.cosine_max, fusion.lexical_max);
        let share = (fusion.cosine_max + 1.0) / (fusion.cosine_max + 1.0 + fusion.doubt);
        let expected = if fusion.lexical_max > 0.0 { 1.0 } else { share };
        prop_assert!((best - expected).abs() < 1e-5);
    }

    #[test]
    fn context_draws_towards_the_neighbours_and_never_past_them(
        (fusion, _, _) in legs(),
        (own, before, after) in (-1.0_f32..1.0, -1.0_f32..1.0, -1.0_f32..1.0),
    ) {
        let drawn = fusion.in_context(own, Some(before), Some(after));
        let (low, high) = (own.min(before).min(after), own.max(before).max(after));
        prop_assert!(drawn >= low - 1e-6 && drawn <= high + 1e-6);
        prop_assert!((fusion.in_context(own, None, None) - own).abs() < 1e-6);
    }

    #[test]
    fn chunks_that_are_alike_in_all_score_alike(cosine in -1.0_f32..1.0, lexical in 0.0_f32..9.0, count in 1_usize..6) {
        let scores = scores(Fusion::new(cosine, lexical), &vec![(cosine, lexical); count]);
        prop_assert!(scores.iter().all(|score| (score - scores[0]).abs() < 1e-5));
    }

    #[test]
    fn the_best_are_the_first_of_all_in_order(scores in proptest::collection::vec(0_u8..20, 0..200), limit in 0_usize..40) {
        let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
        let mut all: Vec<usize> = (0..scores.len()).collect();
        all.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        all.truncate(limit);
        prop_assert_eq!(best(&scores, limit), all);
    }
}

#[test]
fn a_question_that_is_near_nothing_is_decided_by_words() {
    // The same two chunks: one nearer in meaning, one with the words.
    let words_win = |cosine_max: f32| {
        let fusion = Fusion::new(cosine_max, 10.0);
        fusion.score(cosine_max - 0.4, 10.0) > fusion.score(cosine_max, 0.0)
    };
    assert!(words_win(0.3));
    assert!(!words_win(0.8));
}

#[test]
fn of_equal_chunks_the_one_among_relevant_neighbours_is_found_first() {
    let fusion = Fusion::new(0.5, 0.0);
    let among = scores(fusion, &[(0.4, 0.0), (0.5, 0.0), (0.4, 0.0)]);
    let alone = scores(fusion, &[(0.5, 0.0), (0.0, 0.0)]);
    assert!(among[1] > alone[0]);
}

/// Numbers between -1 and 1, the same in every run.
fn noise(seed: u64) -> impl Iterator<Item = f32> {
    let step = |state: &u64| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        Some(state ^ (state << 17))
    };
    let first = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::successors(Some(first), step).skip(8).map(|state| (state >> 40) as f32 / (1 << 23) as f32 - 1.0)
}

/// A vector near a topic's: documents have topics, and the nearer of them are what a question is about.
fn vector(topic: u64, own: u64) -> Vec<f32> {
    let sum: Vec<f32> = noise(topic + 1).zip(noise(own + 7_000)).take(384).map(|(topic, own)| topic + own).collect();
    let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
    sum.iter().map(|v| v / length).collect()
}

fn document(number: u64, chunks: u64) -> Arc<Segment> {
    let tenant = TenantId::parse("main").unwrap();
    let chunk = |at: u64| {
        let text = format!("topic{} word{} word{}", number % 40, at % 17, (number * at) % 101);
        let span = Span { page: 1, start: 0, end: text.chars().count() };
        EmbeddedChunk {
            chunk: Chunk { ordinal: at as u32, section: vec![], text, spans: vec![span], flags: vec![] },
            embedding: Embedding(vector(number % 40, number * 1_000 + at)),
            sentences: Vec::new(),
        }
    };
    let entry = IndexEntry {
        document_id: DocumentId::for_key(&tenant, &number.to_string()),
        tenant,
        title: "Handbook".into(),
        version: "1".into(),
        sequencer: Sequencer::parse("1").unwrap(),
        pages: 1,
        attributes: Attributes::default(),
        chunks: (0..chunks).map(chunk).collect(),
    };
    Arc::new(Segment::read(build(&entry, "m").unwrap()).unwrap())
}

#[test]
fn two_stages_find_what_one_finds() {
    let corpus: Vec<Arc<Segment>> = (0..100).map(|number| document(number, 20)).collect();
    let (mut same, mut first) = (0, 0);
    for question in 0..40 {
        let (text, vector) = (format!("word{} word{}", question % 17, question), vector(question, 999_999 + question));
        let (exact, exact_terms) = search_in_stages(&corpus, &text, &vector, 10, usize::MAX);
        let (staged, terms) = search_in_stages(&corpus, &text, &vector, 10, 200);
        assert_eq!(terms, exact_terms);
        first += usize::from(staged[0] == exact[0]);
        for hit in &staged {
            let found = exact.iter().find(|other| (other.segment, other.chunk) == (hit.segment, hit.chunk));
            same += usize::from(found.is_some());
            // Whatever is found has its own cosine, not the estimate.
            assert!(found.is_none_or(|other| other.cosine.to_bits() == hit.cosine.to_bits()));
        }
    }
    assert!(first >= 39 && same >= 392, "{first} of 40 first places, {same} of 400 places");
}

#[test]
fn a_second_stage_with_room_for_all_changes_nothing() {
    let corpus: Vec<Arc<Segment>> = (0..7).map(|number| document(number, number)).collect();
    let question = vector(3, 1);
    let chunks = corpus.iter().map(|segment| segment.len()).sum();
    assert_eq!(
        search_in_stages(&corpus, "word3", &question, 5, chunks),
        search_in_stages(&corpus, "word3", &question, 5, usize::MAX)
    );
}
