//! PDF to pages of blocks, in one parse.
//!
//! The parser (`unpdf`) reads letters, reading order and tables; the rooms here say what is a heading, turn tables into
//! rows, and take running headers and footers away.

mod captions;
mod furniture;
mod headings;
mod hidden;
mod lines;
mod numbering;
pub(crate) mod second;
mod tables;

use std::ops::ControlFlow;

use domain::documents::pages::{ExtractedDocument, Page, Reason, TextSource};
use unpdf::{ErrorMode, PageSelection, PageStreamOptions, ParseEvent, PdfParser};

use crate::Read;
use crate::draft::{Draft, Tally, first_heading, page};
use crate::error::{Detail, ExtractError};
use crate::limits::Limits;
use crate::mend::{LineEnds, mend, mend_title};
use headings::Headings;
use lines::Typeset;

/// Below so many characters a page, on average, a document has practically no text.
const CHARACTERS_A_PAGE_MIN: usize = 20;
/// A page of which images cover this share is a scan; a logo covers a few hundredths.
const SCAN_COVERAGE_MIN: f32 = 0.5;
/// Letters drawn as outlines: more fills than any chart on a page without text has.
const OUTLINE_FILLS_MIN: u32 = 200;

/// A page while its document is still being read.
struct PageDraft {
    number: u32,
    /// In points; 0 where places are not known.
    height: i32,
    /// Whether it shows something which is no text to us.
    is_picture: bool,
    drafts: Vec<Draft>,
}

impl PageDraft {
    /// A page of which only the order of the blocks is known.
    fn of(number: u32, drafts: Vec<Draft>) -> Self {
        Self { number, height: 0, is_picture: false, drafts }
    }
}

/// Takes running headers and footers from pages, each with its number.
pub(crate) fn without_furniture(pages: Vec<(u32, Vec<Draft>)>) -> Vec<(u32, Vec<Draft>)> {
    let mut pages: Vec<PageDraft> = pages.into_iter().map(|(number, drafts)| PageDraft::of(number, drafts)).collect();
    furniture::remove(&mut pages);
    pages.into_iter().map(|page| (page.number, page.drafts)).collect()
}

