//! Scores: BM25 over the tenant's live chunks, cosine over int8 vectors, and how the two become one number.

use crate::segment::{PostingList, Segment, quantise, term_hash};
use crate::signs::SignQuery;
use domain::retrieval::TermWeight;
use domain::text::Analyzer;
use std::ops::Range;
use std::sync::Arc;

/// BM25's saturation and length parameters. Windows are of like length and short: a repeated word tells less, and length less,
/// than in the long documents for which 1.2 and 0.75 are usual.
const K1: f32 = 0.9;
const B: f32 = 0.6;

/// Tenants up to this many chunks are scored exactly, in a millisecond or two; above, most of the time would go into fetching
/// vectors that are far from the question.
const EXACT_MAX: usize = 20_000;
/// Chunks of a larger tenant whose cosines are computed: two hundred times as many as are wanted, because the estimate by signs
/// is off by up to a tenth.
const CANDIDATES: usize = 2_000;

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

/// Scores the chunks of the segments and answers the best `limit`, with the weights of the question's terms.
///
/// The chunks of all segments are numbered through, and each leg is a list of plain numbers: what is read for every chunk
/// is a few bytes. Above [`EXACT_MAX`] chunks the meaning leg has two stages: an estimate for all, the cosine for the best.
pub fn search(segments: &[Arc<Segment>], text: &str, vector: &[f32], limit: usize) -> (Vec<Scored>, Vec<TermWeight>) {
    let chunks = segments.iter().map(|segment| segment.len()).sum::<usize>();
    let candidates = if chunks > EXACT_MAX { CANDIDATES.max(limit) } else { usize::MAX };
    search_in_stages(segments, text, vector, limit, candidates)
}

/// The same with so many chunks in the second stage. There is one stage if that would be all of them.
fn search_in_stages(
    segments: &[Arc<Segment>],
    text: &str,
    vector: &[f32],
    limit: usize,
    candidates: usize,
) -> (Vec<Scored>, Vec<TermWeight>) {
    let corpus = Corpus::new(segments);
    let (scale, query) = quantise(vector);
    let (lexicals, terms) = corpus.lexicals(text);
    let best_lexical = largest(&lexicals, 0.0);
    let in_stages = candidates < lexicals.len();
    let mut cosines = if in_stages { corpus.estimates(&query) } else { corpus.cosines(scale, &query) };
    let mut scores = Vec::with_capacity(cosines.len());
    let fusion = Fusion::new(largest(&cosines, -1.0), best_lexical);
    for document in corpus.documents() {
        fusion.score_document(&cosines[document.clone()], &lexicals[document], &mut scores);
    }
    if in_stages {
        let mut candidates = best(&scores, candidates);
        candidates.sort_unstable();
        corpus.refine(&candidates, scale, &query, &mut cosines);
        // The best is among the candidates: the largest of all that an estimate left alone is no cosine.
        let fusion = Fusion::new(candidates.iter().map(|at| cosines[*at]).fold(-1.0, f32::max), best_lexical);
        scores.fill(f32::NEG_INFINITY);
        for (segment, at) in corpus.by_segment(&candidates) {
            let before = (at > corpus.starts[segment]).then(|| cosines[at - 1]);
            let after = (at + 1 < corpus.starts[segment + 1]).then(|| cosines[at + 1]);
            scores[at] = fusion.score(fusion.in_context(cosines[at], before, after), lexicals[at]);
        }
    }
    let found = best(&scores, limit).into_iter().map(|at| {
        let segment = corpus.segment_of(at);
        let chunk = (at - corpus.starts[segment]) as u32;
        Scored { segment, chunk, score: scores[at], cosine: cosines[at], lexical: lexicals[at] }
    });
    (found.collect(), terms)
}

fn largest(values: &[f32], floor: f32) -> f32 {
    values.iter().copied().fold(floor, f32::max)
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

/// Where a term is: in how many chunks, and the lists of the documents that have it.
#[derive(Default)]
struct Found<'a> {
    frequency: usize,
    lists: Vec<(Range<usize>, PostingList<'a>)>,
}

/// The chunks of all segments, numbered through.
struct Corpus<'a> {
    segments: &'a [Arc<Segment>],
    /// The number of each segment's first chunk, and at the end how many chunks there are.
    starts: Vec<usize>,
}

