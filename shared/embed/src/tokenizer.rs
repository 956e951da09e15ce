//! Text to word pieces, as BERT does it: words and punctuation first, then the longest pieces of the vocabulary.

use std::ops::Range;

use crate::characters::{is_punctuation, normalise};
use crate::format::LoadModelError;

/// A word of more characters than this becomes one unknown piece; the limit that the model was trained with.
const WORD_CHARACTERS_MAX: usize = 100;

/// Marks a piece that continues a word.
const CONTINUATION: &str = "##";

const UNKNOWN: &str = "[UNK]";
const FIRST: &str = "[CLS]";
const LAST: &str = "[SEP]";

/// An empty slot of the lookup table.
const VACANT: u32 = u32::MAX;

/// The vocabulary and its markers.
pub struct Tokenizer {
    /// All pieces, one a line.
    text: String,
    /// Where the piece with this number lies in `text`.
    pieces: Vec<(usize, usize)>,
    /// Open-addressed hash table of piece numbers: no allocation for each piece, so that a cold start is not spent here.
    slots: Vec<u32>,
    longest: usize,
    unknown: u32,
    first: u32,
    last: u32,
}

impl Tokenizer {
    /// Takes the vocabulary with one piece a line, in the order of their numbers.
    pub fn new(text: String) -> Result<Self, LoadModelError> {
        let mut pieces = Vec::new();
        let mut from = 0;
        for piece in text.trim_end_matches('\n').split('\n') {
            pieces.push((from, from + piece.len()));
            from += piece.len() + 1;
        }
        // Twice as many slots as pieces keep the runs of a probe short.
        let slots = vec![VACANT; (pieces.len() * 2).next_power_of_two()];
        let longest = pieces.iter().map(|(from, to)| to - from).max().unwrap_or(0);
        let mut tokenizer = Self { text, pieces, slots, longest, unknown: 0, first: 0, last: 0 };
        for number in 0..tokenizer.pieces.len() as u32 {
            let slot = tokenizer.slot("", tokenizer.piece(number));
            if tokenizer.slots[slot] != VACANT {
                return Err(LoadModelError::Vocabulary);
            }
            tokenizer.slots[slot] = number;
        }
        let marker = |name| tokenizer.find("", name).ok_or(LoadModelError::Vocabulary);
        (tokenizer.unknown, tokenizer.first, tokenizer.last) = (marker(UNKNOWN)?, marker(FIRST)?, marker(LAST)?);
        Ok(tokenizer)
    }

    /// How many pieces the vocabulary has.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Piece numbers with the two markers around them, at most `tokens_max` in all.
    ///
    /// Markers spelled out in the text are plain text: a document cannot end its own sequence.
    pub fn encode(&self, text: &str, tokens_max: usize) -> Vec<u32> {
        let mut tokens = vec![self.first];
        Self::each_word(text, |word| {
            self.split(word, &mut tokens);
            tokens.len() < tokens_max
        });
        tokens.truncate(tokens_max - 1);
        tokens.push(self.last);
        tokens
    }

    /// How many pieces a text has, without markers and without a limit.
    pub fn count(&self, text: &str) -> usize {
        let mut pieces = Vec::new();
        let mut count = 0;
        Self::each_word(text, |word| {
            pieces.clear();
            self.split(word, &mut pieces);
            count += pieces.len();
            true
        });
        count
    }

    /// Where each part of a text (a range of its bytes) is among the tokens of `encode`. A part past the limit is empty; one
    /// that begins or ends inside a word is off by the pieces of that word.
    pub fn locate(&self, text: &str, parts: &[Range<usize>], tokens_max: usize) -> Vec<Range<usize>> {
        let mut ends: Vec<usize> = parts.iter().flat_map(|part| [part.start, part.end]).collect();
        ends.sort_unstable();
        ends.dedup();
        // Normalisation moves bytes, so pieces are counted from end to end instead of being followed through it.
        let (mut from, mut token) = (0, 1);
        let tokens: Vec<usize> = ends
            .iter()
            .map(|end| {
                token += self.count(&text[from..*end]);
                from = *end;
                token.min(tokens_max - 1)
            })
            .collect();
        let at = |byte: usize| ends.binary_search(&byte).map_or(0, |place| tokens[place]);
        parts.iter().map(|part| at(part.start)..at(part.end)).collect()
    }

    /// Calls back with each word and punctuation mark, until the answer is no.
    ///
    /// A word is cut just past the limit: that is enough to see that it is too long.
    fn each_word(text: &str, mut continues: impl FnMut(&str) -> bool) {
        let mut word = String::new();
        let mut characters = 0;
        for c in normalise(text).chain([' ']) {
            let apart = is_punctuation(c);
            if !apart && !c.is_whitespace() {
                characters += 1;
                if characters <= WORD_CHARACTERS_MAX + 1 {
                    word.push(c);
                }
                continue;
            }
            if !word.is_empty() && !continues(&word) {
                return;
            }
            word.clear();
            characters = 0;
            if apart && !continues(c.encode_utf8(&mut [0; 4])) {
                return;
            }
        }
    }