pub(crate) fn extract(bytes: &[u8], limits: &Limits, progress: &mut dyn FnMut(u32, u32)) -> Result<Read, ExtractError> {
    let parser = PdfParser::from_bytes(bytes).map_err(|error| refused(&error))?;
    let total = parser.page_count();
    if total == 0 {
        return Err(ExtractError::new(Reason::Malformed, Detail::NoPages));
    }
    if total > limits.pages_max {
        return Err(ExtractError::new(Reason::TooManyPages, Detail::Pages));
    }
    progress(0, total);
    let mut reading = Reading { typeset: Typeset::open(bytes), ..Reading::default() };
    let mut over = None;
    let parsed = parser.for_each_page(options(), |event| {
        let taken = reading.take(event, limits);
        progress(reading.pages.len() as u32, total);
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                over = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(error) = over {
        return Err(error);
    }
    parsed.map_err(|error| refused(&error))?;
    reading.finish()
}

/// One page after the other: a child has one document and one processor's worth of memory for it.
fn options() -> PageStreamOptions {
    PageStreamOptions {
        error_mode: ErrorMode::Lenient,
        extract_text: true,
        extract_resources: false,
        min_image_dimension: 0,
        pages: PageSelection::All,
        password: None,
        parallel: false,
        suppress_low_confidence_ocr: true,
        window_size: 1,
        emit_progress_every: u32::MAX,
    }
}

fn refused(error: &unpdf::Error) -> ExtractError {
    match error {
        unpdf::Error::Encrypted | unpdf::Error::InvalidPassword => ExtractError::new(Reason::Encrypted, Detail::Password),
        unpdf::Error::UnknownFormat => ExtractError::new(Reason::Unsupported, Detail::NotAsNamed),
        _ => ExtractError::new(Reason::Malformed, Detail::Parser),
    }
}

/// What has been read of a document so far.
#[derive(Default)]
struct Reading {
    title: Option<String>,
    typeset: Option<Typeset>,
    headings: Headings,
    pages: Vec<PageDraft>,
    tally: Tally,
    characters: usize,
    pages_failed: usize,
    pages_scanned: usize,
    is_damaged: bool,
    /// Pages that paint letters of which there is no text.
    mute: Vec<u32>,
}

impl Reading {
    fn take(&mut self, event: ParseEvent, limits: &Limits) -> Result<(), ExtractError> {
        match event {
            ParseEvent::DocumentStart { metadata, outline, .. } => {
                self.title = metadata.title.as_deref().map(mend_title).filter(|title| is_title(title));
                self.headings = Headings::of(outline.as_ref());
            }
            ParseEvent::PageParsed(page) => {
                let drafts = self.blocks(&page);
                let (mut lines, height) = self.typeset.as_ref().map(|set| set.lines(page.number)).unwrap_or_default();
                let drafts = lines::place(drafts, &mut lines);
                self.tally.add(&drafts, limits)?;
                let characters = drafts.iter().map(|draft| draft.text.chars().count()).sum::<usize>();
                self.characters += characters;
                let mut is_picture = false;
                if characters < CHARACTERS_A_PAGE_MIN {
                    self.pages_failed += usize::from(page.undecodable_content_streams > 0);
                    is_picture = self::is_picture(&page, characters);
                    self.pages_scanned += usize::from(is_picture);
                }
                if characters == 0 && page.text_op_count > 0 && !page.ocr_text_suppressed {
                    self.mute.push(page.number);
                }
                self.pages.push(PageDraft { number: page.number, height, is_picture, drafts });
            }
            ParseEvent::PageFailed { page, .. } => {
                self.pages_failed += 1;
                self.mute.push(page);
                self.pages.push(PageDraft { number: page, height: 0, is_picture: false, drafts: Vec::new() });
            }
            ParseEvent::DocumentEnd { quality } => {
                self.is_damaged = quality.pages_incomplete || quality.xref_reconstructed || quality.skipped_object_count > 0;
            }
            ParseEvent::Progress { .. } => {}
        }
        Ok(())
    }

    fn blocks(&self, page: &unpdf::Page) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for block in &page.elements {
            match block {
                unpdf::Block::Paragraph(paragraph) => {
                    drafts.extend(self.headings.draft(paragraph, page.number));
                }
                unpdf::Block::Table(table) => drafts.extend(tables::rows(table)),
                unpdf::Block::Code { content } | unpdf::Block::Raw { content } => {
                    drafts.push(Draft::paragraph(mend(content, LineEnds::Written)));
                }
                _ => {}
            }
        }
        drafts.retain(|draft| !draft.text.is_empty());
        drafts
    }

    fn finish(mut self) -> Result<Read, ExtractError> {
        let mut is_scan = false;
        if self.characters < CHARACTERS_A_PAGE_MIN * self.pages.len() {
            is_scan = self.pages_scanned * 2 >= self.pages.len();
            if !is_scan && self.characters == 0 && (self.is_damaged || self.pages_failed > 0) {
                return Err(ExtractError::new(Reason::Malformed, Detail::NoPages));
            }
            if !is_scan && self.characters == 0 {
                return Err(ExtractError::new(Reason::Empty, Detail::NoText));
            }
        }
        furniture::remove(&mut self.pages);
        captions::mark(&mut self.pages);
        headings::settle(&mut self.pages, &self.headings);
        numbering::part(&mut self.pages);
        numbering::settle(&mut self.pages);
        let title = self.title.or_else(|| first_heading(self.pages.iter().flat_map(|page| &page.drafts)));
        let source = |read: &PageDraft| if read.is_picture { TextSource::Image } else { TextSource::File };
        let pages = self.pages.iter().map(|read| Page { source: source(read), ..page(read.number, &read.drafts) }).collect();
        Ok(Read { document: ExtractedDocument { title, pages }, mute: self.mute, is_scan })
    }
}

/// A page that shows something which is no text to us: an image, outlines, or letters in a font that cannot be decoded.
fn is_picture(page: &unpdf::Page, characters: usize) -> bool {
    page.image_coverage >= SCAN_COVERAGE_MIN
        || page.ocr_text_suppressed
        || (characters == 0
            && (page.image_op_count > 0 || page.suppressed_text_runs > 0 || page.fill_op_count >= OUTLINE_FILLS_MIN))
}

/// Programs write file names and placeholders where a title belongs.
fn is_title(title: &str) -> bool {
    let lower = title.to_lowercase();
    title.chars().filter(|character| character.is_alphabetic()).count() >= 3
        && !lower.starts_with("microsoft ")
        && !matches!(
            lower.as_str(),
            "untitled" | "(untitled)" | "title" | "document" | "unknown" | "none" | "anonymous" | "(anonymous)"
        )
        && ![".doc", ".docx", ".dvi", ".tex", ".indd", ".qxd", ".pdf", ".html", ".rtf"].iter().any(|end| lower.ends_with(end))
}
