//! The answer without a language model: the best-supported sentences of the passages, quoted word for word. It is the
//! embedded default, and what a user still gets when no outside model is configured, affordable or reachable.
//!
//! A sentence is placed in meaning space when its document is indexed, so an answer embeds nothing but the question.

use super::quote;
use super::{ChatModel, Completion, DraftSentence, Prompt};
use crate::fault::PortError;
use crate::retrieval::{Passage, TermWeight};
use crate::text::{self, Analyzer};
use async_trait::async_trait;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;

/// No more sentences than a person reads at a glance.
const SENTENCES_MAX: usize = 4;
/// A sentence this much weaker than the best adds noise, not proof.
const SHARE_OF_BEST: f32 = 0.74;
/// The last one has to be nearly as good.
const SHARE_OF_BEST_LAST: f32 = 0.82;
/// Two sentences that share this much of their terms say the same.
const SAME_TERMS: f32 = 0.8;
/// Shorter pieces are labels, not sentences.
const WORDS_MIN: usize = 4;

/// What a term in the headings above a sentence counts, against one in the sentence itself.
const HEADING_SHARE: f32 = 0.7;
/// What a term elsewhere in the passage counts.
const PASSAGE_SHARE: f32 = 0.45;
/// The parts of a sentence's score: the question's terms in it, its passage's rank, a figure where one is asked for, and
/// how near its meaning is to the question's.
const TERMS_WEIGHT: f32 = 0.6;
const PASSAGE_WEIGHT: f32 = 0.4;
const FIGURE_BONUS: f32 = 0.12;
const MEANING_WEIGHT: f32 = 1.5;
/// A passage that scores below this share of the best one lends its sentences nothing.
const PASSAGE_FLOOR: f32 = 0.7;

/// Below this support the documents do not answer. Chosen, with the weights below, on the sample handbook and on 160 questions
/// each of two public collections; `clinchat eval grounding` prints what becomes of it on any set.
const SUPPORT_MIN: f32 = 0.38;
/// The parts of the support: the best coverage of the question's terms, the nearest sentence, the sentence that would open.
const COVERAGE_IN_SUPPORT: f32 = 0.2;
const NEAREST_IN_SUPPORT: f32 = 0.5;
const FIRST_IN_SUPPORT: f32 = 0.3;
/// What it loses if the most telling term of the question is nowhere in the best passages; less for a lesser term.
const MISSING_IN_SUPPORT: f32 = 0.15;
/// How many passages are the best.
const BEST_PASSAGES: usize = 3;

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

/// First words of a sentence that only the one before it explains.
const POINTERS: &[&str] = &["he", "it", "its", "she", "that", "their", "these", "they", "this", "those"];

/// Picks, orders and quotes sentences.
#[derive(Default)]
pub struct ExtractiveModel {
    analyzer: Analyzer,
}

/// A piece of a passage that could be part of the answer.
struct Candidate {
    passage: usize,
    /// What is cited: the piece itself, after the header or stem or sentence that it needs to be understood.
    ranges: Vec<Range<usize>>,
    text: String,
    terms: HashSet<String>,
    /// Share of the question's terms in the sentence, its headings and its passage.
    coverage: f32,
    /// Cosine between the sentence and the question.
    cosine: f32,
    score: f32,
}

impl Candidate {
    fn start(&self) -> usize {
        self.ranges.last().map_or(0, |range| range.start)
    }
}

impl ExtractiveModel {
    /// Every sentence of the passages that could answer, best first, without repeats.
    fn ranked(&self, prompt: &Prompt<'_>) -> Vec<Candidate> {
        let question = prompt.question.to_lowercase();
        let asks_figure = FIGURE_CUES.iter().any(|cue| question.contains(cue));
        let best = prompt.passages.iter().map(|p| p.score).fold(f32::EPSILON, f32::max);
        let mut all = self.candidates(prompt);
        for candidate in &mut all {
            let rank = (prompt.passages[candidate.passage].score / best - PASSAGE_FLOOR) / (1.0 - PASSAGE_FLOOR);
            let figure = asks_figure && candidate.text.bytes().any(|b| b.is_ascii_digit());
            candidate.score = TERMS_WEIGHT * candidate.coverage
                + PASSAGE_WEIGHT * rank.max(0.0)
                + MEANING_WEIGHT * candidate.cosine
                + if figure { FIGURE_BONUS } else { 0.0 };
        }
        all.sort_by(best_first);
        let mut kept: Vec<Candidate> = Vec::new();
        for candidate in all {
            if !kept.iter().take(2 * SENTENCES_MAX).any(|k| same(&k.terms, &candidate.terms)) {
                kept.push(candidate);
            }
        }
        kept
    }

