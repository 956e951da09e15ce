//! The answer without a language model: the best-supported sentences of the passages, quoted word for word. It is the
//! embedded default, and what a user still gets when no outside model is configured, affordable or reachable.

use super::{ChatModel, Completion, DraftSentence, Prompt, TokenUsage};
use crate::fault::PortError;
use crate::retrieval::{Embedder, TermWeight};
use crate::text::{self, Analyzer};
use async_trait::async_trait;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// No more sentences than a person reads at a glance.
const SENTENCES_MAX: usize = 4;
/// A sentence this much weaker than the best adds noise, not proof.
const SHARE_OF_BEST: f32 = 0.72;
/// Two sentences that share this much of their terms say the same.
const SAME_TERMS: f32 = 0.8;
/// Shorter pieces are labels, not sentences.
const WORDS_MIN: usize = 4;
/// Sentences whose meaning is compared with the question's. Each costs some 8 ms of CPU; on the sample questions 4 find the
/// expected words in 79 %, 8 in 88 %, 12 in 89 % (`cargo run --release -p bench -- answers`).
pub const CANDIDATES: usize = 8;

/// What a term in the headings above a sentence counts, against one in the sentence itself.
const HEADING_SHARE: f32 = 0.7;
/// What a term elsewhere in the passage counts.
const PASSAGE_SHARE: f32 = 0.45;
/// The parts of a sentence's score: the question's terms in it, its passage's rank, a figure where one is asked for, and
/// how near its meaning is to the question's.
const TERMS_WEIGHT: f32 = 0.6;
const PASSAGE_WEIGHT: f32 = 0.4;
const FIGURE_BONUS: f32 = 0.12;
const MEANING_WEIGHT: f32 = 0.7;
/// A passage that scores below this share of the best one lends its sentences nothing.
const PASSAGE_FLOOR: f32 = 0.7;

/// Below this support the documents do not answer: 0.2 of the best coverage of terms, 0.4 of the nearest passage's cosine, 0.4
/// of the nearest sentence's. On the sample questions it refuses every one that has no answer and 2 of 66 that have.
const SUPPORT_MIN: f32 = 0.44;

/// Words that ask for a figure.
const FIGURE_CUES: &[&str] = &[
    "how many",
    "how much",
    "how long",
    "how often",
    "how soon",
    "how quickly",
    "how fast",
    "dose",
    "rate",
    "maximum",
    "minimum",
    "max",
    "limit",
    "within",
    "when",
    "what time",
    "number",
    "extension",
    "temperature",
    "threshold",
    "target",
    "interval",
    "percentage",
    "level",
];

/// Picks, orders and quotes sentences.
pub struct ExtractiveModel {
    analyzer: Analyzer,
    embedder: Arc<dyn Embedder>,
    candidates: usize,
}

/// A sentence that could be part of the answer.
struct Candidate {
    passage: usize,
    range: Range<usize>,
    text: String,
    terms: HashSet<String>,
    /// Share of the question's terms in the sentence, its headings and its passage.
    coverage: f32,
    /// Cosine between the sentence under its heading and the question.
    cosine: f32,
    score: f32,
}

impl ExtractiveModel {
    /// A model that compares the meaning of so many sentences per answer ([`CANDIDATES`]).
    pub fn new(embedder: Arc<dyn Embedder>, candidates: usize) -> Self {
        Self { analyzer: Analyzer::default(), embedder, candidates }
    }

    /// The sentences worth a closer look: the best by terms and passage, without repeats.
    fn shortlist(&self, prompt: &Prompt<'_>) -> Vec<Candidate> {
        let asks_figure = {
            let question = prompt.question.to_lowercase();
            FIGURE_CUES.iter().any(|cue| question.contains(cue))
        };
        let mut all = self.candidates(prompt);
        for candidate in &mut all {
            let best = prompt.passages.iter().map(|p| p.score).fold(f32::EPSILON, f32::max);
            let rank = (prompt.passages[candidate.passage].score / best - PASSAGE_FLOOR) / (1.0 - PASSAGE_FLOOR);
            let figure = asks_figure && candidate.text.bytes().any(|b| b.is_ascii_digit());
            candidate.score =
                TERMS_WEIGHT * candidate.coverage + PASSAGE_WEIGHT * rank.max(0.0) + if figure { FIGURE_BONUS } else { 0.0 };
        }
        all.sort_by(best_first);
        let mut kept: Vec<Candidate> = Vec::new();
        for candidate in all {
            if kept.len() == self.candidates {
                break;
            }
            if !kept.iter().any(|k| same(&k.terms, &candidate.terms)) {
                kept.push(candidate);
            }
        }
        kept
    }

