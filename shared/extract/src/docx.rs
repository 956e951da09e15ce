//! DOCX to blocks. Word breaks pages when it prints, so everything is page 1.

use domain::documents::pages::{ExtractedDocument, Reason};
use undoc::model::{Block, Cell, ListType, Paragraph, RevisionType, Table};

use crate::draft::{Draft, single_page, table_rows};
use crate::error::{Detail, ExtractError};
use crate::limits::Limits;
use crate::mend::{LineEnds, mend, mend_line, mend_title};

/// Tables inside cells inside tables: deeper ones are left out.
const TABLE_DEPTH_MAX: usize = 8;

pub(crate) fn extract(
    bytes: &[u8],
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    let document = undoc::parse_bytes(bytes).map_err(|error| match error {
        undoc::Error::Encrypted => ExtractError::new(Reason::Encrypted, Detail::Password),
        undoc::Error::UnknownFormat | undoc::Error::UnsupportedFormat(_) => {
            ExtractError::new(Reason::Unsupported, Detail::Parser)
        }
        // The parser has no error of its own for this; if its words change, the file is malformed instead.
        undoc::Error::ZipArchive(words) if words.contains("decompression bomb") => {
            ExtractError::new(Reason::TooLarge, Detail::Expansion)
        }
        _ => ExtractError::new(Reason::Malformed, Detail::Parser),
    })?;
    let mut drafts = Vec::new();
    let mut numbers = Numbers::default();
    for block in document.sections.iter().flat_map(|section| &section.content) {
        match block {
            Block::Paragraph(paragraph) => drafts.extend(draft(paragraph, &mut numbers)),
            Block::Table(table) => push_table(table, 0, &mut drafts),
            Block::Note { label, content } => {
                let text = content.iter().map(text).collect::<Vec<_>>().join("\n");
                drafts.push(Draft::paragraph(mend(&format!("[{label}] {text}"), LineEnds::Written)));
            }
            Block::Image { alt_text: Some(text), .. } => drafts.push(Draft::paragraph(mend_line(text))),
            Block::Image { .. } | Block::PageBreak | Block::SectionBreak => {}
        }
    }
    let title = document.metadata.title.as_deref().map(mend_title).filter(|title| !title.is_empty());
    single_page(title, &drafts, limits, progress)
}

/// The numbers of the headings above, outermost first: Word counts them, the text does not hold them.
#[derive(Default)]
struct Numbers(Vec<u32>);

impl Numbers {
    /// `1.2.1 ` for the first heading below the second below the first; nothing for one that is not numbered.
    fn of(&mut self, heading: &Paragraph) -> String {
        let Some((level, number)) = heading
            .list_info
            .as_ref()
            .filter(|list| list.list_type == ListType::Numbered)
            .and_then(|list| Some((usize::from(list.level.min(8)), list.number?)))
        else {
            return String::new();
        };
        // A level that was left out counts as its first.
        self.0.resize(level, 1);
        self.0.push(number);
        let parts: Vec<String> = self.0.iter().map(u32::to_string).collect();
        parts.join(".") + " "
    }
}

fn draft(paragraph: &Paragraph, numbers: &mut Numbers) -> Option<Draft> {
    let text = mend(&text(paragraph), LineEnds::Written);
    if text.is_empty() {
        return None;
    }
    if paragraph.heading.is_heading() {
        let text = numbers.of(paragraph) + &text.replace('\n', " ");
        return Some(Draft::heading(paragraph.heading.level(), text));
    }
    Some(match paragraph.list_info.as_ref().map(|list| (list.list_type, list.number)) {
        Some((ListType::Bullet, _)) => Draft::list_item(format!("• {text}")),
        Some((ListType::Numbered, Some(number))) => Draft::list_item(format!("{number}. {text}")),
        Some((ListType::Numbered, None)) => Draft::list_item(text),
        Some((ListType::None, _)) | None => Draft::paragraph(text),
    })
}

/// What a reader sees: deleted text is gone, notes and breaks are marked.
fn text(paragraph: &Paragraph) -> String {
    let mut text = String::new();
    for run in paragraph.runs.iter().filter(|run| run.revision != RevisionType::Deleted) {
        text.push_str(&run.text);
        if let Some(label) = &run.note {
            text.extend(["[", label, "]"]);
        }
        if run.line_break || run.page_break {
            text.push('\n');
        }
    }
    for alt_text in paragraph.images.iter().filter_map(|image| image.alt_text.as_deref()) {
        text.push('\n');
        text.push_str(alt_text);
    }
    text
}

fn push_table(table: &Table, depth: usize, drafts: &mut Vec<Draft>) {
    let columns = table.cell_columns();
    let row = |(row, starts): (&undoc::model::Row, &Vec<usize>)| {
        let mut cells: Vec<String> = Vec::new();
        for (cell, start) in row.cells.iter().zip(starts) {
            cells.resize(cells.len().max(*start), String::new());
            cells.push(cell_text(cell));
        }
        cells
    };
    drafts.extend(table_rows(table.rows.iter().zip(&columns).map(row)));
    if depth < TABLE_DEPTH_MAX {
        for nested in table.rows.iter().flat_map(|row| &row.cells).flat_map(|cell| &cell.nested_tables) {
            push_table(nested, depth + 1, drafts);
        }
    }
}

fn cell_text(cell: &Cell) -> String {
    mend_line(&cell.content.iter().map(text).collect::<Vec<_>>().join("\n"))
}
