//! What a placeholder looks like, and what still passes for one after a model has written it down: any case, Markdown escapes
//! and emphasis inside the brackets, a blank for the underscore, its distance left out.

use crate::label::Label;
use std::ops::Range;

/// The longest thing that is read as a placeholder, in bytes; so much of a stream is held back at most.
pub const BYTES_MAX: usize = 96;

/// What a placeholder refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its label.
    pub label: String,
    /// Its number.
    pub number: u32,
    /// Which spelling, from 0.
    pub form: u32,
    /// The tenant's tag, or nothing.
    pub tag: String,
}

/// How a spelling is written behind the number: nothing, `b`, `c`, ..., `z`, `ab`, ...
pub fn form(form: u32) -> String {
    let mut rest = form;
    let mut letters = Vec::new();
    while rest > 0 {
        letters.push((b'a' + (rest % 26) as u8) as char);
        rest /= 26;
    }
    letters.iter().rev().collect()
}

fn read_form(letters: &str) -> Option<u32> {
    letters
        .bytes()
        .try_fold(0_u32, |value, letter| value.checked_mul(26)?.checked_add(u32::from(letter.to_ascii_lowercase() - b'a')))
}

/// Reads the placeholder that begins at the start of a text. Gives its length too.
pub fn read(text: &str) -> Option<(Reference, usize)> {
    let bytes = text.as_bytes();
    let mut at = usize::from(bytes.first() == Some(&b'\\'));
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    at += 1;
    let end = at + bytes[at..].iter().take(BYTES_MAX - 2).position(|byte| *byte == b']')?;
    let inside = text.get(at..end)?;
    // An escape in front belongs to the placeholder only if the closing bracket has one too; else it was in the text before.
    if text.starts_with('\\') && !inside.ends_with('\\') {
        return None;
    }
    // Escapes and emphasis are the model's, not ours.
    let inside: String = inside.chars().filter(|c| !matches!(c, '\\' | '*' | '`')).collect();
    let inside = inside.trim_matches('_').trim();
    let (own, distance) = inside.split_once(':').map_or((inside, ""), |(own, distance)| (own, distance));
    let own = own.trim().to_ascii_uppercase().replace(' ', "_");
    let (own, tag) = own.split_once('-').map_or((own.as_str(), ""), |(own, tag)| (own, tag));
    let (label, number) = own.rsplit_once('_')?;
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let (number, form) = number.split_at(digits);
    let is_label = label == super::LITERAL || Label::ALL.iter().any(|known| known.as_str() == label);
    let is_form = form.len() <= 4 && form.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_tag = tag.len() <= 8 && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let distance: String = distance.chars().filter(|c| *c != ' ').collect();
    let is_distance =
        distance.len() <= 24 && distance.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-'));
    if !is_label || !(1..=6).contains(&digits) || !is_form || !is_tag || !is_distance {
        return None;
    }
    let reference =
        Reference { label: label.to_owned(), number: number.parse().ok()?, form: read_form(form)?, tag: tag.to_owned() };
    Some((reference, end + 1))
}

/// Every placeholder of a text.
pub fn find_all(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices('[') {
        let from = found.last().map_or(0, |last| last.end);
        let escaped = at.checked_sub(1).filter(|start| text[..at].ends_with('\\') && *start >= from);
        let starts = escaped.into_iter().chain((at >= from).then_some(at));
        found.extend(starts.filter_map(|start| Some(start..start + read(&text[start..])?.1)).take(1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_makes_of_a_placeholder_is_still_read() {
        for text in ["[NAME_1]", "[name_1]", "[Name 1]", "\\[NAME\\_1\\]", "[**NAME_1**]", "[ NAME_1 ]", "[`NAME_1`]"] {
            let (reference, length) = read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (reference.label.as_str(), reference.number, reference.form, length),
                ("NAME", 1, 0, text.len()),
                "{text}"
            );
        }
        let (reference, _) = read("[DATE_12c-K7QX: DATE_1+14d] and").unwrap();
        assert_eq!((reference.number, reference.form, reference.tag.as_str()), (12, 2, "K7QX"));
        for text in ["[NAME]", "[NAME_]", "[NAME_x]", "[FOO_1]", "NAME_1", "[NAME_1", "[NAME_1234567]", "[1]", "[]", "[é_1]"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn forms_are_written_and_read_alike() {
        for number in [0, 1, 2, 25, 26, 27, 700, 17_575] {
            assert_eq!(read_form(&form(number).to_ascii_uppercase()), Some(number));
        }
    }
}
