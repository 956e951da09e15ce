//! Recognition of text on pages that are images: what a recogniser is given and what it gives back.

use super::pages::BoundingBox;

/// Recognises the text of a page. Adapters: the `tesseract` program.
pub trait Ocr {
    /// Reads a page that was painted as PNG.
    fn recognise(&self, png: &[u8]) -> Result<RecognisedPage, RecognisePageError>;
}

/// What a recogniser read on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecognisedPage {
    /// In reading order.
    pub paragraphs: Vec<RecognisedParagraph>,
    /// How sure it is of its letters on average, in percent.
    pub confidence: u8,
}

/// Lines that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecognisedParagraph {
    /// Its lines, as they are broken on the page.
    pub text: String,
    /// Where they stand.
    pub bounds: BoundingBox,
}

/// Why a page was not recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecognisePageError {
    /// The recogniser is not there.
    #[error("the text recogniser is not installed")]
    Missing,
    /// It gave up, or took too long.
    #[error("the text recogniser failed")]
    Failed,
}
