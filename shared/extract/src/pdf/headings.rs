//! Which paragraphs of a PDF are headings, and of what level.
//!
//! Page by page the document's outline (bookmarks) names headings, and the parser takes for one what is set larger than
//! its page. When all pages are read [`settle`] compares with the text of the whole document: a heading is short and set
//! larger or bolder than the body, and its level is the rank of its size. What the numbers say of the levels is settled
//! in `numbering`.

use std::collections::HashMap;

use domain::documents::pages::BlockKind;
use unpdf::model::{InlineContent, OutlineItem};
use unpdf::{Outline, Paragraph};

use super::PageDraft;
use super::lines::letters;
use super::numbering::number;
use crate::draft::{Draft, Look};
use crate::mend::{LineEnds, mend};

/// A heading has one to three lines; a paragraph that is longer is none, however it is set.
const HEADING_CHARACTERS_MAX: usize = 200;
/// A bold numbered line that is longer is the beginning of a recommendation.
const NUMBERED_CHARACTERS_MAX: usize = 120;
/// Text that is larger than the body by less than this is set in another face rather than larger.
const LARGER: f64 = 1.05;
/// From here on size alone makes a heading, whatever the face.
const LARGE: f64 = 1.14;
/// A heading has at most so many lines.
const LINES_MAX: u16 = 4;
/// A page with so many letters has a body size of its own: a slide, a letter, an advertisement.
const PAGE_LETTERS_MIN: usize = 600;
/// A style in which more than this share of the letters is set is body, not heading.
const HEADING_SHARE_MAX: f64 = 0.2;
/// Sizes within this share of each other are one rank.
const SAME_RANK: f64 = 0.96;
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

/// Letters by the size in which they are set, in tenths of a point.
#[derive(Default)]
struct Sizes {
    letters: HashMap<u16, usize>,
    bold: usize,
    all: usize,
}

impl Sizes {
    fn add(&mut self, draft: &Draft, look: &Look) {
        let count = draft.text.chars().filter(|character| character.is_alphanumeric()).count();
        // Half points: producers round differently from line to line.
        *self.letters.entry((look.size + 2) / 5 * 5).or_default() += count;
        self.all += count;
        self.bold += if look.is_bold { count } else { 0 };
    }

    /// The size that most letters have.
    fn body(&self) -> u16 {
        self.letters.iter().max_by_key(|(size, count)| (**count, **size)).map_or(0, |(size, _)| *size)
    }

    fn share(&self, size: u16) -> f64 {
        let count = self.letters.get(&((size + 2) / 5 * 5)).copied().unwrap_or(0);
        count as f64 / self.all.max(1) as f64
    }
}

/// Decides with the whole document in view which paragraphs are headings, and ranks them.
pub(super) fn settle(pages: &mut [PageDraft], headings: &Headings) {
    let mut sizes = Sizes::default();
    for draft in pages.iter().flat_map(|page| &page.drafts) {
        if let Some(look) = &draft.look {
            sizes.add(draft, look);
        }
    }
    if sizes.all == 0 {
        return;
    }
    let body_is_bold = sizes.bold * 2 > sizes.all;
    for page in pages.iter_mut() {
        let mut own = Sizes::default();
        for draft in &page.drafts {
            if let Some(look) = &draft.look {
                own.add(draft, look);
            }
        }
        let body = if own.all >= PAGE_LETTERS_MIN { own.body() } else { sizes.body() };
        let number = page.number;
        for draft in &mut page.drafts {
            let Some(look) = draft.look else { continue };
            let is_named = headings.outlined(&draft.text, number).is_some();
            let is_heading = is_named || is_set_as_heading(draft, &look, body, body_is_bold, &sizes);
            draft.kind = match draft.kind {
                BlockKind::Paragraph | BlockKind::ListItem if is_heading => BlockKind::Heading { level: 1 },
                BlockKind::Heading { .. } if !is_heading => BlockKind::Paragraph,
                kind => kind,
            };
        }
        join(&mut page.drafts);
    }
    rank(pages);
}

