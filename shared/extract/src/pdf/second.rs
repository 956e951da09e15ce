//! The second opinion on a PDF (`lopdf`): text page by page as the file draws it, without headings and tables.
//!
//! It reads some damaged files and some ciphers that the first parser does not, and it does not mind drawings, because it
//! looks at text alone.

use domain::documents::pages::{ExtractedDocument, Reason};
use lopdf::{Document, LoadOptions};

use crate::draft::{Draft, Tally, page};
use crate::error::{Detail, ExtractError};
use crate::limits::Limits;
use crate::mend::{LineEnds, mend, mend_title};

/// What one stream may unpack to. A page of text unpacks to some 100 KB.
const STREAM_BYTES_MAX: usize = 32 << 20;

pub(crate) fn extract(
    bytes: &[u8],
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    let options = LoadOptions { max_decompressed_size: Some(STREAM_BYTES_MAX), ..LoadOptions::default() };
    let document =
        Document::load_mem_with_options(bytes, options).map_err(|_| ExtractError::new(Reason::Malformed, Detail::Parser))?;
    // A file that opens without a password is unlocked by now.
    if document.is_encrypted() && document.encryption_state.is_none() {
        return Err(ExtractError::new(Reason::Encrypted, Detail::Password));
    }
    let numbers: Vec<u32> = document.get_pages().into_keys().collect();
    if numbers.is_empty() {
        return Err(ExtractError::new(Reason::Malformed, Detail::NoPages));
    }
    if numbers.len() > limits.pages_max as usize {
        return Err(ExtractError::new(Reason::TooManyPages, Detail::Pages));
    }
    let total = numbers.len() as u32;
    progress(0, total);
    let mut tally = Tally::default();
    let mut pages = Vec::with_capacity(numbers.len());
    for number in numbers {
        // A page that cannot be read is an empty one; the others may be whole.
        let text = document.extract_text_with_limit(&[number], STREAM_BYTES_MAX).unwrap_or_default();
        let drafts = paragraphs(&text);
        tally.add(&drafts, limits)?;
        pages.push(page(number, &drafts));
        progress(number.min(total), total);
    }
    if pages.iter().all(|page| page.blocks.is_empty()) {
        return Err(ExtractError::new(Reason::Empty, Detail::NoText));
    }
    let title = title(&document);
    Ok(ExtractedDocument { title, pages })
}

/// Lines as they are drawn are one paragraph until a blank line.
fn paragraphs(text: &str) -> Vec<Draft> {
    let lines = text.replace("\r\n", "\n");
    let texts = lines.split("\n\n").map(|lines| mend(lines, LineEnds::Typeset));
    texts.filter(|text| !text.is_empty()).map(Draft::paragraph).collect()
}

fn title(document: &Document) -> Option<String> {
    let information = document.trailer.get(b"Info").and_then(|object| document.dereference(object)).ok()?.1.as_dict().ok()?;
    let title = lopdf::decode_text_string(information.get(b"Title").ok()?).ok()?;
    Some(mend_title(&title)).filter(|title| super::is_title(title))
}
