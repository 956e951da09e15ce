//! Which format the bytes are. The name only promises; the bytes have the last word.

use domain::documents::pages::{Format, Reason};

use crate::decode;
use crate::error::{Detail, ExtractError};

/// Where readers look for `%PDF-`: mail gateways and web servers put lines in front of it.
const PDF_MAGIC_WITHIN: usize = 1024;
/// How much of a file without a telling name is looked at to tell HTML from text.
const MARKUP_WITHIN: usize = 2048;
/// An old or a locked office file is a compound file.
const COMPOUND_FILE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// `EncryptedPackage` in UTF-16: the stream that holds a locked office document.
const ENCRYPTED_PACKAGE: &[u8] = b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0";

/// The format of a file with this name, or why it is none that can be read.
pub fn sniff(bytes: &[u8], name: &str) -> Result<Format, ExtractError> {
    sniff_promised(bytes, Format::from_name(name))
}

pub(crate) fn sniff_promised(bytes: &[u8], promised: Option<Format>) -> Result<Format, ExtractError> {
    const NOT_AS_NAMED: ExtractError = ExtractError::new(Reason::Unsupported, Detail::NotAsNamed);
    if bytes.is_empty() {
        return Err(ExtractError::new(Reason::Empty, Detail::NoBytes));
    }
    if bytes.starts_with(COMPOUND_FILE) && contains(bytes, ENCRYPTED_PACKAGE) {
        return Err(ExtractError::new(Reason::Encrypted, Detail::Password));
    }
    match promised {
        Some(Format::Pdf) | None if is_pdf(bytes, PDF_MAGIC_WITHIN) => Ok(Format::Pdf),
        Some(Format::Docx) | None if is_docx(bytes) => Ok(Format::Docx),
        Some(Format::Pdf | Format::Docx) => Err(NOT_AS_NAMED),
        // A text may well quote the magic, so here only a file that begins with it is not what it says.
        Some(_) if is_pdf(bytes, 0) || is_docx(bytes) => Err(NOT_AS_NAMED),
        Some(format) => decode::text(bytes).map(|_| format),
        None => decode::text(bytes).map(|text| if is_markup(&text) { Format::Html } else { Format::Text }),
    }
}

fn is_pdf(bytes: &[u8], within: usize) -> bool {
    const MAGIC: &[u8] = b"%PDF-";
    let head = &bytes[..bytes.len().min(within + MAGIC.len())];
    contains(head, MAGIC)
}

/// A package with a part in the folder `word`. Names stand as they are in a ZIP, so no unpacking is needed.
fn is_docx(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") && contains(bytes, b"word/document") && contains(bytes, b"[Content_Types].xml")
}

fn is_markup(text: &str) -> bool {
    let head: String = text.chars().take(MARKUP_WITHIN).collect::<String>().to_ascii_lowercase();
    let head = head.trim_start();
    head.starts_with("<!doctype html") || head.starts_with("<html") || (head.starts_with('<') && head.contains("<body"))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(bytes: &[u8], name: &str) -> Reason {
        sniff(bytes, name).unwrap_err().reason
    }

    #[test]
    fn the_bytes_decide_and_the_name_must_agree() {
        assert_eq!(sniff(b"%PDF-1.7\n", "a.pdf"), Ok(Format::Pdf));
        assert_eq!(sniff(b"\r\n\r\n%PDF-1.7\n", "a"), Ok(Format::Pdf));
        assert_eq!(sniff(b"hello", "a.txt"), Ok(Format::Text));
        assert_eq!(sniff(b"a,b\n1,2", "a.csv"), Ok(Format::Csv));
        assert_eq!(sniff(b"# A", "a.md"), Ok(Format::Markdown));
        assert_eq!(sniff(b"<p>x", "a.htm"), Ok(Format::Html));
        assert_eq!(sniff(b" <!DOCTYPE html><p>x", "upload"), Ok(Format::Html));
        assert_eq!(sniff(b"PK\x03\x04..[Content_Types].xml..word/document.xml", "a.docx"), Ok(Format::Docx));
        assert_eq!(sniff(b"The magic is %PDF-1.7", "notes.txt"), Ok(Format::Text));
    }

    #[test]
    fn what_is_not_as_named_is_unsupported() {
        assert_eq!(reason(b"", "a.pdf"), Reason::Empty);
        assert_eq!(reason(b"hello", "a.pdf"), Reason::Unsupported);
        assert_eq!(reason(b"%PDF-1.7\n", "a.docx"), Reason::Unsupported);
        assert_eq!(reason(b"%PDF-1.7\n", "a.txt"), Reason::Unsupported);
        assert_eq!(reason(b"PK\x03\x04xl/workbook.xml", "a.docx"), Reason::Unsupported);
        assert_eq!(reason(b"\0\0\0\0", "a.txt"), Reason::Unsupported);
    }

    #[test]
    fn a_locked_office_file_needs_its_password() {
        let bytes = [COMPOUND_FILE, &[0; 512], ENCRYPTED_PACKAGE].concat();
        assert_eq!(reason(&bytes, "a.docx"), Reason::Encrypted);
        assert_eq!(reason(COMPOUND_FILE, "a.docx"), Reason::Unsupported);
    }
}
