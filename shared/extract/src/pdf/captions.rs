//! Which paragraphs are captions: what stands under a figure or over a table.

use domain::documents::pages::BlockKind;

use super::PageDraft;

/// A longer text begins with a mention of a figure; it is no caption.
const CHARACTERS_MAX: usize = 400;
/// What a caption begins with.
const WORDS: &[&str] = &[
    "figure",
    "fig.",
    "fig",
    "table",
    "box",
    "chart",
    "exhibit",
    "algorithm",
    "flowchart",
    "abbildung",
    "abb.",
    "tabelle",
    "tab.",
];

/// Marks captions among paragraphs, and among what was taken for a heading.
pub(super) fn mark(pages: &mut [PageDraft]) {
    for draft in pages.iter_mut().flat_map(|page| &mut page.drafts) {
        if matches!(draft.kind, BlockKind::Paragraph | BlockKind::Heading { .. }) && is_caption(&draft.text) {
            draft.kind = BlockKind::Caption;
        }
    }
}

/// `Figure 2. Dosing by weight`, `Table A-1 Drugs`. A sentence goes on in lower case: `Table 2 shows the doses.`
fn is_caption(text: &str) -> bool {
    if text.chars().count() > CHARACTERS_MAX {
        return false;
    }
    let mut words = text.split_whitespace();
    let (Some(word), Some(number)) = (words.next(), words.next()) else {
        return false;
    };
    let bare = number.trim_end_matches(['.', ':', '|']);
    let is_number = bare.chars().any(|character| character.is_ascii_digit() || character.is_ascii_uppercase())
        && bare.len() <= 8
        && bare.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '–'));
    let is_closed = bare.len() < number.len();
    let begins = words.next().and_then(|word| word.chars().next());
    WORDS.contains(&word.to_lowercase().as_str())
        && word.starts_with(char::is_uppercase)
        && is_number
        && (is_closed || begins.is_none_or(|first| !first.is_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_told_from_sentences_about_them() {
        for caption in ["Figure 2. Dosing by weight", "Table 2-1 FUNCTION_USAGE view", "Fig. 3: steps", "Box A", "TABLE IV Drugs"]
        {
            assert!(is_caption(caption), "{caption}");
        }
        for text in ["Table 2-1 describes the columns.", "Figure it out", "table 3. x", "Box the ears", "Figures 2 and 3"] {
            assert!(!is_caption(text), "{text}");
        }
    }
}