    fn candidates(&self, prompt: &Prompt<'_>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (at, passage) in prompt.passages.iter().enumerate().filter(|(_, passage)| !passage.chunk.is_hidden()) {
            let terms_of = |text: &str| self.analyzer.terms(text).into_iter().collect::<HashSet<String>>();
            let around = terms_of(&passage.chunk.text);
            let headings = terms_of(&format!("{} {}", passage.title, passage.chunk.section.join(" ")));
            for piece in pieces(&passage.chunk.text) {
                let own = &passage.chunk.text[piece.own.clone()];
                let cited: Vec<&str> = piece.cited.iter().map(|range| &passage.chunk.text[range.clone()]).collect();
                let readable = quote::joined(&cited).unwrap_or_else(|| quote::readable(&cited.join(" ")));
                if text::count_words(&readable) < WORDS_MIN || readable.ends_with(':') {
                    continue;
                }
                let terms = terms_of(own);
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
                let in_chars = |range: &Range<usize>| {
                    text::char_offset(&passage.chunk.text, range.start)..text::char_offset(&passage.chunk.text, range.end)
                };
                candidates.push(Candidate {
                    passage: at,
                    cosine: cosine(passage, &in_chars(&piece.own)),
                    ranges: piece.cited.iter().map(in_chars).collect(),
                    text: readable,
                    terms,
                    coverage,
                    score: 0.0,
                });
            }
        }
        candidates
    }

    fn support_of(&self, prompt: &Prompt<'_>, candidates: &[Candidate]) -> f32 {
        let coverage = candidates.iter().map(|c| c.coverage).fold(0.0, f32::max);
        let nearest = candidates.iter().map(|c| c.cosine).fold(0.0, f32::max);
        let first = candidates.first().map_or(0.0, |c| c.cosine);
        let found = COVERAGE_IN_SUPPORT * coverage + NEAREST_IN_SUPPORT * nearest + FIRST_IN_SUPPORT * first;
        (found - MISSING_IN_SUPPORT * self.missing(prompt)).max(0.0)
    }

    /// The weight of the most telling term that the best passages do not have, as a share of the question's most telling one.
    fn missing(&self, prompt: &Prompt<'_>) -> f32 {
        let shown = prompt.passages.iter().filter(|passage| !passage.chunk.is_hidden()).take(BEST_PASSAGES);
        let terms: HashSet<String> =
            shown.flat_map(|passage| self.analyzer.terms(&passage.chunk.searchable_text(&passage.title))).collect();
        let heaviest = |terms: &mut dyn Iterator<Item = &TermWeight>| terms.map(|term| term.weight).fold(0.0, f32::max);
        let all = heaviest(&mut prompt.terms.iter());
        let absent = heaviest(&mut prompt.terms.iter().filter(|term| !terms.contains(&term.term)));
        if all > 0.0 { absent / all } else { 0.0 }
    }

    /// Whether the documents answer the question at all, 0 to 1; below a bound the answer is a refusal.
    pub fn support(&self, prompt: &Prompt<'_>) -> f32 {
        self.support_of(prompt, &self.ranked(prompt))
    }
}

/// A piece of a passage, in bytes.
struct Piece {
    own: Range<usize>,
    /// The piece after what it needs to be understood.
    cited: Vec<Range<usize>>,
}

