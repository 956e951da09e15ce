//! Scores: BM25 over the tenant's live chunks, cosine over int8 vectors, and how the two become one number.

use crate::segment::{Segment, quantise, term_hash};
use domain::retrieval::TermWeight;
use domain::text::Analyzer;
use std::sync::Arc;

/// BM25's saturation and length parameters. Windows are of like length and short: a repeated word tells less, and length less,
/// than in the long documents for which 1.2 and 0.75 are usual.
const K1: f32 = 0.9;
const B: f32 = 0.6;

/// How little a question's vector tells: the less, the nearer the nearest chunk is to it. A spoken question full of names,
/// figures and asides is near nothing.
const DOUBT: f32 = 0.9;
const DOUBT_SLOPE: f32 = 0.8;
const DOUBT_MIN: f32 = 0.1;

/// One number from two legs, 0 to 1, where 1 is the best by both: a convex sum of `(cos + 1) / (max cos + 1)` and `bm25 / max bm25`.
/// Each leg keeps its distances, which a fusion of ranks throws away. Doubt in the vector has two consequences: words weigh
/// more, and a chunk's meaning is read in its context.
#[derive(Debug, Clone, Copy)]
struct Fusion {
    cosine_max: f32,
    lexical_max: f32,
    doubt: f32,
}

impl Fusion {
    /// For these best values of the legs.
    fn new(cosine_max: f32, lexical_max: f32) -> Self {
        let doubt = (DOUBT - DOUBT_SLOPE * cosine_max).clamp(DOUBT_MIN, DOUBT);
        Self { cosine_max, lexical_max, doubt }
    }

    /// The cosine drawn towards the mean of itself and its neighbours in the document. A window of 60 words is found best, but
    /// what is asked may go beyond it: its neighbours stand in for the vector of a longer window, which nobody has to compute.
    fn in_context(&self, own: f32, before: Option<f32>, after: Option<f32>) -> f32 {
        let count = 1 + usize::from(before.is_some()) + usize::from(after.is_some());
        let mean = (own + before.unwrap_or(0.0) + after.unwrap_or(0.0)) / count as f32;
        own + self.doubt * (mean - own)
    }

    fn score(&self, cosine: f32, lexical: f32) -> f32 {
        let words = if self.lexical_max > 0.0 { lexical / self.lexical_max } else { 0.0 };
        (cosine + 1.0 + self.doubt * words) / (self.cosine_max + 1.0 + self.doubt)
    }

    /// Adds the score of every chunk of a document.
    fn score_document(&self, cosines: &[f32], lexicals: &[f32], scores: &mut Vec<f32>) {
        for (at, (cosine, lexical)) in cosines.iter().zip(lexicals).enumerate() {
            let before = at.checked_sub(1).map(|at| cosines[at]);
            let after = cosines.get(at + 1).copied();
            scores.push(self.score(self.in_context(*cosine, before, after), *lexical));
        }
    }
}

/// A chunk and its scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Which segment, by its place in the list that was searched.
    pub segment: usize,
    /// Which chunk of it.
    pub chunk: u32,
    /// The fused score.
    pub score: f32,
    /// The meaning leg: cosine of the chunk itself.
    pub cosine: f32,
    /// The word leg: BM25 of the chunk itself.
    pub lexical: f32,
}

/// Scores every chunk of the segments and answers the best `limit`, with the weights of the question's terms.
///
/// The chunks of all segments are numbered through, and each leg is a list of plain numbers: what is read for every chunk
/// is a few bytes.
pub fn search(segments: &[Arc<Segment>], text: &str, vector: &[f32], limit: usize) -> (Vec<Scored>, Vec<TermWeight>) {
    let mut starts = vec![0];
    for segment in segments {
        starts.push(starts[starts.len() - 1] + segment.len());
    }
    let cosines = cosines(segments, &starts, vector);
    let (lexicals, terms) = lexicals(segments, &starts, text);
    let largest = |values: &[f32], floor| values.iter().copied().fold(floor, f32::max);
    let fusion = Fusion::new(largest(&cosines, -1.0), largest(&lexicals, 0.0));
    let mut scores = Vec::with_capacity(cosines.len());
    for document in starts.windows(2).map(|bounds| bounds[0]..bounds[1]) {
        fusion.score_document(&cosines[document.clone()], &lexicals[document], &mut scores);
    }
    let found = best(&scores, limit).into_iter().map(|at| {
        let segment = starts.partition_point(|start| *start <= at) - 1;
        let chunk = (at - starts[segment]) as u32;
        Scored { segment, chunk, score: scores[at], cosine: cosines[at], lexical: lexicals[at] }
    });
    (found.collect(), terms)
}

/// The places of the best `limit` scores, best first. Ties break by place, so that the same index gives the same order.
fn best(scores: &[f32], limit: usize) -> Vec<usize> {
    let order = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    let (mut kept, mut floor) = (Vec::new(), f32::NEG_INFINITY);
    for (at, score) in scores.iter().enumerate() {
        // Most scores are compared with one number and dropped. One that equals the floor comes later than those kept.
        if *score > floor {
            kept.push(at);
            if limit > 0 && kept.len() >= limit.saturating_mul(4) {
                kept.select_nth_unstable_by(limit - 1, order);
                kept.truncate(limit);
                floor = scores[kept[limit - 1]];
            }
        }
    }
    kept.sort_unstable_by(order);
    kept.truncate(limit);
    kept
}

fn cosines(segments: &[Arc<Segment>], starts: &[usize], vector: &[f32]) -> Vec<f32> {
    let (scale, query) = quantise(vector);
    let mut cosines = vec![0.0; starts[segments.len()]];
    for (segment, start) in segments.iter().zip(starts) {
        let own = &mut cosines[*start..][..segment.len()];
        segment.cosines(scale, &query, |chunk, cosine| own[chunk as usize] = cosine);
    }
    cosines
}

fn lexicals(segments: &[Arc<Segment>], starts: &[usize], text: &str) -> (Vec<f32>, Vec<TermWeight>) {
    let mut terms = Analyzer::default().question_terms(text);
    terms.sort_unstable();
    terms.dedup();
    let mut lexicals = vec![0.0; starts[segments.len()]];
    let chunks = lexicals.len() as f32;
    let mean_length = segments.iter().map(|s| s.terms_total()).sum::<u64>() as f32 / chunks.max(1.0);
    let mut hits: Vec<(usize, f32)> = Vec::new();
    let weigh = |term: String| {
        let hash = term_hash(&term);
        hits.clear();
        for (segment, start) in segments.iter().zip(starts) {
            segment.postings(hash, |chunk, frequency| {
                let tf = frequency as f32;
                let norm = K1 * (1.0 - B + B * segment.length(chunk) as f32 / mean_length.max(1.0));
                hits.push((start + chunk as usize, tf * (K1 + 1.0) / (tf + norm)));
            });
        }
        let frequency = hits.len() as f32;
        let weight = (1.0 + (chunks - frequency + 0.5) / (frequency + 0.5)).ln();
        for (at, gain) in &hits {
            if let Some(lexical) = lexicals.get_mut(*at) {
                *lexical += weight * gain;
            }
        }
        TermWeight { term, weight }
    };
    let terms = terms.into_iter().map(weigh).collect();
    (lexicals, terms)
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
