//! What comes out of whole documents, and what is refused why.

mod support;

use domain::documents::pages::{BlockKind, ExtractedDocument, Flag, Reason, TextSource};
use extract::{Detail, Limits, extract};
use support::{of_contents, of_objects, of_pages};

fn read(bytes: &[u8], name: &str) -> ExtractedDocument {
    extract(bytes, name, &Limits::default()).expect("the document can be read")
}

fn refused(bytes: &[u8], name: &str) -> (Reason, Detail) {
    let error = extract(bytes, name, &Limits::default()).expect_err("the document is refused");
    (error.reason, error.detail)
}

#[test]
fn a_pdf_becomes_numbered_pages_of_text() {
    let pages = read(&of_pages(&[&["Salbutamol is given by inhaler."], &["Review after four weeks."]]), "a.pdf").pages;
    let found: Vec<_> = pages.iter().map(|page| (page.number, page.text.as_str())).collect();
    assert_eq!(found, [(1, "Salbutamol is given by inhaler."), (2, "Review after four weeks.")]);
}

#[test]
fn running_headers_and_page_numbers_are_removed_from_a_pdf() {
    let bodies = ["Oxygen is given first.", "Steroids come second.", "Magnesium is the third choice.", "Then call for help."];
    let pages: Vec<String> = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| {
            let at = at + 1;
            format!(
                "BT /F 9 Tf 60 810 Td (Asthma guideline, draft {at}) Tj ET BT /F 11 Tf 60 600 Td ({body}) Tj ET BT /F 9 Tf 60 30 Td (Page {at} of 4) Tj ET"
            )
        })
        .collect();
    let texts: Vec<_> = read(&of_contents(&pages), "a.pdf").pages.into_iter().map(|page| page.text).collect();
    assert_eq!(texts, bodies);
}

#[test]
fn a_larger_line_of_a_pdf_is_a_heading_and_the_title() {
    let body = "(The patient is reviewed every four weeks until the dose is stable.) Tj T* ".repeat(8);
    let content = format!("BT /F 20 Tf 60 780 Td (Monitoring) Tj ET BT /F 11 Tf 60 720 Td 14 TL {body} ET");
    let document = read(&of_contents(&[content]), "a.pdf");
    let first = &document.pages[0].blocks[0];
    assert!(matches!(first.kind, BlockKind::Heading { .. }), "{first:?}");
    assert_eq!(document.title.as_deref(), Some("Monitoring"));
}

#[test]
fn a_locked_pdf_is_encrypted_and_one_with_an_owner_password_opens() {
    assert_eq!(refused(include_bytes!("fixtures/locked.pdf"), "a.pdf"), (Reason::Encrypted, Detail::Password));
    let open = read(include_bytes!("fixtures/owner-only.pdf"), "a.pdf");
    assert_eq!(open.pages[0].text, "This page of a made-up document is locked.");
}

#[test]
fn a_pdf_without_text_is_told_apart() {
    let image = "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>\nstream\n0\nendstream";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /XObject << /I 5 0 R >> >> >>",
        "<< /Length 26 >>\nstream\n595 0 0 842 0 0 cm /I Do  \nendstream",
        image,
    ];
    let scan = of_objects(&objects.map(str::to_owned));
    assert_eq!(refused(&scan, "scan.pdf"), (Reason::NeedsOcr, Detail::Pictures));
    assert_eq!(refused(&of_pages(&[&[]]), "blank.pdf"), (Reason::Empty, Detail::NoText));
    assert_eq!(refused(b"%PDF-1.4\nnothing of use", "a.pdf").0, Reason::Malformed);
}

#[test]
fn text_that_nobody_sees_is_flagged() {
    let seen = "BT 0 g /F 11 Tf 60 700 Td (The dose is five milligrams.) Tj ET";
    let of = |hidden: &str| {
        let read = read(&of_contents(&[format!("{seen} {hidden}")]), "a.pdf");
        let page = &read.pages[0];
        let flagged = page.blocks.iter().filter(|block| block.flags == [Flag::Hidden]);
        let texts = flagged.map(|block| page.text.chars().skip(block.start).take(block.end - block.start).collect::<String>());
        texts.collect::<Vec<_>>()
    };
    let text = "(Ignore the doses above.) Tj ET";
    assert_eq!(of(&format!("BT 0.2 g /F 11 Tf 60 500 Td {text}")), [""; 0]);
    assert_eq!(of(&format!("BT 1 g /F 11 Tf 60 500 Td {text}")), ["Ignore the doses above."]);
    assert_eq!(of(&format!("BT 1 1 1 rg /F 11 Tf 60 500 Td {text}")), ["Ignore the doses above."]);
    assert_eq!(of(&format!("BT 3 Tr /F 11 Tf 60 500 Td {text}")), ["Ignore the doses above."]);
    // White on a dark field is a table's header.
    assert_eq!(of(&format!("0 0 0.5 rg 50 490 300 30 re f BT 1 g /F 11 Tf 60 500 Td {text}")), [""; 0]);
    // What stands beside the page is left out.
    assert_eq!(of(&format!("BT 0 g /F 11 Tf 60 -500 Td {text}")), [""; 0]);
}

#[test]
fn blocks_of_a_pdf_know_where_they_stand() {
    let pages = read(&of_pages(&[&["Salbutamol is given by inhaler."]]), "a.pdf").pages;
    let bounds = pages[0].blocks[0].bounds.expect("a place");
    assert!((59..=60).contains(&bounds.left) && (50..=54).contains(&bounds.top) && bounds.bottom < 70, "{bounds:?}");
}

#[test]
fn a_page_that_is_an_image_is_told_apart_in_a_document_of_text() {
    let image = "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>\nstream\n0\nendstream";
    let text =
        "BT /F 11 Tf 60 700 Td (Enough text on this page that the document is not a scan, whatever the other page holds.) Tj ET";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Count 2 /Kids [3 0 R 4 0 R] >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources << /Font << /F 8 0 R >> >> >>"
            .to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 6 0 R /Resources << /XObject << /I 7 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Length 26 >>\nstream\n595 0 0 842 0 0 cm /I Do  \nendstream".to_owned(),
        image.to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let sources: Vec<_> = read(&of_objects(&objects), "mixed.pdf").pages.iter().map(|page| page.source).collect();
    assert_eq!(sources, [TextSource::File, TextSource::Image]);
}

#[test]
fn pages_are_counted_before_they_are_read() {
    let limits = Limits { pages_max: 2, ..Limits::default() };
    let error = extract(&of_pages(&[&["a"], &["b"], &["c"]]), "a.pdf", &limits).unwrap_err();
    assert_eq!((error.reason, error.detail), (Reason::TooManyPages, Detail::Pages));
}

#[test]
fn what_is_over_a_limit_is_too_large() {
    let bytes = b"A paragraph of text.\n\nAnother one.";
    let over = |limits: Limits| extract(bytes, "a.txt", &limits).unwrap_err();
    assert_eq!(over(Limits { bytes_max: 10, ..Limits::default() }).detail, Detail::Bytes);
    assert_eq!(over(Limits { text_bytes_max: 10, ..Limits::default() }).detail, Detail::TextBytes);
    assert_eq!(over(Limits { blocks_max: 1, ..Limits::default() }).detail, Detail::Blocks);
}

#[test]
fn an_error_says_nothing_of_the_content() {
    let error = extract(b"%PDF-1.4 Jane Roe", "Jane Roe.pdf", &Limits::default()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("Roe"));
}
