//! Repairs letters: ligatures, words broken at line ends, composed accents, invisible characters, white space.

use std::borrow::Cow;

use domain::documents::pages::Flag;
use unicode_normalization::UnicodeNormalization;

/// Whether a hyphen at a line's end means that the word goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// Lines come from typesetting: words are joined again.
    Typeset,
    /// Lines come from an author: they stay as they are.
    Written,
}

/// The text in NFC, without control and zero-width characters, with single spaces and no blank lines.
pub(crate) fn mend(text: &str, line_ends: LineEnds) -> String {
    let visible: String = text.chars().flat_map(Spelled::of).nfc().collect();
    let mut mended = String::with_capacity(visible.len());
    for line in visible.split('\n') {
        let mut words = line.split_whitespace().peekable();
        if words.peek().is_none() {
            continue;
        }
        if line_ends == LineEnds::Typeset && is_broken_word(&mended, line.trim_start()) {
            mended.pop();
        } else if !mended.is_empty() {
            mended.push('\n');
        }
        for (at, word) in words.enumerate() {
            if at > 0 {
                mended.push(' ');
            }
            mended.push_str(word);
        }
    }
    mended
}

/// The text of a cell of a typeset table on one line: narrow columns break many words.
pub(crate) fn mend_cell(text: &str) -> String {
    let line = mend_line(text);
    if !line.contains("- ") && !line.contains("\u{2010} ") {
        return line;
    }
    let mut mended = String::with_capacity(line.len());
    for word in line.split(' ') {
        // `pre- and post-operative`: that hyphen stands for a word.
        let is_conjunction = matches!(word, "and" | "or" | "to" | "und" | "oder" | "bis");
        if is_broken_word(&mended, word) && !is_conjunction {
            mended.pop();
        } else if !mended.is_empty() {
            mended.push(' ');
        }
        mended.push_str(word);
    }
    mended
}

/// The text on one line, as a table cell or a heading needs it.
pub(crate) fn mend_line(text: &str) -> String {
    mend(text, LineEnds::Typeset).replace('\n', " ")
}

/// Stand for characters that are left out but must be told of, until the text gets its place. No text has them: Unicode
/// will never give these code points a meaning.
const BIDI_MARK: char = '\u{fdd0}';
const TAG_MARK: char = '\u{fdd1}';

/// The text without the marks of what was left out, and what was.
pub(crate) fn unmarked(text: &str) -> (Cow<'_, str>, Vec<Flag>) {
    let mut flags = Vec::new();
    for (mark, flag) in [(BIDI_MARK, Flag::Bidi), (TAG_MARK, Flag::Tag)] {
        if text.contains(mark) {
            flags.push(flag);
        }
    }
    if flags.is_empty() {
        return (Cow::Borrowed(text), flags);
    }
    // A word that was nothing but marks leaves the spaces around it.
    let lines = text.split('\n').map(|line| {
        let line = line.replace([BIDI_MARK, TAG_MARK], "");
        line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    });
    (Cow::Owned(lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")), flags)
}

/// A title: a line of which nothing has to be told.
pub(crate) fn mend_title(text: &str) -> String {
    unmarked(&mend_line(text)).0.into_owned()
}

/// `exam-` before `ple`: lower case letters on both sides. `COX-` before `2` and `Non-` before `Hodgkin` keep theirs.
fn is_broken_word(before: &str, after: &str) -> bool {
    let mut last = before.chars().rev();
    matches!(last.next(), Some('-' | '\u{2010}'))
        && last.next().is_some_and(char::is_lowercase)
        && after.chars().next().is_some_and(char::is_lowercase)
}

/// What a character is written as: itself, the letters of a ligature, or nothing.
enum Spelled {
    Letters(std::str::Chars<'static>),
    Same(Option<char>),
}

impl Spelled {
    fn of(character: char) -> Self {
        let letters = match character {
            '\u{fb00}' => "ff",
            '\u{fb01}' => "fi",
            '\u{fb02}' => "fl",
            '\u{fb03}' => "ffi",
            '\u{fb04}' => "ffl",
            '\u{fb05}' | '\u{fb06}' => "st",
            // What symbol fonts of office programs use for a bullet.
            '\u{f0b7}' | '\u{f0a7}' | '\u{f076}' | '\u{f0d8}' => "•",
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\n' => "\n",
            '\t' | '\u{a0}' | '\u{2007}' | '\u{202f}' => " ",
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => "\u{fdd0}",
            '\u{e0000}'..='\u{e007f}' => "\u{fdd1}",
            BIDI_MARK | TAG_MARK | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{feff}' => "",
            _ if character.is_control() => "",
            _ => return Self::Same(Some(character)),
        };
        Self::Letters(letters.chars())
    }
}

impl Iterator for Spelled {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self {
            Self::Letters(letters) => letters.next(),
            Self::Same(character) => character.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ligatures_and_broken_words_are_mended() {
        assert_eq!(mend("e\u{fb03}cient  dos-\nage", LineEnds::Typeset), "efficient dosage");
        assert_eq!(mend("COX-\n2 and Non-\nHodgkin", LineEnds::Typeset), "COX-\n2 and Non-\nHodgkin");
        assert_eq!(mend("dos-\nage", LineEnds::Written), "dos-\nage");
        assert_eq!(mend_cell("Maxim\u{2010} um pre- and post- operative - 5"), "Maximum pre- and postoperative - 5");
    }

    #[test]
    fn accents_are_composed_and_invisible_characters_go() {
        assert_eq!(mend("Me\u{301}nie\u{300}re\u{200b}\u{0}s", LineEnds::Typeset), "Ménières");
        assert_eq!(mend("  a \u{a0}\t b \r\n\r\n\n c ", LineEnds::Written), "a b\nc");
        assert_eq!(mend_line("two\nlines"), "two lines");
    }
}