    /// Adds the pieces of one word, or one unknown piece if any part of it is not in the vocabulary.
    fn split(&self, word: &str, tokens: &mut Vec<u32>) {
        let before = tokens.len();
        let mut rest = if word.chars().count() > WORD_CHARACTERS_MAX { "" } else { word };
        while !rest.is_empty() {
            let prefix = if tokens.len() == before { "" } else { CONTINUATION };
            let end = rest.floor_char_boundary(self.longest);
            let longest = rest[..end].char_indices().rev().find_map(|(last, c)| {
                let end = last + c.len_utf8();
                self.find(prefix, &rest[..end]).map(|number| (number, end))
            });
            let Some((number, end)) = longest else { break };
            tokens.push(number);
            rest = &rest[end..];
        }
        if tokens.len() == before || !rest.is_empty() {
            tokens.truncate(before);
            tokens.push(self.unknown);
        }
    }

    fn piece(&self, number: u32) -> &str {
        let (from, to) = self.pieces[number as usize];
        &self.text[from..to]
    }

    fn find(&self, prefix: &str, rest: &str) -> Option<u32> {
        let number = self.slots[self.slot(prefix, rest)];
        (number != VACANT).then_some(number)
    }

    /// The slot that holds the piece `prefix` + `rest`, or the vacant one where it would be.
    fn slot(&self, prefix: &str, rest: &str) -> usize {
        // FNV-1a. The vocabulary is ours, so nobody can choose pieces that collide.
        let hash = prefix
            .bytes()
            .chain(rest.bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mask = self.slots.len() - 1;
        let mut slot = (hash ^ (hash >> 32)) as usize & mask;
        while self.slots[slot] != VACANT && self.piece(self.slots[slot]).strip_prefix(prefix) != Some(rest) {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VOCABULARY: &str = "[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\n##a\nfever\n,\n[\n]\nsep\n発\nu\n##n";

    fn tokenizer() -> Tokenizer {
        Tokenizer::new(VOCABULARY.to_owned()).unwrap()
    }

    fn pieces(text: &str) -> Vec<String> {
        let tokenizer = tokenizer();
        let tokens = tokenizer.encode(text, 1_000);
        tokens[1..tokens.len() - 1].iter().map(|token| tokenizer.piece(*token).to_owned()).collect()
    }

    #[test]
    fn the_longest_pieces_win() {
        assert_eq!(pieces("Unaffable"), ["un", "##aff", "##able"]);
        assert_eq!(pieces("una"), ["un", "##a"]);
        assert_eq!(pieces("u"), ["u"]);
    }

    #[test]
    fn a_word_with_an_unknown_part_is_one_unknown_piece() {
        assert_eq!(pieces("unaffablex fever"), ["[UNK]", "fever"]);
        assert_eq!(pieces("aff"), ["[UNK]"]);
    }

    #[test]
    fn punctuation_and_ideographs_are_words() {
        assert_eq!(pieces("fever,fever発fever"), ["fever", ",", "fever", "発", "fever"]);
    }

    #[test]
    fn a_word_over_the_limit_is_unknown_and_one_at_the_limit_is_not() {
        let longest = format!("un{}", "a".repeat(WORD_CHARACTERS_MAX - 2));
        assert_eq!(pieces(&longest).len(), WORD_CHARACTERS_MAX - 1);
        assert_eq!(pieces(&format!("{longest}a")), ["[UNK]"]);
    }

    #[test]
    fn markers_in_the_text_are_text() {
        assert_eq!(pieces("[SEP]"), ["[", "sep", "]"]);
    }

    #[test]
    fn encoding_stops_at_the_limit_and_counting_does_not() {
        let tokenizer = tokenizer();
        let text = "una ".repeat(100);
        let tokens = tokenizer.encode(&text, 8);
        assert_eq!((tokens.len(), tokens[0], tokens[7]), (8, 1, 2));
        assert_eq!(tokenizer.count(&text), 200);
        assert_eq!(tokenizer.encode("", 8), [1, 2]);
        assert_eq!(tokenizer.count(" \n"), 0);
    }

    #[test]
    fn a_vocabulary_without_markers_or_with_a_piece_twice_is_refused() {
        for text in ["", "a\nb", "[UNK]\n[CLS]\n[SEP]\na\na"] {
            assert!(matches!(Tokenizer::new(text.to_owned()), Err(LoadModelError::Vocabulary)));
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_bounded_tokens(text in "\\PC{0,400}|(?s).{0,400}", tokens_max in 2_usize..300) {
            let tokenizer = tokenizer();
            let tokens = tokenizer.encode(&text, tokens_max);
            prop_assert!((2..=tokens_max).contains(&tokens.len()));
            prop_assert_eq!(tokens.len(), tokens_max.min(tokenizer.count(&text) + 2));
            prop_assert!(tokens.iter().all(|token| (*token as usize) < tokenizer.len()));
        }
    }
}