fn is_set_as_heading(draft: &Draft, look: &Look, body: u16, body_is_bold: bool, sizes: &Sizes) -> bool {
    let text = draft.text.as_str();
    let length = text.chars().count();
    let numbered = number(text).is_some_and(|number| number.has_title);
    if length > HEADING_CHARACTERS_MAX || look.lines > LINES_MAX || text.chars().filter(|c| c.is_alphabetic()).count() < 2 {
        return false;
    }
    // Items are items, unless a number that a heading may have was taken for a marker.
    if draft.kind == BlockKind::ListItem && !(numbered && look.is_bold) {
        return false;
    }
    let larger = f64::from(look.size) / f64::from(body.max(1));
    let is_bold = look.is_bold && !body_is_bold;
    let is_sentence = text.ends_with(['.', ';', ',']) && !text.ends_with("..") && length > 40;
    if larger >= LARGE {
        return sizes.share(look.size) <= HEADING_SHARE_MAX && (is_bold || !is_sentence);
    }
    if text.ends_with(['.', ';', ',']) || length > NUMBERED_CHARACTERS_MAX || larger < 0.95 {
        return false;
    }
    is_bold || (larger >= LARGER && look.lines <= 2 && sizes.share(look.size) <= HEADING_SHARE_MAX / 2.0)
}

/// Headings of several lines that were read as several.
fn join(drafts: &mut Vec<Draft>) {
    let is_heading = |draft: &Draft| matches!(draft.kind, BlockKind::Heading { .. });
    let mut joined: Vec<Draft> = Vec::with_capacity(drafts.len());
    for draft in drafts.drain(..) {
        let above = joined.last_mut().filter(|above| is_heading(above) && is_heading(&draft));
        if let Some(above) = above
            && let (Some(upper), Some(lower)) = (above.look, draft.look)
            && goes_on(above, &draft, &upper, &lower)
        {
            above.text = format!("{} {}", above.text, draft.text);
            let bounds = upper.bounds.around(lower.bounds);
            above.look = Some(Look { bounds, lines: upper.lines + lower.lines, ..upper });
        } else {
            joined.push(draft);
        }
    }
    *drafts = joined;
}

/// Set alike, close below, and neither a new number nor a closed line.
fn goes_on(above: &Draft, below: &Draft, upper: &Look, lower: &Look) -> bool {
    let gap = lower.bounds.top - upper.bounds.bottom;
    let size = i32::from(upper.size) / 10;
    let is_close = gap > -size && gap * 2 < size;
    // A line that leaves room for more is the end of a heading.
    let reaches = upper.bounds.right - upper.bounds.left >= (lower.bounds.right - lower.bounds.left) / 2;
    is_close
        && reaches
        && upper.size.abs_diff(lower.size) <= 3
        && upper.is_bold == lower.is_bold
        && upper.lines + lower.lines <= LINES_MAX
        && number(&below.text).is_none()
        && !above.text.ends_with(['.', ':', '?', '!'])
}

/// Levels by size: the largest is 1. Sizes that are nearly the same are one rank; bold comes before regular.
fn rank(pages: &mut [PageDraft]) {
    let style = |draft: &Draft| match (draft.kind, draft.look) {
        (BlockKind::Heading { .. }, Some(look)) => Some((look.size, look.is_bold)),
        _ => None,
    };
    let mut uses: HashMap<(u16, bool), usize> = HashMap::new();
    for style in pages.iter().flat_map(|page| &page.drafts).filter_map(style) {
        *uses.entry(style).or_default() += 1;
    }
    let mut styles: Vec<(u16, bool)> = uses.keys().copied().collect();
    styles.sort_unstable_by(|a, b| b.cmp(a));
    // A cover has sizes that never come again: they are all the title's.
    let titles = styles.iter().take_while(|style| uses[*style] == 1).count();
    let mut ranks: HashMap<(u16, bool), u8> = HashMap::new();
    let mut level = 0_u8;
    let mut first: Option<(u16, bool)> = None;
    for (at, (size, is_bold)) in styles.into_iter().enumerate() {
        let is_same = (1..titles).contains(&at)
            || first.is_some_and(|(first, bold)| bold == is_bold && f64::from(size) >= SAME_RANK * f64::from(first));
        if !is_same {
            level = level.saturating_add(1);
            first = Some((size, is_bold));
        }
        ranks.insert((size, is_bold), level.min(6));
    }
    for draft in pages.iter_mut().flat_map(|page| &mut page.drafts) {
        if let Some(level) = style(draft).and_then(|style| ranks.get(&style)) {
            draft.kind = BlockKind::Heading { level: *level };
        }
    }
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
