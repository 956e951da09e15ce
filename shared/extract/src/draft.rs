//! Blocks before they have a place, and the pages they become.

use domain::documents::pages::{Block, BlockKind, BoundingBox, ExtractedDocument, Flag, Page, Reason};

use crate::error::{Detail, ExtractError};
use crate::limits::Limits;
use crate::mend::unmarked;

/// A block that does not yet know where on its page it will stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub kind: BlockKind,
    pub text: String,
    /// How it is set on its page, for formats that have pages.
    pub look: Option<Look>,
}

/// How a block is set: what tells a heading from a paragraph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub bounds: BoundingBox,
    /// The size that most of its letters have, in tenths of a point.
    pub size: u16,
    /// Whether all of it is bold.
    pub is_bold: bool,
    pub lines: u16,
    /// Whether the page does not show some of it.
    pub is_hidden: bool,
}

impl Draft {
    const fn new(kind: BlockKind, text: String) -> Self {
        Self { kind, text, look: None }
    }

    pub fn paragraph(text: impl Into<String>) -> Self {
        Self::new(BlockKind::Paragraph, text.into())
    }

    pub fn heading(level: u8, text: impl Into<String>) -> Self {
        Self::new(BlockKind::Heading { level: level.clamp(1, 6) }, text.into())
    }

    pub fn list_item(text: impl Into<String>) -> Self {
        Self::new(BlockKind::ListItem, text.into())
    }

    pub fn row(header: bool, text: impl Into<String>) -> Self {
        Self::new(BlockKind::TableRow { header }, text.into())
    }
}

/// The rows of a table as blocks; the first row with content is the header. A table of one column is paragraphs.
pub(crate) fn table_rows(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<Draft> {
    let rows: Vec<_> = rows.into_iter().filter(|cells| cells.iter().any(|cell| !cell.is_empty())).collect();
    if rows.iter().all(|cells| cells.len() < 2) {
        return rows.into_iter().flatten().map(Draft::paragraph).collect();
    }
    let row = |(at, cells): (usize, Vec<String>)| {
        let mut text = String::new();
        for (column, cell) in cells.iter().enumerate() {
            if column > 0 {
                text.push_str(if text.ends_with(' ') || text.is_empty() { "| " } else { " | " });
            }
            text.push_str(cell);
        }
        Draft::row(at == 0, text.trim_end())
    };
    rows.into_iter().enumerate().map(row).collect()
}

/// Gives each block its place: a page's text is its blocks with a blank line between them.
pub(crate) fn page(number: u32, drafts: &[Draft]) -> Page {
    let mut page = Page { blocks: Vec::with_capacity(drafts.len()), ..Page::empty(number) };
    let mut at = 0;
    for draft in drafts {
        let (text, mut flags) = unmarked(&draft.text);
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        if draft.look.is_some_and(|look| look.is_hidden) {
            flags.insert(0, Flag::Hidden);
        }
        if at > 0 {
            page.text.push_str("\n\n");
            at += 2;
        }
        let end = at + text.chars().count();
        page.text.push_str(text);
        page.blocks.push(Block { bounds: draft.look.map(|look| look.bounds), flags, ..Block::new(draft.kind, at, end) });
        at = end;
    }
    page
}

/// A document of the formats that have no pages: everything is page 1.
pub(crate) fn single_page(
    title: Option<String>,
    drafts: &[Draft],
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    progress(0, 1);
    let mut tally = Tally::default();
    tally.add(drafts, limits)?;
    let page = page(1, drafts);
    if page.blocks.is_empty() {
        return Err(ExtractError::new(Reason::Empty, Detail::NoText));
    }
    progress(1, 1);
    let title = title.or_else(|| first_heading(drafts));
    Ok(ExtractedDocument { title, pages: vec![page] })
}

/// The first heading of the highest level within the beginning of the document.
pub(crate) fn first_heading<'a>(drafts: impl IntoIterator<Item = &'a Draft>) -> Option<String> {
    /// A title stands at the top; further down a heading is one of a section.
    const TITLE_WITHIN_BLOCKS: usize = 8;
    let headings = drafts.into_iter().take(TITLE_WITHIN_BLOCKS).filter_map(|draft| match draft.kind {
        BlockKind::Heading { level } => Some((level, draft)),
        _ => None,
    });
    headings.min_by_key(|(level, _)| *level).map(|(_, draft)| unmarked(&draft.text).0.replace('\n', " "))
}

