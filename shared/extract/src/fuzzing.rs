//! What the fuzz targets call: each reader on any bytes, and whether what it says holds. Compiled for `fuzz/` alone.

use domain::documents::pages::ExtractedDocument;

use crate::{Limits, extract, extract_again};

/// Small bounds, so that a case that unfolds ends early.
fn limits() -> Limits {
    Limits { pages_max: 50, text_bytes_max: 1 << 20, blocks_max: 10_000, ..Limits::default() }
}

/// Reads in this process.
pub fn read(bytes: &[u8], name: &str) {
    if let Ok(document) = extract(bytes, name, &limits()) {
        check(&document);
    }
}

/// Reads with the second parser.
pub fn read_again(bytes: &[u8]) {
    if let Ok(read) = extract_again(bytes, &limits(), &mut |_, _| {}) {
        check(&read.document);
    }
}

/// Believes no line that is not in the protocol.
pub fn hear(bytes: &[u8]) {
    if let Some(document) = crate::child::hear(bytes, &limits()) {
        check(&document);
    }
}

/// Blocks stand in order within the text, and their bounds can be computed.
fn check(document: &ExtractedDocument) {
    for page in &document.pages {
        let characters = page.text.chars().count();
        let mut at = 0;
        for block in &page.blocks {
            assert!(at <= block.start && block.start < block.end && block.end <= characters, "a block is out of place");
            at = block.end;
        }
    }
}
