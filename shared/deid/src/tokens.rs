//! Words, numbers and marks with their places, and what the lexicon knows of each word.

use crate::lexicon::{Entry, Lexicon, fold};
use std::ops::Range;

/// How a word is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `smith`
    Lower,
    /// `Smith`
    Capital,
    /// `SMITH`, two letters or more.
    Upper,
    /// `McDonald`, `pH`
    Mixed,
    /// `J`
    Initial,
    /// Digits, perhaps with letters.
    Number,
    /// Anything else, one character.
    Mark,
}

/// One token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Where it begins in the text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// How it is written.
    pub shape: Shape,
    /// Folded; words only.
    pub folded: Box<str>,
    /// What is known of it; words only.
    pub entry: Entry,
    /// A line or a sentence begins here.
    pub is_first: bool,
    /// White space stands before it.
    pub is_spaced: bool,
}

impl Token {
    /// Its text.
    pub fn text<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }

    /// Letters.
    pub const fn is_word(&self) -> bool {
        !matches!(self.shape, Shape::Number | Shape::Mark)
    }

    /// Written as names are: with a capital in front.
    pub const fn is_capital(&self) -> bool {
        matches!(self.shape, Shape::Capital | Shape::Upper | Shape::Mixed | Shape::Initial)
    }

    /// Its place.
    pub const fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Cuts a text. A word may hold `'` and `-` between letters, but a possessive ending is a token of its own.
pub fn tokenise(text: &str, lexicon: &Lexicon) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 5);
    let mut characters = text.char_indices().peekable();
    let (mut is_first, mut is_spaced) = (true, true);
    let mut folded = String::new();
    while let Some((start, c)) = characters.next() {
        if c.is_whitespace() {
            is_first |= c == '\n' || c == '\r';
            is_spaced = true;
            continue;
        }
        let mut end = start + c.len_utf8();
        if c.is_alphanumeric() {
            let is_number = c.is_numeric();
            while let Some((at, next)) = characters.peek().copied() {
                let joins = next.is_alphanumeric() && (is_number || !next.is_numeric());
                let links = !is_number && matches!(next, '\'' | '-') && {
                    let rest = &text[at + 1..];
                    let mut after = rest.chars();
                    after.next().is_some_and(char::is_alphabetic) && !(next == '\'' && is_possessive(rest, end - start))
                };
                if !joins && !links {
                    break;
                }
                end = at + next.len_utf8();
                characters.next();
            }
        } else if c == '\''
            && tokens.last().is_some_and(|token| token.end == start && token.is_word())
            && is_possessive(&text[end..], 3)
        {
            characters.next();
            end += 1;
        }
        let word = &text[start..end];
        let shape = shape(word);
        let entry = if matches!(shape, Shape::Number | Shape::Mark) {
            folded.clear();
            if c == '\'' {
                folded.push_str(word);
            }
            Entry::default()
        } else {
            fold(word, &mut folded);
            lexicon.get(&folded)
        };
        tokens.push(Token { start, end, shape, folded: folded.as_str().into(), entry, is_first, is_spaced });
        is_first = matches!(c, '.' | '!' | '?' | '•' | ':')
            && text[end..].starts_with(char::is_whitespace)
            && !ends_abbreviation(&tokens, c);
        is_spaced = false;
    }
    tokens
}

/// `'s` and nothing of the word after it; `O'S...` and `D's...` stay words.
fn is_possessive(rest: &str, word_bytes: usize) -> bool {
    let mut after = rest.chars();
    matches!(after.next(), Some('s' | 'S')) && !after.next().is_some_and(char::is_alphanumeric) && word_bytes > 1
}

/// A stop after a title or an initial ends no sentence.
fn ends_abbreviation(tokens: &[Token], mark: char) -> bool {
    let Some(before) = tokens.len().checked_sub(2).map(|at| &tokens[at]) else { return false };
    mark == '.'
        && (before.shape == Shape::Initial
            || matches!(&*before.folded, "dr" | "mr" | "mrs" | "ms" | "st" | "prof" | "vs" | "no" | "jr" | "sr" | "mt" | "ft"))
}

fn shape(word: &str) -> Shape {
    let mut characters = word.chars();
    let Some(first) = characters.next() else { return Shape::Mark };
    if first.is_numeric() {
        return Shape::Number;
    }
    if !first.is_alphabetic() {
        return Shape::Mark;
    }
    let (mut letters, mut uppers) = (1, usize::from(first.is_uppercase()));
    for c in characters.filter(|c| c.is_alphabetic()) {
        letters += 1;
        uppers += usize::from(c.is_uppercase());
    }
    match (letters, uppers) {
        (_, 0) => Shape::Lower,
        (1, _) => Shape::Initial,
        (_, 1) if first.is_uppercase() => Shape::Capital,
        (letters, uppers) if letters == uppers => Shape::Upper,
        // Capital letters after a hyphen or an apostrophe are no mixture.
        _ if first.is_uppercase() && word.split(['-', '\'']).all(|part| part.chars().skip(1).all(char::is_lowercase)) => {
            Shape::Capital
        }
        _ => Shape::Mixed,
    }
}
