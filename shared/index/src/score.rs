//! Scores: BM25 over the tenant's live chunks, cosine over int8 vectors, and how the two become one number.

use crate::segment::{Segment, quantise, term_hash};
use domain::retrieval::TermWeight;
use domain::text::Analyzer;
use std::sync::Arc;

/// BM25 parameters of Robertson and Zaragoza (2009), the usual defaults.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// The weight of the meaning leg; flat between 0.75 and 0.85 on four public sets.
const DENSE_WEIGHT: f32 = 0.8;

/// One number from two legs: `0.8 * (cos + 1) / (max cos + 1) + 0.2 * bm25 / max bm25`, a convex sum with fixed lower bounds.
fn fuse(cosine: f32, cosine_max: f32, lexical: f32, lexical_max: f32) -> f32 {
    let dense = (cosine + 1.0) / (cosine_max + 1.0).max(f32::EPSILON);
    let words = if lexical_max > 0.0 { lexical / lexical_max } else { 0.0 };
    DENSE_WEIGHT * dense + (1.0 - DENSE_WEIGHT) * words
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
    /// The meaning leg.
    pub cosine: f32,
    /// The word leg.
    pub lexical: f32,
}

/// Scores every chunk of the segments and answers the best `limit`, with the weights of the question's terms.
pub fn search(segments: &[Arc<Segment>], text: &str, vector: &[f32], limit: usize) -> (Vec<Scored>, Vec<TermWeight>) {
    let mut scored = cosines(segments, vector);
    let terms = add_lexical(segments, text, &mut scored);
    let cosine_max = scored.iter().map(|s| s.cosine).fold(-1.0, f32::max);
    let lexical_max = scored.iter().map(|s| s.lexical).fold(0.0, f32::max);
    for s in &mut scored {
        s.score = fuse(s.cosine, cosine_max, s.lexical, lexical_max);
    }
    // Ties break by place, so that the same index gives the same order.
    let order = |a: &Scored, b: &Scored| b.score.total_cmp(&a.score).then((a.segment, a.chunk).cmp(&(b.segment, b.chunk)));
    if limit < scored.len() {
        scored.select_nth_unstable_by(limit, order);
        scored.truncate(limit);
    }
    scored.sort_unstable_by(order);
    (scored, terms)
}

fn cosines(segments: &[Arc<Segment>], vector: &[f32]) -> Vec<Scored> {
    let (scale, query) = quantise(vector);
    let mut scored = Vec::with_capacity(segments.iter().map(|s| s.len()).sum());
    for (at, segment) in segments.iter().enumerate() {
        segment
            .cosines(scale, &query, |chunk, cosine| scored.push(Scored { segment: at, chunk, score: 0.0, cosine, lexical: 0.0 }));
    }
    scored
}

fn add_lexical(segments: &[Arc<Segment>], text: &str, scored: &mut [Scored]) -> Vec<TermWeight> {
    let mut terms = Analyzer::default().terms(text);
    terms.sort_unstable();
    terms.dedup();
    let chunks = scored.len() as f32;
    let mean_length = segments.iter().map(|s| s.terms_total()).sum::<u64>() as f32 / chunks.max(1.0);
    let mut starts = Vec::with_capacity(segments.len());
    let mut start = 0;
    for segment in segments {
        starts.push(start);
        start += segment.len();
    }
    let mut hits: Vec<(usize, f32)> = Vec::new();
    terms
        .into_iter()
        .map(|term| {
            let hash = term_hash(&term);
            hits.clear();
            for (segment, start) in segments.iter().zip(&starts) {
                segment.postings(hash, |chunk, frequency| {
                    let tf = frequency as f32;
                    let norm = K1 * (1.0 - B + B * segment.length(chunk) as f32 / mean_length.max(1.0));
                    hits.push((start + chunk as usize, tf * (K1 + 1.0) / (tf + norm)));
                });
            }
            let frequency = hits.len() as f32;
            let weight = (1.0 + (chunks - frequency + 0.5) / (frequency + 0.5)).ln();
            for (at, gain) in &hits {
                if let Some(chunk) = scored.get_mut(*at) {
                    chunk.lexical += weight * gain;
                }
            }
            TermWeight { term, weight }
        })
        .collect()
}
