//! No bytes make a parser panic through `extract`, and blocks are always where they say they are.

mod support;

use domain::documents::pages::{ExtractedDocument, Reason};
use extract::{Detail, ExtractError, Limits, extract};
use proptest::prelude::*;

/// Small bounds, so that a case that unfolds ends early.
fn limits() -> Limits {
    Limits { pages_max: 50, text_bytes_max: 1 << 20, blocks_max: 10_000, ..Limits::default() }
}

fn check(extracted: Result<ExtractedDocument, ExtractError>) {
    let document = match extracted {
        Ok(document) => document,
        Err(error) => {
            assert_ne!(error.reason, Reason::Internal);
            assert_ne!(error.detail, Detail::Panicked);
            return;
        }
    };
    for (number, page) in (1..).zip(&document.pages) {
        assert_eq!(page.number, number);
        let characters: Vec<char> = page.text.chars().collect();
        let mut end = 0;
        for (at, block) in page.blocks.iter().enumerate() {
            let between: String = characters[end..block.start].iter().collect();
            assert_eq!(between, if at == 0 { "" } else { "\n\n" });
            assert!(block.start < block.end && block.end <= characters.len());
            assert!(!characters[block.start].is_whitespace() && !characters[block.end - 1].is_whitespace());
            end = block.end;
        }
        assert_eq!(end, characters.len());
    }
}

/// Text made of what the readers of Markdown, HTML and CSV look for.
fn marks() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n"),
        Just("\n\n"),
        Just("# "),
        Just("## "),
        Just("- "),
        Just("1. "),
        Just("| a | b |\n"),
        Just("|---|---|\n"),
        Just("```\n"),
        Just("**"),
        Just("_"),
        Just("["),
        Just("]("),
        Just(")"),
        Just("!["),
        Just("\\"),
        Just("&#x"),
        Just(";"),
        Just("<!--"),
        Just("-->"),
        Just("---\n"),
        Just("> "),
        Just("<table>"),
        Just("<tr><td>"),
        Just("</table>"),
        Just("<b>"),
        Just("\""),
        Just(","),
        Just("\u{c}"),
        Just("\u{1e}"),
        Just("\u{1f}"),
        Just("e\u{301}"),
        Just("ﬁ"),
        Just("-\n"),
        Just("x"),
        Just("Größe "),
        Just("\u{200b}"),
        Just("\t"),
        Just("|"),
        Just("==="),
        Just("~~"),
        Just("`"),
        Just("\r\n"),
        Just("• "),
    ];
    prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), name in prop::sample::select(&[
        "a.pdf", "a.docx", "a.html", "a.md", "a.txt", "a.csv", "a",
    ][..])) {
        check(extract(&bytes, name, &limits()));
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), name in prop::sample::select(&["a.html", "a.md", "a.txt", "a.csv"][..])) {
        check(extract(text.as_bytes(), name, &limits()));
    }

    #[test]
    fn arbitrary_marks_never_panic(text in marks(), name in prop::sample::select(&["a.html", "a.md", "a.txt", "a.csv"][..])) {
        check(extract(text.as_bytes(), name, &limits()));
    }

    #[test]
    fn a_damaged_pdf_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = support::of_pages(&[&["First page", "with two lines"], &["Second page"], &["Third"]]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check(extract(&bytes, "a.pdf", &limits()));
    }

    #[test]
    fn arbitrary_content_streams_never_panic(content in "[ -~\\n]{0,400}") {
        check(extract(&support::of_contents(&[format!("BT /F 12 Tf 50 700 Td {content} ET")]), "a.pdf", &limits()));
    }

    #[test]
    fn a_word_in_a_pdf_is_found_again(words in prop::collection::vec("[A-Z][a-z]{3,9}", 5..30)) {
        let line = words.join(" ");
        let document = extract(&support::of_pages(&[&[&line]]), "a.pdf", &limits()).expect("a valid file");
        prop_assert_eq!(&document.pages[0].text, &line);
    }
}