/// Counts what a document has come to, so that one which unfolds without end is stopped.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    text_bytes: usize,
    blocks: usize,
}

impl Tally {
    pub fn add(&mut self, drafts: &[Draft], limits: &Limits) -> Result<(), ExtractError> {
        self.blocks += drafts.len();
        self.text_bytes += drafts.iter().map(|draft| draft.text.len() + 2).sum::<usize>();
        if self.text_bytes > limits.text_bytes_max {
            return Err(ExtractError::new(Reason::TooLarge, Detail::TextBytes));
        }
        if self.blocks > limits.blocks_max {
            return Err(ExtractError::new(Reason::TooLarge, Detail::Blocks));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mend::{LineEnds, mend};

    #[test]
    fn blocks_are_placed_by_code_points_with_blank_lines_between() {
        let page = page(3, &[Draft::heading(1, "Ärzte"), Draft::paragraph(" "), Draft::paragraph("Fieber 39 °C")]);
        assert_eq!(page.text, "Ärzte\n\nFieber 39 °C");
        let ranges: Vec<_> = page.blocks.iter().map(|block| (block.start, block.end)).collect();
        assert_eq!(ranges, [(0, 5), (7, 19)]);
    }

    #[test]
    fn what_a_reader_does_not_see_is_flagged_and_invisible_characters_go() {
        let look = |is_hidden| Look {
            bounds: BoundingBox { left: 1, top: 2, right: 3, bottom: 4 },
            size: 100,
            is_bold: false,
            lines: 1,
            is_hidden,
        };
        let mut seen = Draft::paragraph(mend("pay\u{202e}load \u{e0041}\u{e0042}x", LineEnds::Written));
        seen.look = Some(look(false));
        let mut hidden = Draft::paragraph("white");
        hidden.look = Some(look(true));
        let page = page(1, &[seen, hidden, Draft::paragraph(mend("\u{e0041}", LineEnds::Written))]);
        assert_eq!(page.text, "payload x\n\nwhite");
        let flags: Vec<_> = page.blocks.iter().map(|block| block.flags.as_slice()).collect();
        assert_eq!(flags, [&[Flag::Bidi, Flag::Tag][..], &[Flag::Hidden]]);
        assert_eq!(page.blocks[0].bounds, Some(look(false).bounds));
    }

    #[test]
    fn a_table_keeps_its_empty_cells() {
        let cells = |row: &[&str]| row.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows = table_rows([cells(&["", ""]), cells(&["Drug", "", "Dose"]), cells(&["", "b", ""])]);
        assert_eq!(rows[0], Draft::row(true, "Drug | | Dose"));
        assert_eq!(rows[1], Draft::row(false, "| b |"));
        assert_eq!(table_rows([cells(&["only"])]), [Draft::paragraph("only")]);
    }

    #[test]
    fn what_unfolds_without_end_is_stopped() {
        let limits = Limits { text_bytes_max: 10, blocks_max: 3, ..Limits::default() };
        let add = |drafts: &[Draft]| Tally::default().add(drafts, &limits).map_err(|error| error.detail);
        assert_eq!(add(&[Draft::paragraph("12345678")]), Ok(()));
        assert_eq!(add(&[Draft::paragraph("123456789")]), Err(Detail::TextBytes));
        assert_eq!(add(&vec![Draft::paragraph(""); 4]), Err(Detail::Blocks));
    }
}
