//! Words and sentences: the one analyser behind lexical search, the extractive answer and the support check, so that
//! they agree on what a term is.

use rust_stemmers::{Algorithm, Stemmer};
use std::fmt::Write as _;
use std::ops::Range;

/// English words that carry no meaning of their own in a question or a passage. Negations stay: they change an answer.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before",
    "being", "but", "by", "can", "could", "did", "do", "does", "doing", "for", "from", "had", "has", "have", "having", "he",
    "her", "here", "hers", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "let", "me", "more", "most",
    "my", "of", "on", "or", "other", "our", "ours", "please", "shall", "she", "should", "so", "some", "such", "tell", "than",
    "that", "the", "their", "theirs", "them", "then", "there", "these", "they", "this", "those", "to", "too", "up", "us", "very",
    "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom", "whose", "why", "will", "with", "would",
    "you", "your", "yours",
];

/// What people say around a question when they speak or chat: fillers, courtesies, and words that only carry the sentence.
/// Dropped from questions, kept in passages. In a passage they are rare, so by their rarity they would count most.
#[rustfmt::skip]
const QUESTION_WORDS: &[&str] = &[
    "actually", "ah", "ahead", "alright", "alrighty", "anything", "anyway", "anyways", "ask", "asked", "asking", "basically",
    "bit", "cause", "dont", "er", "everything", "feel", "fine", "get", "gets", "getting", "go", "goes", "going", "gonna",
    "good", "got", "gotcha", "gotta", "great", "guess", "hear", "heard", "hello", "hey", "hi", "hm", "hmm", "huh", "im", "ive",
    "kind", "kinda", "know", "like", "little", "look", "looking", "lot", "maybe", "mean", "mhm", "mm", "nothing", "now", "oh",
    "ok", "okay", "really", "said", "say", "saying", "see", "something", "sort", "sorta", "sound", "sounds", "stuff", "sure",
    "talk", "talked", "talking", "thank", "thanks", "thing", "things", "think", "thought", "today", "uh", "uhh", "uhm", "um",
    "umm", "wanna", "want", "wanted", "way", "well", "wonder", "wondering", "yeah", "yep", "yes", "yup",
];

/// Whether a lower-case word is in the stop list.
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// What an apostrophe glues to a word.
const CLITICS: &[&str] = &["'d", "'ll", "'m", "'re", "'s", "'ve"];

/// Calls `visit` with each word in lower case: letters and digits, with a decimal point or comma kept inside a number. What an
/// apostrophe glues to a word is dropped (`patient's`), but for a negation, which is a word (`don't`: `do`, `not`).
fn for_each_word(text: &str, mut visit: impl FnMut(&str)) {
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
            continue;
        }
        if matches!(c, '\'' | '’') && chars.peek().is_some_and(|next| next.is_alphabetic()) {
            let mut glued = String::from("'");
            while let Some(next) = chars.next_if(|next| next.is_alphanumeric()) {
                glued.extend(next.to_lowercase());
            }
            if glued == "'t" && word.ends_with('n') {
                visit(match word.as_str() {
                    "can" => "can",
                    "won" => "will",
                    _ => &word[..word.len() - 1],
                });
                visit("not");
                word.clear();
            } else {
                if !word.is_empty() {
                    visit(&word);
                }
                word.clear();
                if !CLITICS.contains(&glued.as_str()) {
                    word.push_str(&glued[1..]);
                }
            }
            continue;
        }
        let inside_number = (c == '.' || c == ',')
            && word.ends_with(|p: char| p.is_ascii_digit())
            && chars.peek().is_some_and(char::is_ascii_digit);
        if inside_number {
            if c == '.' {
                word.push('.');
            }
            continue;
        }
        if !word.is_empty() {
            visit(&word);
            word.clear();
        }
    }
    if !word.is_empty() {
        visit(&word);
    }
}

/// Terms of a text: words in lower case, stop words dropped, stemmed (Porter2). One stemmer for many texts.
pub struct Analyzer {
    stemmer: Stemmer,
}

impl Default for Analyzer {
    fn default() -> Self {
        Self { stemmer: Stemmer::create(Algorithm::English) }
    }
}

impl Analyzer {
    /// The terms in order, with repeats.
    pub fn terms(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        for_each_word(text, |word| {
            if !is_stop_word(word) {
                terms.push(self.stem(word));
            }
        });
        terms
    }

    /// The terms of a question: without what people say around it, unless nothing else is there.
    pub fn question_terms(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        for_each_word(text, |word| {
            if !is_stop_word(word) && QUESTION_WORDS.binary_search(&word).is_err() {
                terms.push(self.stem(word));
            }
        });
        if terms.is_empty() { self.terms(text) } else { terms }
    }