/// The pieces of a passage's text: sentences of its paragraphs and items, rows of its tables.
fn pieces(passage: &str) -> Vec<Piece> {
    let mut found: Vec<Piece> = Vec::new();
    let (mut header, mut stem): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
    let mut at = 0;
    for line in passage.split('\n') {
        let range = at..at + line.len();
        at = range.end + 1;
        if quote::is_row(line) {
            stem = None;
            match &header {
                // Two columns are a name and what is said of it; more need their heads.
                Some(head) if quote::joined(&[&passage[head.clone()], line]).is_some() => {
                    found.push(Piece { own: range.clone(), cited: vec![head.clone(), range] });
                }
                _ => {
                    if header.is_none() {
                        header = Some(range.clone());
                    }
                    if quote::count_cells(line) == 2 || header.as_ref() != Some(&range) {
                        found.push(Piece { own: range.clone(), cited: vec![range] });
                    }
                }
            }
            continue;
        }
        header = None;
        let is_item = quote::is_item(line);
        let sentences = text::sentences(line).into_iter().map(|s| range.start + s.start..range.start + s.end);
        for (n, own) in sentences.enumerate() {
            let text = &passage[own.clone()];
            let first = text.split(|c: char| !c.is_alphanumeric()).find(|w| !w.is_empty()).unwrap_or("").to_lowercase();
            let mut cited = vec![own.clone()];
            if n == 0
                && is_item
                && let Some(stem) = &stem
            {
                cited.insert(0, stem.clone());
            } else if POINTERS.binary_search(&first.as_str()).is_ok()
                && let Some(before) = found.last().filter(|before| before.cited.len() == 1 && before.own.end + 2 >= own.start)
            {
                // One range over both: they stand next to each other.
                cited[0] = before.own.start..own.end;
            }
            found.push(Piece { own, cited });
        }
        if line.trim_end().ends_with(':') {
            // Only the sentence that introduces the list.
            stem = text::sentences(line).last().map(|s| range.start + s.start..range.start + s.end);
        } else if !is_item {
            stem = None;
        }
    }
    found
}

/// How near a range of a passage is to the question: as its nearest sentence, or as the passage if it has no vectors.
fn cosine(passage: &Passage, range: &Range<usize>) -> f32 {
    let inside = passage.sentences.iter().filter(|s| s.range.start < range.end && range.start < s.range.end);
    inside.map(|s| s.cosine).reduce(f32::max).unwrap_or(passage.cosine)
}

fn best_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)).then(a.start().cmp(&b.start()))
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
        let mut chosen = self.ranked(prompt);
        if self.support_of(prompt, &chosen) < SUPPORT_MIN {
            return Ok(Completion::default());
        }
        let best = chosen.first().map_or(0.0, |best| best.score);
        chosen.truncate(SENTENCES_MAX);
        let mut at = 0;
        chosen.retain(|candidate| {
            at += 1;
            candidate.score >= best * if at == SENTENCES_MAX { SHARE_OF_BEST_LAST } else { SHARE_OF_BEST }
        });
        order(&mut chosen, prompt.passages);
        let sentences = chosen
            .into_iter()
            .map(|c| DraftSentence { text: c.text, supports: c.ranges.into_iter().map(|range| (c.passage, range)).collect() });
        Ok(Completion { sentences: sentences.collect(), ..Completion::default() })
    }
}

/// The best sentence opens; the others follow section by section, as they are written there.
fn order(chosen: &mut [Candidate], passages: &[Passage]) {
    let place = |c: &Candidate| {
        let passage = &passages[c.passage];
        (passage.document_id.clone(), passage.chunk.section.clone())
    };
    let mut places = Vec::new();
    for candidate in chosen.iter() {
        if !places.contains(&place(candidate)) {
            places.push(place(candidate));
        }
    }
    if let Some((_, rest)) = chosen.split_first_mut() {
        rest.sort_by_key(|c| (places.iter().position(|p| *p == place(c)), passages[c.passage].chunk.ordinal, c.start()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(passage: &str) -> Vec<String> {
        let texts = pieces(passage).into_iter().map(|piece| {
            let cited: Vec<&str> = piece.cited.iter().map(|range| &passage[range.clone()]).collect();
            quote::joined(&cited).unwrap_or_else(|| quote::readable(&cited.join(" ")))
        });
        texts.collect()
    }

    #[test]
    fn pointers_are_sorted() {
        assert!(POINTERS.is_sorted());
    }

    #[test]
    fn a_row_comes_with_its_header_and_an_item_with_its_stem() {
        assert_eq!(
            read("Area | Times | Visitors\nWards | 10:00 to 20:00 | 2\nNever give it in:\n• renal failure\n• shock. It harms."),
            [
                "Wards – Times: 10:00 to 20:00; Visitors: 2",
                "Never give it in:",
                "Never give it in: renal failure",
                "Never give it in: shock.",
                "It harms.",
            ]
        );
    }

    #[test]
    fn a_sentence_that_points_back_brings_the_one_before_it() {
        assert_eq!(
            read("Take 10 mL of blood at baseline.\nIt is stored for 2 years.\nCall the nurse."),
            ["Take 10 mL of blood at baseline.", "Take 10 mL of blood at baseline. It is stored for 2 years.", "Call the nurse."]
        );
    }

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
