//! From candidates to spans: of two that overlap the heavier one stays, and what it leaves of the other goes on its own only
//! if it could still be read as the identifier that it was.

use crate::label::Label;
use crate::recognisers::Candidate;
use std::ops::Range;

/// How strict to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OperatingPoint {
    /// Recall first: questions to a model, log lines.
    Strict,
    /// Precision counts as well: passages, where a replaced drug ruins retrieval.
    Balanced,
    /// By the document's shape: notes are balanced, everything shorter is strict.
    #[default]
    Auto,
}

/// Letters of a document from which on it is no question any more.
const NOTE_BYTES: usize = 600;

impl OperatingPoint {
    /// The probability from which on a word is part of a name.
    pub fn threshold(self, text: &str) -> f32 {
        let is_strict = match self {
            Self::Strict => true,
            Self::Balanced => false,
            Self::Auto => text.len() < NOTE_BYTES,
        };
        if is_strict { 0.30 } else { 0.50 }
    }
}

/// An identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where, in bytes of the text that was given.
    pub range: Range<usize>,
    /// What.
    pub label: Label,
}

/// Keeps the heaviest of what overlaps; of two as heavy the longer, then the earlier one.
pub fn decide(mut candidates: Vec<Candidate>, text: &str) -> Vec<Candidate> {
    candidates.sort_by_key(|c| (std::cmp::Reverse(c.weight), std::cmp::Reverse(c.range.len()), c.range.start, c.label));
    let mut kept: std::collections::BTreeMap<usize, Candidate> = std::collections::BTreeMap::new();
    for candidate in candidates {
        let mut rest = vec![candidate.range.clone()];
        let overlapping =
            kept.range(..candidate.range.end).rev().take_while(|(_, other)| other.range.end > candidate.range.start);
        for (_, other) in overlapping {
            rest = rest.into_iter().flat_map(|part| without(part, &other.range)).collect();
        }
        let is_whole = rest.len() == 1 && rest[0] == candidate.range;
        for part in rest {
            let part = if is_whole { part } else { trim(part, text) };
            // What is left of a name or an address is still one; what is left of a number is nothing.
            let is_kept = is_whole
                || matches!(candidate.label, Label::Name | Label::Location | Label::Facility | Label::Url)
                    && text[part.clone()].chars().filter(|c| c.is_alphanumeric()).count() > 2;
            if is_kept && !part.is_empty() {
                kept.insert(part.start, Candidate { range: part, label: candidate.label, weight: candidate.weight });
            }
        }
    }
    kept.into_values().collect()
}

fn without(part: Range<usize>, taken: &Range<usize>) -> Vec<Range<usize>> {
    if taken.end <= part.start || taken.start >= part.end {
        return vec![part];
    }
    [part.start..taken.start.max(part.start), taken.end.min(part.end)..part.end]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect()
}

fn trim(part: Range<usize>, text: &str) -> Range<usize> {
    let inner = text[part.clone()].trim_matches(|c: char| !c.is_alphanumeric());
    let start = part.start + text[part].find(inner).unwrap_or(0);
    start..start + inner.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heavier_stays_and_names_keep_their_rest() {
        let text = "Anna 12345 Berg";
        let name = |range, weight| Candidate { range, label: Label::Name, weight };
        let code = Candidate { range: 5..10, label: Label::Mrn, weight: 80 };
        let found = decide(vec![name(0..15, 60), code.clone()], text);
        assert_eq!(found.iter().map(|c| c.range.clone()).collect::<Vec<_>>(), [0..4, 5..10, 11..15]);
        let found = decide(vec![Candidate { range: 3..12, label: Label::Phone, weight: 10 }, code.clone()], text);
        assert_eq!(found, [code]);
    }
}