    fn stem(&self, word: &str) -> String {
        if word.bytes().all(|b| b.is_ascii_lowercase()) { self.stemmer.stem(word).into_owned() } else { word.to_owned() }
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// How many words a text has.
pub fn count_words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Abbreviations whose full stop does not end a sentence, in lower case and without it.
const ABBREVIATIONS: &[&str] = &[
    "approx", "ca", "cf", "co", "dept", "dr", "e.g", "eg", "esp", "etc", "ext", "fig", "hr", "hrs", "i.e", "ie", "incl", "max",
    "min", "mr", "mrs", "ms", "no", "nos", "p", "pp", "prof", "ref", "sec", "st", "tab", "vol", "vs",
];

/// The sentences of a text as byte ranges, trimmed, in order. A line break always ends one: blocks are joined by it.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        let ends = match c {
            '\n' => true,
            '!' | '?' | '。' => chars.peek().is_none_or(|(_, next)| next.is_whitespace()),
            '.' => {
                chars.peek().is_none_or(|(_, next)| next.is_whitespace()) && stop_ends_sentence(&text[start..at], &text[end..])
            }
            _ => false,
        };
        if ends {
            push_trimmed(text, start..end, &mut found);
            start = end;
        }
    }
    push_trimmed(text, start..text.len(), &mut found);
    found
}

/// Whether a full stop between `before` (the sentence so far) and `after` ends the sentence.
fn stop_ends_sentence(before: &str, after: &str) -> bool {
    let last_word = before.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or("").to_lowercase();
    if ABBREVIATIONS.binary_search(&last_word.as_str()).is_ok() {
        return false;
    }
    // "1." and "B." at the beginning are a list marker, not a sentence.
    let is_marker = before.trim_start() == last_word && last_word.len() <= 3 && last_word.chars().all(char::is_alphanumeric);
    let next = after.trim_start().chars().next();
    !is_marker && next.is_none_or(|c| !c.is_lowercase())
}

fn push_trimmed(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let piece = &text[range.clone()];
    let lead = piece.len() - piece.trim_start().len();
    let trimmed = piece.trim();
    if !trimmed.is_empty() {
        found.push(range.start + lead..range.start + lead + trimmed.len());
    }
}

/// The byte range of a range of code points, or `None` if it is not inside the text.
pub fn byte_range(text: &str, chars: &Range<usize>) -> Option<Range<usize>> {
    let mut at = text.char_indices().map(|(i, _)| i).chain(std::iter::once(text.len()));
    let start = at.nth(chars.start)?;
    let end = if chars.end == chars.start { start } else { at.nth(chars.end.checked_sub(chars.start + 1)?)? };
    Some(start..end)
}

/// How many code points come before a byte offset.
pub fn char_offset(text: &str, byte: usize) -> usize {
    text[..byte].chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_sorted_for_binary_search() {
        assert!(STOP_WORDS.is_sorted());
        assert!(QUESTION_WORDS.is_sorted() && !QUESTION_WORDS.iter().any(|word| is_stop_word(word)));
        assert!(ABBREVIATIONS.is_sorted());
    }

    #[test]
    fn terms_keep_decimals_and_negations() {
        let terms = Analyzer::default().terms("Do NOT give 0.5 mg/kg, or 1,000 units, of the infusions");
        assert_eq!(terms, ["not", "give", "0.5", "mg", "kg", "1000", "unit", "infus"]);
    }

    #[test]
    fn apostrophes_glue_nothing_but_negations() {
        let terms = |text| Analyzer::default().terms(text);
        assert_eq!(terms("Parkinson's disease, the patients' vitamin D"), ["parkinson", "diseas", "patient", "vitamin", "d"]);
        assert_eq!(terms("Don’t give; can't, won't, isn't"), ["not", "give", "not", "not", "not"]);
        assert_eq!(terms("O'Brien 'quoted' rock 'n' roll 't"), ["o", "brien", "quot", "rock", "n", "roll", "t"]);
    }

    #[test]
    fn a_spoken_question_is_what_is_asked_and_a_question_of_fillers_is_itself() {
        let terms = |text| Analyzer::default().question_terms(text);
        assert_eq!(terms("okay so, um, how's the right knee doing, any swelling?"), ["right", "knee", "swell"]);
        assert_eq!(terms("Well, okay?"), ["well", "okay"]);
        assert_eq!(terms("so is it?"), [""; 0]);
    }

    #[test]
    fn sentences_survive_abbreviations_decimals_and_markers() {
        let text = "1. Give 0.5 mg e.g. by mouth. Repeat after approx. 4 hours! See Dr. Who?\n- second item";
        let found: Vec<&str> = sentences(text).into_iter().map(|r| &text[r]).collect();
        assert_eq!(found, ["1. Give 0.5 mg e.g. by mouth.", "Repeat after approx. 4 hours!", "See Dr. Who?", "- second item"]);
    }

    #[test]
    fn byte_ranges_count_code_points() {
        assert_eq!(byte_range("aéb", &(1..2)), Some(1..3));
        assert_eq!(byte_range("aéb", &(3..3)), Some(4..4));
        assert_eq!(byte_range("aéb", &(2..9)), None);
    }

    proptest! {
        #[test]
        fn sentences_cover_everything_but_white_space(text in "\\PC{0,200}") {
            let covered: String = sentences(&text).into_iter().map(|r| text[r].to_owned()).collect();
            let strip = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(strip(&covered), strip(&text));
        }

        #[test]
        fn byte_range_agrees_with_skipping_chars(text in "\\PC{0,60}", start in 0_usize..40, length in 0_usize..40) {
            let expected: Option<String> =
                (start + length <= text.chars().count()).then(|| text.chars().skip(start).take(length).collect());
            prop_assert_eq!(byte_range(&text, &(start..start + length)).map(|r| text[r].to_owned()), expected);
        }
    }
}
