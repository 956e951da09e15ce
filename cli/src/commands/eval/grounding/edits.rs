//! Small changes of a text, found by words.

/// A word of a text: its byte range without the punctuation around it.
pub struct Word<'a> {
    pub text: &'a str,
    pub start: usize,
    pub end: usize,
}

/// The words of a text.
pub fn words(text: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    for piece in text.split_inclusive(char::is_whitespace) {
        let core = piece.trim_matches(|c: char| !c.is_alphanumeric());
        if !core.is_empty() {
            let start = at + piece.find(core).unwrap_or(0);
            found.push(Word { text: core, start, end: start + core.len() });
        }
        at += piece.len();
    }
    found
}

/// A text with a range replaced; the first letter's case is kept.
pub fn replace(text: &str, start: usize, end: usize, with: &str) -> String {
    let was_capital =
        text[start..end].starts_with(char::is_uppercase) && text[start..end].chars().nth(1).is_none_or(char::is_lowercase);
    let with = if was_capital { capital(with) } else { with.to_owned() };
    format!("{}{with}{}", &text[..start], &text[end..])
}

pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + chars.as_str())
}

/// The first letter small, unless the word is a name or an abbreviation.
pub fn lower(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or("");
    let is_plain = [
        "The",
        "A",
        "An",
        "It",
        "This",
        "These",
        "Those",
        "If",
        "When",
        "In",
        "There",
        "They",
        "Some",
        "Most",
        "Many",
        "Patients",
        "People",
        "Do",
        "Give",
        "Use",
        "Each",
        "Every",
        "All",
        "No",
        "Other",
        "Both",
        "Children",
        "Adults",
        "Treatment",
        "Symptoms",
        "Doctors",
    ]
    .contains(&first);
    if !is_plain {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().collect::<String>() + chars.as_str())
}

/// Every place where one of these phrases stands as whole words, in any case: range and which phrase.
pub fn places(text: &str, phrases: &[&str]) -> Vec<(usize, usize, usize)> {
    let low = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (which, phrase) in phrases.iter().enumerate() {
        let mut from = 0;
        while let Some(at) = low[from..].find(phrase).map(|at| at + from) {
            let end = at + phrase.len();
            let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-');
            if !is_word(low[..at].chars().next_back()) && !is_word(low[end..].chars().next()) {
                found.push((at, end, which));
            }
            from = end;
        }
    }
    found.sort_unstable();
    found
}
