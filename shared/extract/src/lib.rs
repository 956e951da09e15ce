//! Documents of every accepted format to pages of text.
//!
//! The parsers read files that strangers made, and no parser survives every file: some run out of memory, some out of
//! stack, some never end. So a program that extracts calls [`child::run_child_if_asked`] first thing in `main` and then
//! [`extract_in_child`], which runs the parser in a process of its own under hard limits. [`extract`] is the same work
//! without the process; it is what the child runs, and what tests call.
//!
//! Way of a document: [`sniff`](sniff()) decides the format by the bytes; one room for each format turns it into blocks
//! (`pdf`, `docx`, `html`, `markdown`, `plain`, `csv`); `mend` repairs the letters; `draft` gives blocks their place.

pub mod child;
mod csv;
mod decode;
mod docx;
mod draft;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod html;
mod inline;
mod limits;
mod markdown;
mod mend;
mod pdf;
mod plain;
mod recognise;
mod sniff;

use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::documents::pages::{ExtractedDocument, Format, Reason};

pub use child::{extract_in_child, extract_in_child_measured, extract_in_child_with};
pub use error::{Detail, ExtractError};
pub use limits::Limits;
pub use recognise::extract_recognising;
pub use sniff::sniff;

/// Reads a document in this process. `name` counts only for the format that its extension promises.
///
/// A parser's panic is an error; a parser that runs out of memory or stack takes the process down: use
/// [`extract_in_child`] for files from outside.
pub fn extract(bytes: &[u8], name: &str, limits: &Limits) -> Result<ExtractedDocument, ExtractError> {
    extract_promised(bytes, Format::from_name(name), limits, &mut |_, _| {}).and_then(Read::with_text)
}

/// A document, and the pages of it that paint letters of which the parser could make no text.
pub(crate) struct Read {
    pub document: ExtractedDocument,
    pub mute: Vec<u32>,
    /// Whether the document is practically nothing but images.
    pub is_scan: bool,
}

impl Read {
    /// The document, unless recognition is needed first.
    pub fn with_text(self) -> Result<ExtractedDocument, ExtractError> {
        if self.is_scan { Err(ExtractError::new(Reason::NeedsOcr, Detail::Pictures)) } else { Ok(self.document) }
    }
}

impl From<ExtractedDocument> for Read {
    fn from(document: ExtractedDocument) -> Self {
        Self { document, mute: Vec::new(), is_scan: false }
    }
}

/// Reads a PDF with the second parser.
fn extract_again(bytes: &[u8], limits: &Limits, progress: &mut dyn FnMut(u32, u32)) -> Result<Read, ExtractError> {
    let read = AssertUnwindSafe(|| pdf::second::extract(bytes, limits, progress).map(Read::from));
    catch_unwind(read).unwrap_or(Err(ExtractError::new(Reason::Malformed, Detail::Panicked)))
}

/// Reads a document whose name promised a format, and tells after each page how many of how many are done. The first
/// call, with nothing done, comes as soon as the pages are counted.
fn extract_promised(
    bytes: &[u8],
    promised: Option<Format>,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Read, ExtractError> {
    if bytes.len() > limits.bytes_max {
        return Err(ExtractError::new(Reason::TooLarge, Detail::Bytes));
    }
    let format = sniff::sniff_promised(bytes, promised)?;
    let read = AssertUnwindSafe(|| match format {
        Format::Pdf => pdf::extract(bytes, limits, progress),
        Format::Docx => docx::extract(bytes, limits, progress).map(Read::from),
        Format::Html => html::extract(&decode::text(bytes)?, limits, progress).map(Read::from),
        Format::Markdown => markdown::extract(&decode::text(bytes)?, limits, progress).map(Read::from),
        Format::Text => plain::extract(&decode::text(bytes)?, limits, progress).map(Read::from),
        Format::Csv => csv::extract(&decode::text(bytes)?, limits, progress).map(Read::from),
    });
    catch_unwind(read).unwrap_or(Err(ExtractError::new(Reason::Malformed, Detail::Panicked)))
}
