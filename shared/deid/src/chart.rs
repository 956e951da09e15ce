//! Whose chart it is: the header of a document names its patient where nothing else has to give the name away.

/// What stands before a name in a chart's header.
const LABELS: &[&str] = &[
    "patient",
    "patient name",
    "name of patient",
    "name",
    "full name",
    "resident",
    "client",
    "next of kin",
    "emergency contact",
    "guardian",
];
/// So many lines at the top are a header.
const LINES: usize = 12;
/// A name has no more words.
const WORDS_MAX: usize = 5;

/// The names that the header of a text gives: `Patient: Roe, Jane   DOB: ...`.
pub fn chart_names(text: &str) -> Vec<&str> {
    text.lines().take(LINES).flat_map(|line| line.split([';', '|', '\t'])).filter_map(named).collect()
}

fn named(field: &str) -> Option<&str> {
    let (label, value) = field.split_once(':')?;
    let label = label.trim().trim_matches('*').trim().to_lowercase();
    if !LABELS.contains(&label.as_str()) {
        return None;
    }
    // What comes behind the name in the same line begins with a label of its own, a number or a wide gap.
    let value = value.trim().trim_matches('*').trim();
    let value = value.split_once("  ").map_or(value, |(name, _)| name);
    let end = value.find(|c: char| c.is_ascii_digit() || matches!(c, '(' | ':')).unwrap_or(value.len());
    let mut name = value[..end].trim_end_matches(|c: char| !c.is_alphanumeric());
    if value[end..].starts_with(':') {
        // The word before the colon is that label.
        name = name.rsplit_once(char::is_whitespace).map_or("", |(before, _)| before);
    }
    let words: Vec<&str> = name.split_whitespace().collect();
    let is_capital = |word: &&str| word.starts_with(char::is_uppercase);
    // "de la", "van", "bin": small words are short.
    let is_name = (1..=WORDS_MAX).contains(&words.len())
        && words.iter().any(is_capital)
        && words.iter().all(|word| is_capital(word) || word.chars().count() <= 3);
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_give_names_and_sentences_do_not() {
        for (text, expected) in [
            ("Patient: Ottoline Brackwater", vec!["Ottoline Brackwater"]),
            ("Discharge letter\n**Name:** Brackwater, Ottoline   DOB: 03/04/1961", vec!["Brackwater, Ottoline"]),
            (
                "Patient name: O. Brackwater MRN: 8847120; Next of kin: Tamsin Vane (daughter)",
                vec!["O. Brackwater", "Tamsin Vane"],
            ),
            ("Patient: de la Cruz, Ana | Ward: 3", vec!["de la Cruz, Ana"]),
            ("Name: see the wristband", vec![]),
            ("The patient: a person in a bed.", vec![]),
            ("Patient:", vec![]),
            ("Patient: 8847120", vec![]),
        ] {
            assert_eq!(chart_names(text), expected, "{text}");
        }
        assert!(chart_names(&format!("{}Patient: Ottoline Brackwater", "line\n".repeat(LINES))).is_empty());
    }
}
