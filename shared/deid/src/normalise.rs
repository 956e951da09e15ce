//! One spelling for what looks alike, with a way back: compatibility forms, full-width digits, zero-width characters, letters
//! of other scripts that pass for Latin ones. Everything is found in the normalised text and reported in the original.

use std::borrow::Cow;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A text as it is searched.
pub struct Normalised<'a> {
    /// What is searched.
    pub text: Cow<'a, str>,
    /// For each byte of `text` where its cluster begins and ends in the original; empty if the text is the original.
    origin: Vec<(u32, u32)>,
}

impl<'a> Normalised<'a> {
    /// Normalises. Plain ASCII is taken as it is.
    pub fn new(original: &'a str) -> Self {
        if original.is_ascii() {
            return Self { text: Cow::Borrowed(original), origin: Vec::new() };
        }
        let mut text = String::with_capacity(original.len());
        let mut origin = Vec::with_capacity(original.len());
        let mut characters = original.char_indices().peekable();
        while let Some((start, c)) = characters.next() {
            let mut end = start + c.len_utf8();
            // A letter and the marks on it stay together, so that no span ends between them.
            while let Some((_, mark)) = characters.next_if(|(_, mark)| is_combining_mark(*mark) || is_invisible(*mark)) {
                end += mark.len_utf8();
            }
            let before = text.len();
            if !is_invisible(c) {
                if end == start + c.len_utf8() {
                    push(c, &mut text);
                } else {
                    original[start..end].chars().filter(|c| !is_invisible(*c)).nfkc().for_each(|c| push(c, &mut text));
                }
            }
            origin.extend(std::iter::repeat_n((start as u32, end as u32), text.len() - before));
        }
        let mut normalised = Self { text: Cow::Owned(text), origin };
        normalised.replace_homoglyphs();
        normalised
    }

    /// The part of the original that a part of the text stands for.
    pub fn original(&self, range: Range<usize>) -> Range<usize> {
        if self.origin.is_empty() || range.is_empty() {
            return range;
        }
        self.origin[range.start].0 as usize..self.origin[range.end - 1].1 as usize
    }

    /// In a word that mixes scripts, and only there, letters that look Latin become Latin; Russian stays Russian.
    fn replace_homoglyphs(&mut self) {
        if !self.text.chars().any(|c| latin(c).is_some()) {
            return;
        }
        let (mut text, mut origin) = (String::with_capacity(self.text.len()), Vec::with_capacity(self.origin.len()));
        let mut at = 0;
        for word in self.text.split_inclusive(char::is_whitespace) {
            let is_mixed = word.chars().any(|c| c.is_ascii_alphabetic());
            for c in word.chars() {
                let shown = latin(c).filter(|_| is_mixed).unwrap_or(c);
                text.push(shown);
                origin.extend(std::iter::repeat_n(self.origin[at], shown.len_utf8()));
                at += c.len_utf8();
            }
        }
        (self.text, self.origin) = (Cow::Owned(text), origin);
    }
}

/// Soft hyphen, zero-width characters, direction marks, variation selectors.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{180e}')
}

fn push(c: char, text: &mut String) {
    match c {
        '‘' | '’' | '‛' | 'ʼ' | '′' | '＇' | '`' => text.push('\''),
        '“' | '”' | '„' => text.push('"'),
        '‐' | '‑' | '‒' | '–' | '—' | '−' | '﹣' | '－' => text.push('-'),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => text.push(' '),
        c if c.is_ascii() => text.push(c),
        // Arabic, Devanagari and other decimal digits as well: they spell telephone numbers too.
        c if c.is_numeric() && decimal(c).is_some() => text.push(decimal(c).unwrap_or(c)),
        c => std::iter::once(c).nfkc().for_each(|c| text.push(c)),
    }
}

fn decimal(c: char) -> Option<char> {
    let zero = [0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0xf20, 0xff10];
    let digit = zero.iter().find_map(|zero| (c as u32).checked_sub(*zero).filter(|digit| *digit < 10))?;
    char::from_digit(digit, 10)
}

/// The Latin letter that a Cyrillic or Greek one passes for.
const fn latin(c: char) -> Option<char> {
    Some(match c {
        'а' | 'α' => 'a',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' => 'e',
        'һ' => 'h',
        'і' | 'ι' => 'i',
        'ј' => 'j',
        'ӏ' => 'l',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'ѕ' => 's',
        'ν' => 'v',
        'х' => 'x',
        'у' | 'γ' => 'y',
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'С' => 'C',
        'Е' | 'Ε' => 'E',
        'Н' | 'Η' => 'H',
        'І' | 'Ι' => 'I',
        'Ј' => 'J',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'О' | 'Ο' => 'O',
        'Р' | 'Ρ' => 'P',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'Х' | 'Χ' => 'X',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(original: &str, part: &str, from: &str) {
        let normalised = Normalised::new(original);
        let start = normalised.text.find(part).unwrap_or_else(|| panic!("{part:?} is not in {:?}", normalised.text));
        assert_eq!(&original[normalised.original(start..start + part.len())], from);
    }

    #[test]
    fn what_looks_alike_is_found_and_reported_where_it_stands() {
        check("card 4111\u{200d}1111\u{200d}1111 ok", "411111111111", "4111\u{200d}1111\u{200d}1111");
        check("write janе@example.com", "jane@example.com", "janе@example.com");
        check("jane\u{301}.x@example.com", "jané.x@example.com", "jane\u{301}.x@example.com");
        check("tel ５５５－１２３４!", "555-1234", "５５５－１２３４");
        check("É’s", "É's", "É’s");
        check("ﬁn Ｊｏｈｎ", "John", "Ｊｏｈｎ");
        assert_eq!(Normalised::new("Иван о чём").text, "Иван о чём");
    }
}
