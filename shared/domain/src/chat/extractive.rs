//! The answer without a language model: the best-supported sentences of the passages, quoted word for word. It is the
//! embedded default, and what a user still gets when no outside model is configured, affordable or reachable.

use super::{ChatModel, Completion, DraftSentence, Prompt, TokenUsage};
use crate::fault::PortError;
use crate::retrieval::{Passage, TermWeight};
use crate::text::{self, Analyzer};
use async_trait::async_trait;
use std::collections::HashSet;
use std::ops::Range;

/// No more sentences than a person reads at a glance.
const SENTENCES_MAX: usize = 4;
/// A sentence this much weaker than the best adds noise, not proof.
const SHARE_OF_BEST: f32 = 0.72;
/// Two sentences that share this much of their terms say the same.
const SAME_TERMS: f32 = 0.8;
/// What a term in the headings above a sentence counts, against one in the sentence itself.
const HEADING_SHARE: f32 = 0.7;
/// What a term elsewhere in the passage counts.
const PASSAGE_SHARE: f32 = 0.45;
/// Bonus for a figure where the question asks for one.
const FIGURE_BONUS: f32 = 0.12;
/// Shorter pieces are labels, not sentences.
const WORDS_MIN: usize = 4;

/// Below this support the documents do not answer. `clinchat eval` prints what it costs on answerable questions; chosen on
/// the sample set's questions (docs/evaluation.md).
const SUPPORT_MIN: f32 = 0.50;

/// Words that ask for a figure.
const FIGURE_CUES: &[&str] = &[
    "how many", "how much", "how long", "how often", "how soon", "how quickly", "how fast", "dose", "rate", "maximum", "minimum", "max", "limit",
    "within", "when", "what time", "number", "extension", "temperature", "threshold", "target", "interval", "percentage", "level",
];

/// Picks, orders and quotes sentences.
#[derive(Default)]
pub struct ExtractiveModel {
    analyzer: Analyzer,
}

/// A sentence that could be part of the answer.
struct Candidate {
    passage: usize,
    range: Range<usize>,
    text: String,
    terms: HashSet<String>,
    score: f32,
}

impl ExtractiveModel {
    /// How well a passage as a whole supports the question, 0 to 1: the weighted share of the question's terms that it has,
    /// together with the meaning's closeness.
    fn support(&self, prompt: &Prompt<'_>, passage: &Passage) -> f32 {
        let terms: HashSet<String> = self.analyzer.terms(&passage.chunk.searchable_text(&passage.title)).into_iter().collect();
        let coverage = covered(prompt.terms, |term| if terms.contains(term) { 1.0 } else { 0.0 });
        0.5 * coverage + 0.5 * (passage.cosine.max(0.0) / 0.7).min(1.0)
    }

    fn candidates(&self, prompt: &Prompt<'_>) -> Vec<Candidate> {
        let asks_figure = {
            let question = prompt.question.to_lowercase();
            FIGURE_CUES.iter().any(|cue| question.contains(cue))
        };
        let best_score = prompt.passages.iter().map(|p| p.score).fold(f32::EPSILON, f32::max);
        let mut candidates = Vec::new();
        for (at, passage) in prompt.passages.iter().enumerate() {
            let around: HashSet<String> = self.analyzer.terms(&passage.chunk.text).into_iter().collect();
            let headings: HashSet<String> = self.analyzer.terms(&format!("{} {}", passage.title, passage.chunk.section.join(" "))).into_iter().collect();
            for range in text::sentences(&passage.chunk.text) {
                let sentence = &passage.chunk.text[range.clone()];
                if text::count_words(sentence) < WORDS_MIN || sentence.ends_with(':') {
                    continue;
                }
                let terms: HashSet<String> = self.analyzer.terms(sentence).into_iter().collect();
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
                let figure = if asks_figure && sentence.bytes().any(|b| b.is_ascii_digit()) { FIGURE_BONUS } else { 0.0 };
                candidates.push(Candidate {
                    passage: at,
                    range: text::char_offset(&passage.chunk.text, range.start)..text::char_offset(&passage.chunk.text, range.end),
                    text: sentence.split_whitespace().collect::<Vec<_>>().join(" "),
                    terms,
                    score: 0.6 * coverage + 0.4 * passage.score / best_score + figure,
                });
            }
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)).then(a.range.start.cmp(&b.range.start)));
        candidates
    }
}

/// The weighted share of the question's terms that `share` grants.
fn covered(terms: &[TermWeight], share: impl Fn(&str) -> f32) -> f32 {
    let total: f32 = terms.iter().map(|t| t.weight).sum();
    if total <= 0.0 {
        return 0.0;
    }
    terms.iter().map(|t| t.weight * share(&t.term)).sum::<f32>() / total
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
        let support = prompt.passages.iter().map(|p| self.support(prompt, p)).fold(0.0, f32::max);
        if support < SUPPORT_MIN {
            return Ok(Completion::default());
        }
        let mut chosen: Vec<Candidate> = Vec::new();
        for candidate in self.candidates(prompt) {
            let best = chosen.first().map_or(candidate.score, |c| c.score);
            if chosen.len() == SENTENCES_MAX || candidate.score < best * SHARE_OF_BEST {
                break;
            }
            if !chosen.iter().any(|c| same(&c.terms, &candidate.terms)) {
                chosen.push(candidate);
            }
        }
        // The best passage first, and inside a passage as it is written.
        let order: Vec<usize> = chosen.iter().map(|c| c.passage).collect();
        chosen.sort_by_key(|c| (order.iter().position(|p| *p == c.passage), c.range.start));
        let sentences = chosen.into_iter().map(|c| DraftSentence { text: c.text, supports: vec![(c.passage, c.range)] }).collect();
        Ok(Completion { sentences, usage: TokenUsage::default() })
    }
}
