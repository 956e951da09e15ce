//! What a parser hands over: pages of text and the blocks found on them.

use serde::{Deserialize, Serialize};

/// The document formats that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `application/pdf`
    Pdf,
    /// `application/vnd.openxmlformats-officedocument.wordprocessingml.document`
    Docx,
    /// `text/html`
    Html,
    /// `text/markdown`
    Markdown,
    /// `text/plain`
    Text,
    /// `text/csv`
    Csv,
}

impl Format {
    /// The format that a file name's extension promises. The bytes have the last word, in `extract`.
    pub fn from_name(name: &str) -> Option<Self> {
        let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
        Some(match extension.as_str() {
            "pdf" => Self::Pdf,
            "docx" => Self::Docx,
            "html" | "htm" | "xhtml" => Self::Html,
            "md" | "markdown" => Self::Markdown,
            "txt" | "text" => Self::Text,
            "csv" => Self::Csv,
            _ => return None,
        })
    }

    /// The media type that an upload of this format must declare.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Html => "text/html",
            Self::Markdown => "text/markdown",
            Self::Text => "text/plain",
            Self::Csv => "text/csv",
        }
    }
}

/// What a block of a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// A heading; 1 is the document's title level, 6 the deepest.
    Heading {
        /// 1 to 6.
        level: u8,
    },
    /// Running text.
    Paragraph,
    /// One item of a list, with its marker.
    ListItem,
    /// What stands under a figure or over a table: `Figure 2. Dosing by weight`.
    Caption,
    /// One row of a table, cells separated by ` | `. The first row of a table is its header.
    TableRow {
        /// Whether this is the table's first row.
        header: bool,
    },
}

/// Where a block stands on its page, in points (1/72 inch) from the top left corner of the page as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Distance of the left edge from the page's left edge.
    pub left: i32,
    /// Distance of the upper edge from the page's upper edge.
    pub top: i32,
    /// Distance of the right edge from the page's left edge.
    pub right: i32,
    /// Distance of the lower edge from the page's upper edge.
    pub bottom: i32,
}

impl BoundingBox {
    /// The smallest box around both.
    #[must_use]
    pub fn around(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// Why a block's text may not be what a reader of the page sees: it must not reach a prompt unmarked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Text that the page does not show: white on white, too small to see, or painted with nothing.
    Hidden,
    /// Characters that turn the reading direction; they are left out of the text.
    Bidi,
    /// Invisible tag characters; they are left out of the text.
    Tag,
    /// Recognised from an image of the page.
    Ocr,
}

/// A piece of a page: its kind and where its text is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// First character in the page's text, counted in Unicode code points.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// Where it stands on the page, for formats that have places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<BoundingBox>,
    /// What is suspicious about its text, in order, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
}

impl Block {
    /// A block that has no place on its page and nothing suspicious.
    pub const fn new(kind: BlockKind, start: usize, end: usize) -> Self {
        Self { kind, start, end, bounds: None, flags: Vec::new() }
    }
}

/// Where a page's text comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextSource {
    /// The file holds it.
    #[default]
    File,
    /// Nowhere: the page is an image, and recognition (OCR) would be needed.
    Image,
    /// It was recognised from an image of the page.
    Ocr {
        /// How sure the recogniser is of its words on average, in percent.
        confidence: u8,
    },
}

/// One page of text. Formats without pages (HTML, Markdown, DOCX without breaks) have a single page 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Counted from 1, as a reader shows it.
    pub number: u32,
    /// The text in reading order; blocks are separated by a blank line.
    pub text: String,
    /// The blocks, in reading order, not overlapping.
    pub blocks: Vec<Block>,
    /// Where the text comes from.
    #[serde(default)]
    pub source: TextSource,
}

impl Page {
    /// A page without text.
    pub const fn empty(number: u32) -> Self {
        Self { number, text: String::new(), blocks: Vec::new(), source: TextSource::File }
    }
}

/// Everything that a parser found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractedDocument {
    /// The title that the file itself names (PDF metadata, first heading), if it has one.
    pub title: Option<String>,
    /// The pages in order.
    pub pages: Vec<Page>,
}

/// Why a document cannot be indexed. The code is stable: it is what the API shows and what people search for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The file has no bytes, or no text in it.
    Empty,
    /// The bytes are none of the accepted formats, or not the one that the name promises.
    Unsupported,
    /// The file needs a password.
    Encrypted,
    /// The file is damaged beyond what the parsers can mend.
    Malformed,
    /// The file, or what it expands to, is over the limit.
    TooLarge,
    /// More pages than the limit.
    TooManyPages,
    /// Reading it took longer than the limit.
    Timeout,
    /// The pages are images; optical character recognition would be needed.
    NeedsOcr,
    /// It holds identifiers of people and belongs to a collection that must hold none.
    HoldsIdentifiers,
    /// The upload link ran out before anything was uploaded.
    UploadExpired,
    /// Indexing stopped half-way and the last attempt is over.
    Interrupted,
    /// Our own mistake; the operators were told.
    Internal,
}

impl Reason {
    /// One sentence for a person: what is wrong and what to do.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Empty => "The file is empty or holds no text. Check it and upload it again.",
            Self::Unsupported => {
                "The file is not a PDF, DOCX, HTML, Markdown, text or CSV document. Convert it and upload it again."
            }
            Self::Encrypted => "The file needs a password. Remove the password and upload it again.",
            Self::Malformed => "The file is damaged and could not be read. Save or export it again and upload the new copy.",
            Self::TooLarge => "The file, or what it unpacks to, is over the limit. Split it and upload the parts.",
            Self::TooManyPages => "The document has more pages than the limit. Split it and upload the parts.",
            Self::Timeout => "Reading the file took too long. Export it again, or split it, and upload the result.",
            Self::NeedsOcr => "The pages are images without text. Run text recognition (OCR) on the file and upload the result.",
            Self::HoldsIdentifiers => {
                "The document holds numbers that identify people, and this collection must hold none. Remove them and upload it again."
            }
            Self::UploadExpired => "Nothing was uploaded before the link ran out. Ask for a new upload link.",
            Self::Interrupted => {
                "Work on this document stopped half-way and is tried again by itself. If this stays, tell the operators."
            }
            Self::Internal => "Something went wrong on our side; the operators were told. Upload the file again later.",
        }
    }
}