impl<'a> Corpus<'a> {
    fn new(segments: &'a [Arc<Segment>]) -> Self {
        let mut starts = vec![0];
        for segment in segments {
            starts.push(starts[starts.len() - 1] + segment.len());
        }
        Self { segments, starts }
    }

    fn len(&self) -> usize {
        self.starts[self.segments.len()]
    }

    fn documents(&self) -> impl Iterator<Item = Range<usize>> {
        self.starts.windows(2).map(|bounds| bounds[0]..bounds[1])
    }

    fn segment_of(&self, chunk: usize) -> usize {
        self.starts.partition_point(|start| *start <= chunk) - 1
    }

    fn each(&self, visit: impl Fn(&Segment, &mut [f32])) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        for (segment, document) in self.segments.iter().zip(self.documents()) {
            visit(segment, &mut values[document]);
        }
        values
    }

    fn cosines(&self, scale: f32, query: &[i8]) -> Vec<f32> {
        self.each(|segment, own| segment.cosines(0..segment.len(), scale, query, own))
    }

    fn estimates(&self, query: &[i8]) -> Vec<f32> {
        let query = SignQuery::new(query);
        self.each(|segment, own| segment.estimates(&query, own))
    }

    /// Puts the cosine of these chunks and of their neighbours in the place of the estimate. The chunks are in order.
    fn refine(&self, chunks: &[usize], scale: f32, query: &[i8], cosines: &mut [f32]) {
        for (segment, own) in self.by_segment(chunks) {
            let document = self.starts[segment]..self.starts[segment + 1];
            let own = own - document.start;
            let around = own.saturating_sub(1)..(own + 2).min(document.len());
            self.segments[segment].cosines(around, scale, query, &mut cosines[document]);
        }
    }

    /// Each of these chunks with its segment. The chunks are in order.
    fn by_segment(&self, chunks: &[usize]) -> impl Iterator<Item = (usize, usize)> {
        let mut segment = 0;
        chunks.iter().map(move |chunk| {
            while self.starts[segment + 1] <= *chunk {
                segment += 1;
            }
            (segment, *chunk)
        })
    }

    /// BM25 of every chunk, and the weights of the terms.
    fn lexicals(&self, text: &str) -> (Vec<f32>, Vec<TermWeight>) {
        let mut terms = Analyzer::default().question_terms(text);
        terms.sort_unstable();
        terms.dedup();
        let chunks = self.len() as f32;
        let mean_length = self.segments.iter().map(|s| s.terms_total()).sum::<u64>() as f32 / chunks.max(1.0);
        let by_length = K1 * B / mean_length.max(1.0);
        let norms = self.each(|segment, own| {
            for (norm, length) in own.iter_mut().zip(segment.lengths()) {
                *norm = K1 * (1.0 - B) + by_length * *length as f32;
            }
        });
        let mut found: Vec<Found<'_>> = terms.iter().map(|_| Found::default()).collect();
        let hashes: Vec<u64> = terms.iter().map(|term| term_hash(term)).collect();
        // One document after the other, not one term: what is read of a document is then still near.
        for (segment, document) in self.segments.iter().zip(self.documents()) {
            for (list, found) in segment.postings(&hashes).zip(&mut found) {
                if let Some(list) = list {
                    found.frequency += list.count();
                    found.lists.push((document.clone(), list));
                }
            }
        }
        let mut lexicals = vec![0.0; self.len()];
        let weigh = |(term, found): (String, Found<'_>)| {
            let frequency = found.frequency as f32;
            let weight = (1.0 + (chunks - frequency + 0.5) / (frequency + 0.5)).ln();
            for (document, list) in found.lists {
                let (own, norms) = (&mut lexicals[document.clone()], &norms[document]);
                list.for_each(|chunk, frequency| {
                    if let (Some(lexical), Some(norm)) = (own.get_mut(chunk as usize), norms.get(chunk as usize)) {
                        let tf = frequency as f32;
                        *lexical += weight * (tf * (K1 + 1.0) / (tf + norm));
                    }
                });
            }
            TermWeight { term, weight }
        };
        let terms = terms.into_iter().zip(found).map(weigh).collect();
        (lexicals, terms)
    }
}

#[cfg(test)]
mod tests;
