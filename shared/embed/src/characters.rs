//! Which characters the tokenizer drops, splits at, or sets apart: the classes of BERT's basic tokenizer.
//!
//! They are part of the model. `unicode_categories` has the tables of the tokenizer that the model was published with;
//! newer ones would classify some characters differently and so give other word pieces.

use unicode_categories::UnicodeCategories;
use unicode_normalization::UnicodeNormalization;

/// The text as the vocabulary has it: no control characters or accents, lower case, spaces around ideographs.
///
/// Lazy, so that a caller who needs 254 pieces of a long document reads no further.
pub fn normalise(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars()
        .filter(|c| !is_dropped(*c))
        .flat_map(|c| if is_ideograph(c) { [' ', c, ' '] } else { [c, '\0', '\0'] })
        .filter(|c| *c != '\0')
        .nfd()
        .filter(|c| c.is_ascii() || !c.is_mark_nonspacing())
        .flat_map(char::to_lowercase)
}

/// Punctuation is a word of its own: every ASCII symbol and what Unicode calls punctuation.
pub fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || (!c.is_ascii() && c.is_punctuation())
}

fn is_dropped(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | ' '..='~' => false,
        '\u{fffd}' => true,
        _ => c.is_other(),
    }
}

/// The blocks that BERT treats as Chinese; Japanese and Korean syllables are not among them.
fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b73f}'
        | '\u{2b740}'..='\u{2b81f}'
        | '\u{2b920}'..='\u{2ceaf}'
        | '\u{f900}'..='\u{faff}'
        | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(text: &str) -> String {
        normalise(text).collect()
    }

    #[test]
    fn accents_and_case_are_removed() {
        assert_eq!(normalised("Überdosis ÇA é Ångström ẞ İ"), "uberdosis ca e angstrom ß i");
    }

    #[test]
    fn control_characters_are_dropped_and_line_breaks_kept() {
        assert_eq!(normalised("a\0b\u{7f}c\u{200b}d\u{fffd}e\u{feff}\tf\r\n"), "abcde\tf\r\n");
    }

    #[test]
    fn ideographs_stand_alone_and_kana_do_not() {
        assert_eq!(normalised("発熱ある"), " 発  熱 ある");
    }

    #[test]
    fn symbols_of_ascii_count_as_punctuation() {
        assert!("!$+<=>^`|~%-,.—«»“…¿".chars().all(is_punctuation));
        assert!(!"a1 µ±°×€≥\n".chars().any(is_punctuation));
    }
}
