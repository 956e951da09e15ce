//! Which paragraphs of a PDF are headings, and of what level.
//!
//! Three witnesses, in this order: the document's outline (bookmarks) names the paragraph; the parser saw it set larger
//! than the body; it is short, bold, and numbered. What the numbers say of the levels is settled in `numbering`, when
//! all pages are read.

use std::collections::HashMap;

use unpdf::model::{InlineContent, OutlineItem};
use unpdf::{Outline, Paragraph};

use super::numbering::number;
use crate::draft::Draft;
use crate::mend::{LineEnds, mend};

/// A heading has one to three lines; a paragraph that is longer is none, however it is set.
const HEADING_CHARACTERS_MAX: usize = 200;
/// A bold numbered line that is longer is the beginning of a recommendation.
const NUMBERED_CHARACTERS_MAX: usize = 120;
/// Entries of an outline that are read: four for each page at the page limit.
const OUTLINE_ENTRIES_MAX: usize = 8_000;
/// Levels of an outline that are read; a heading has no more than six.
const OUTLINE_DEPTH_MAX: u8 = 16;

/// What a document's outline says about its headings.
#[derive(Debug, Default)]
pub(super) struct Headings {
    /// Level by the letters of the title.
    outline: HashMap<String, Vec<(Option<u32>, u8)>>,
}

impl Headings {
    pub fn of(outline: Option<&Outline>) -> Self {
        let mut headings = Self::default();
        let mut left = OUTLINE_ENTRIES_MAX;
        headings.add(outline.map_or(&[], |outline| &outline.items), 1, &mut left);
        headings
    }

    fn add(&mut self, items: &[OutlineItem], depth: u8, left: &mut usize) {
        for item in items {
            if *left == 0 || depth > OUTLINE_DEPTH_MAX {
                return;
            }
            *left -= 1;
            let letters = letters(&item.title);
            if !letters.is_empty() {
                self.outline.entry(letters).or_default().push((item.page, depth.min(6)));
            }
            self.add(&item.children, depth + 1, left);
        }
    }

    /// The paragraph as what it is: a heading, an item of a list, or a paragraph.
    pub fn draft(&self, paragraph: &Paragraph, page: u32) -> Option<Draft> {
        let text = mend(&paragraph.plain_text(), LineEnds::Typeset);
        if text.is_empty() {
            return None;
        }
        if let Some(level) = self.level(paragraph, &text, page) {
            return Some(Draft::heading(level, text.replace('\n', " ")));
        }
        Some(if paragraph.is_list_item() { Draft::list_item(text) } else { Draft::paragraph(text) })
    }

    fn level(&self, paragraph: &Paragraph, text: &str, page: u32) -> Option<u8> {
        let length = text.chars().count();
        if length > HEADING_CHARACTERS_MAX || !text.chars().any(char::is_alphabetic) {
            return None;
        }
        let numbered = number(text).filter(|number| number.has_title).map(|number| number.parts.len().min(6) as u8);
        let level = self.outlined(text, page).or_else(|| paragraph.heading_level());
        if level.is_some() {
            return level;
        }
        numbered.filter(|_| length <= NUMBERED_CHARACTERS_MAX && is_bold(paragraph) && !text.ends_with(['.', ';', ',']))
    }

    /// The level of the outline's entry for this text on this page (or the next, where a title stands at a page's end).
    fn outlined(&self, text: &str, page: u32) -> Option<u8> {
        if self.outline.is_empty() {
            return None;
        }
        let find = |text: &str| self.outline.get(&letters(text));
        let entries = find(text).or_else(|| find(unnumbered(text)))?;
        let is_here = |at: Option<u32>| at.is_none_or(|at| at.abs_diff(page) <= 1);
        entries.iter().find(|(at, _)| is_here(*at)).map(|(_, level)| *level)
    }
}

/// Letters and digits alone, in lower case: outlines and pages differ in spaces and punctuation.
fn letters(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The text after its number.
fn unnumbered(text: &str) -> &str {
    text.trim_start_matches(|character: char| character.is_ascii_digit() || matches!(character, '.' | ')' | ' ' | '§'))
}

fn is_bold(paragraph: &Paragraph) -> bool {
    paragraph.content.iter().all(|content| match content {
        InlineContent::Text(run) => run.style.bold || run.text.trim().is_empty(),
        InlineContent::Link { style, .. } => style.bold,
        InlineContent::LineBreak => true,
        InlineContent::Image { .. } => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::documents::pages::BlockKind;
    use unpdf::TextRun;

    fn level(headings: &Headings, paragraph: &Paragraph, page: u32) -> Option<u8> {
        match headings.draft(paragraph, page)?.kind {
            BlockKind::Heading { level } => Some(level),
            _ => None,
        }
    }

    fn bold(text: &str) -> Paragraph {
        let mut paragraph = Paragraph::new();
        paragraph.add_run(TextRun::bold(text));
        paragraph
    }

    #[test]
    fn the_outline_names_headings_on_their_page() {
        let mut outline = Outline::new();
        let mut chapter = OutlineItem::new("Treatment", Some(2), 0);
        chapter.add_child(OutlineItem::new("First line", Some(3), 1));
        outline.add_item(chapter);
        let headings = Headings::of(Some(&outline));
        assert_eq!(level(&headings, &Paragraph::with_text("2. Treatment"), 2), Some(1));
        assert_eq!(level(&headings, &Paragraph::with_text("First  line"), 3), Some(2));
        assert_eq!(level(&headings, &Paragraph::with_text("Treatment"), 9), None);
    }

    #[test]
    fn size_and_bold_numbers_make_headings() {
        let none = Headings::default();
        assert_eq!(level(&none, &Paragraph::heading("Scope", 2), 1), Some(2));
        assert_eq!(level(&none, &bold("3.2.1 Dose in children"), 1), Some(3));
        assert_eq!(level(&none, &bold("3. Give oxygen at once."), 1), None);
        assert_eq!(level(&none, &Paragraph::with_text("3.2 Dose"), 1), None);
        assert_eq!(level(&none, &bold("12 mg daily"), 1), None);
    }
}