    /// Every sentence of the passages.
    fn candidates(&self, prompt: &Prompt<'_>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (at, passage) in prompt.passages.iter().enumerate() {
            let terms_of = |text: &str| self.analyzer.terms(text).into_iter().collect::<HashSet<String>>();
            let around = terms_of(&passage.chunk.text);
            let headings = terms_of(&format!("{} {}", passage.title, passage.chunk.section.join(" ")));
            for range in text::sentences(&passage.chunk.text) {
                let sentence = &passage.chunk.text[range.clone()];
                if text::count_words(sentence) < WORDS_MIN || sentence.ends_with(':') {
                    continue;
                }
                let terms = terms_of(sentence);
                let coverage = covered(prompt.terms, |term| {
                    if terms.contains(term) {
                        1.0
                    } else if headings.contains(term) {
                        HEADING_SHARE
                    } else if around.contains(term) {
                        PASSAGE_SHARE
                    } else {
                        0.0
                    }
                });
                candidates.push(Candidate {
                    passage: at,
                    range: text::char_offset(&passage.chunk.text, range.start)..text::char_offset(&passage.chunk.text, range.end),
                    text: readable(sentence),
                    terms,
                    coverage,
                    cosine: 0.0,
                    score: 0.0,
                });
            }
        }
        candidates
    }

    /// Compares meanings and puts the shortlist in its final order.
    fn weigh(&self, prompt: &Prompt<'_>, shortlist: &mut [Candidate]) {
        for candidate in shortlist.iter_mut() {
            let heading = prompt.passages[candidate.passage].chunk.section.last().map_or("", String::as_str);
            let meaning = self.embedder.embed(&format!("{heading} {}", candidate.text));
            candidate.cosine = prompt.embedding.cosine(&meaning);
            candidate.score += MEANING_WEIGHT * candidate.cosine;
        }
        shortlist.sort_by(best_first);
    }
}

fn best_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)).then(a.range.start.cmp(&b.range.start))
}

/// Whether the documents answer the question at all, 0 to 1.
fn support(prompt: &Prompt<'_>, shortlist: &[Candidate]) -> f32 {
    let coverage = shortlist.iter().map(|c| c.coverage).fold(0.0, f32::max);
    let passage = prompt.passages.iter().map(|p| p.cosine).fold(0.0, f32::max);
    let sentence = shortlist.iter().map(|c| c.cosine).fold(0.0, f32::max);
    0.2 * coverage + 0.4 * passage + 0.4 * sentence
}

/// The weighted share of the question's terms that `share` grants.
fn covered(terms: &[TermWeight], share: impl Fn(&str) -> f32) -> f32 {
    let total: f32 = terms.iter().map(|t| t.weight).sum();
    if total <= 0.0 {
        return 0.0;
    }
    terms.iter().map(|t| t.weight * share(&t.term)).sum::<f32>() / total
}

/// A sentence without its bullet and with single spaces. The citation still quotes the page to the letter.
fn readable(sentence: &str) -> String {
    let words = sentence.trim_start_matches(|c: char| c.is_whitespace() || "•◦▪‣–-*".contains(c));
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether two sentences say the same, by their terms.
fn same(a: &HashSet<String>, b: &HashSet<String>) -> bool {
    let both = a.intersection(b).count() as f32;
    both / (a.len().min(b.len()).max(1)) as f32 >= SAME_TERMS
}

#[async_trait]
impl ChatModel for ExtractiveModel {
    fn name(&self) -> &'static str {
        "extractive"
    }

    async fn complete(&self, prompt: &Prompt<'_>) -> Result<Completion, PortError> {
        let mut chosen = self.shortlist(prompt);
        self.weigh(prompt, &mut chosen);
        if support(prompt, &chosen) < SUPPORT_MIN {
            return Ok(Completion::default());
        }
        let floor = chosen.first().map_or(0.0, |best| best.score * SHARE_OF_BEST);
        chosen.retain(|c| c.score >= floor);
        chosen.truncate(SENTENCES_MAX);
        // The best sentence opens; the others follow passage by passage, as they are written.
        let order: Vec<usize> = chosen.iter().map(|c| c.passage).collect();
        if let Some((_, rest)) = chosen.split_first_mut() {
            rest.sort_by_key(|c| (order.iter().position(|p| *p == c.passage), c.range.start));
        }
        let sentences =
            chosen.into_iter().map(|c| DraftSentence { text: c.text, supports: vec![(c.passage, c.range)] }).collect();
        Ok(Completion { sentences, usage: TokenUsage::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_told_by_terms() {
        let set = |words: &str| words.split(' ').map(str::to_owned).collect::<HashSet<_>>();
        assert!(same(&set("give 30 ml kg"), &set("give 30 ml kg crystalloid")));
        assert!(!same(&set("give 30 ml kg"), &set("give antibiotic one hour")));
    }

    #[test]
    fn a_question_without_terms_is_covered_by_nothing() {
        assert!(covered(&[], |_| 1.0).abs() < f32::EPSILON);
    }
}
