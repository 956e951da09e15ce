//! Plain text to pages: a form feed begins a page, a blank line a paragraph.

use domain::documents::pages::{ExtractedDocument, Reason};

use crate::draft::{Draft, Tally, first_heading, page};
use crate::error::{Detail, ExtractError};
use crate::limits::Limits;
use crate::markdown::list_item;
use crate::mend::{LineEnds, mend};

/// A line in capitals up to this length stands for a heading, as `ASSESSMENT AND PLAN:` does in a clinical note.
const HEADING_CHARACTERS_MAX: usize = 80;

pub(crate) fn extract(
    text: &str,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    // A form feed at the very end closes the last page; it does not begin another.
    let text = text.trim_end_matches(['\u{c}', '\n', '\r', ' ']);
    let total = text.split('\u{c}').count();
    if total > limits.pages_max as usize {
        return Err(ExtractError::new(Reason::TooManyPages, Detail::Pages));
    }
    let total = total as u32;
    progress(0, total);
    let mut pages = Vec::new();
    let mut tally = Tally::default();
    let mut title = None;
    for (number, text) in (1..).zip(text.split('\u{c}')) {
        let drafts = blocks(text);
        tally.add(&drafts, limits)?;
        title = title.or_else(|| first_heading(&drafts).filter(|_| number == 1));
        pages.push(page(number, &drafts));
        progress(number, total);
    }
    if pages.iter().all(|page| page.blocks.is_empty()) {
        return Err(ExtractError::new(Reason::Empty, Detail::NoText));
    }
    Ok(ExtractedDocument { title, pages })
}

fn blocks(text: &str) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let mut open = String::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            push(&mut drafts, &std::mem::take(&mut open));
            continue;
        }
        if list_item(line).is_some() {
            push(&mut drafts, &std::mem::take(&mut open));
        }
        open.push_str(line);
        open.push('\n');
    }
    drafts
}

fn push(drafts: &mut Vec<Draft>, lines: &str) {
    let text = mend(lines, LineEnds::Written);
    if text.is_empty() {
        return;
    }
    drafts.push(match list_item(&text) {
        Some(item) => Draft::list_item(item),
        None if is_heading(&text) => Draft::heading(2, text),
        None => Draft::paragraph(text),
    });
}

fn is_heading(text: &str) -> bool {
    let letters = text.chars().filter(|character| character.is_alphabetic());
    !text.contains('\n')
        && text.chars().count() <= HEADING_CHARACTERS_MAX
        && letters.clone().count() >= 4
        && letters.clone().all(|letter| !letter.is_lowercase())
        && letters.clone().any(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_feeds_are_pages_and_blank_lines_are_paragraphs() {
        let text = "ASSESSMENT AND PLAN:\n\nAsthma, mild.\nStable.\n\n- salbutamol\n- review\n\u{c}Second page.\u{c}\n";
        let document = extract(text, &Limits::default(), &mut |_, _| {}).unwrap();
        assert_eq!(document.title.as_deref(), Some("ASSESSMENT AND PLAN:"));
        assert_eq!(document.pages.len(), 2);
        assert_eq!(document.pages[0].text, "ASSESSMENT AND PLAN:\n\nAsthma, mild.\nStable.\n\n• salbutamol\n\n• review");
        assert_eq!(document.pages[1].text, "Second page.");
    }

    #[test]
    fn blank_text_is_empty_and_too_many_form_feeds_are_too_many_pages() {
        let limits = Limits { pages_max: 3, ..Limits::default() };
        let reason = |text: &str| extract(text, &limits, &mut |_, _| {}).unwrap_err().reason;
        assert_eq!(reason(" \n\u{c}\n "), Reason::Empty);
        assert_eq!(reason("a\u{c}b\u{c}c\u{c}d"), Reason::TooManyPages);
    }
}
