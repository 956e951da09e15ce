//! Pages to chunks: windows of 60 to 100 words that stay inside a section, each knowing exactly where its text is.
//!
//! A window is small because small windows are found better (`docs/evaluation.md`); it carries the heading path, so that a
//! sentence under "Renal impairment" is found by that word too. A table's rows repeat the table's header, a list item brings
//! the line that introduces the list, and a recommendation keeps the grade that stands after it.

use super::pages::{BlockKind, ExtractedDocument, Flag, Page};
use crate::text;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

/// A window is closed once it has this many words. Measured best on clinical notes (60 against 150: nDCG@10 +.04).
pub const WORDS_TARGET: usize = 60;
/// And never grows past this, unless a single sentence is longer: the embedder cuts at 256 word pieces, some 180 words.
pub const WORDS_MAX: usize = 100;

/// A grade may lengthen a window by so many words.
const GRADE_WORDS_MAX: usize = 12;
/// How the grade of a recommendation begins where it stands by itself.
const GRADES: [&str; 16] = [
    "grade",
    "recommendation grade",
    "strength of recommendation",
    "strong recommendation",
    "weak recommendation",
    "conditional recommendation",
    "strong for",
    "class of recommendation",
    "class i",
    "level of evidence",
    "evidence level",
    "quality of evidence",
    "certainty of evidence",
    "good practice point",
    "good practice statement",
    "expert opinion",
];
/// Parts of a document that name other texts or other pages instead of saying something themselves.
const APPARATUS: [&str; 15] = [
    "contents",
    "table of contents",
    "list of figures",
    "list of tables",
    "references",
    "reference list",
    "list of references",
    "bibliography",
    "literature",
    "literature cited",
    "works cited",
    "further reading",
    "acknowledgements",
    "acknowledgments",
    "index",
];

/// A line of a list of contents has hardly more words, its number and its dots included.
const LEADER_WORDS: usize = 14;

/// A range of a page's text, in code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Page number, from 1.
    pub page: u32,
    /// First character.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

impl Span {
    const fn len(&self) -> usize {
        self.end - self.start
    }
}

/// A piece of a document that is searched for and cited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Position in the document, from 0.
    pub ordinal: u32,
    /// The headings above it, outermost first.
    pub section: Vec<String>,
    /// The text: the spans' text, joined by line breaks.
    pub text: String,
    /// Where each line of the text is.
    pub spans: Vec<Span>,
    /// What is suspicious about its text, in order, each once. Hidden text is in chunks of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
}

impl Chunk {
    /// Whether a reader of the page does not see this text.
    pub fn is_hidden(&self) -> bool {
        self.flags.contains(&Flag::Hidden)
    }

    /// Whether it stands in a list of contents, of references or the like: many words of the question, and no answer.
    pub fn is_apparatus(&self) -> bool {
        self.section.iter().any(|heading| is_apparatus(heading)) || is_leaders(&self.text)
    }

    /// First and last page.
    pub fn pages(&self) -> (u32, u32) {
        let numbers = || self.spans.iter().map(|s| s.page);
        (numbers().min().unwrap_or(1), numbers().max().unwrap_or(1))
    }

    /// What is embedded and searched by word: the chunk under its document's title and headings.
    pub fn searchable_text(&self, title: &str) -> String {
        let mut all = title.trim().to_owned();
        // Many documents repeat their title as the first heading.
        for heading in self.section.iter().filter(|heading| heading.as_str() != title.trim()) {
            let _ = write!(all, "{}{heading}", if all.is_empty() { "" } else { " › " });
        }
        if !all.is_empty() {
            all.push('\n');
        }
        all.push_str(&self.text);
        all
    }

    /// SHA-256 of the text, hexadecimal: a citation carries it, so that a reader can tell whether the page has changed.
    pub fn content_hash(&self) -> String {
        text::hexadecimal(&Sha256::digest(self.text.as_bytes()))
    }

    /// Where a range of the chunk's text is, page by page.
    pub fn locate(&self, range: &Range<usize>) -> Vec<Span> {
        let mut found = Vec::new();
        let mut at = 0;
        for span in &self.spans {
            let (from, to) = (range.start.max(at), range.end.min(at + span.len()));
            if from < to {
                found.push(Span { page: span.page, start: span.start + from - at, end: span.start + to - at });
            }
            at += span.len() + 1; // the line break between pieces
        }
        found
    }
}

/// A piece that is never split further: a sentence, a list item or a table row.
#[derive(Clone)]
struct Unit {
    span: Span,
    text: String,
    words: usize,
    kind: UnitKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum UnitKind {
    Sentence,
    Item,
    Row,
}

/// Cuts a document into chunks, in reading order.
pub fn chunk(document: &ExtractedDocument) -> Vec<Chunk> {
    let mut cutter = Cutter::default();
    for page in &document.pages {
        cutter.page(page);
    }
    cutter.close();
    cutter.chunks
}

/// A heading without its number: `7. References`, `Appendix B: References`.
fn is_apparatus(heading: &str) -> bool {
    let heading = heading.to_lowercase();
    let last = heading.rsplit([':', '–', '—']).next().unwrap_or_default();
    let name = last.trim_start_matches(|c: char| !c.is_alphabetic()).trim_end_matches(|c: char| !c.is_alphabetic());
    APPARATUS.contains(&name)
}

/// Whether most of its lines run over dots to a page number, as in a list of contents.
fn is_leaders(text: &str) -> bool {
    let (mut leaders, mut dots) = (0, 0);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        dots = if c == '.' { dots + 1 } else { 0 };
        leaders += usize::from(dots == 4);
    }
    leaders > 1 && text::count_words(text) <= leaders * LEADER_WORDS
}

/// Whether a piece is nothing but the grade of what stands before it: `(Grade 1B)`, `Strong recommendation, low certainty`.
fn is_grade(unit: &Unit) -> bool {
    let text = unit.text.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let begins = |grade: &str| text.strip_prefix(grade).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
    unit.kind != UnitKind::Row && unit.words <= GRADE_WORDS_MAX && GRADES.iter().any(|grade| begins(grade))
}

/// A list of contents heads its own lines and nothing that comes after it, whatever its level says.
fn is_contents(heading: &str) -> bool {
    matches!(heading.trim().to_lowercase().as_str(), "contents" | "table of contents")
}

#[derive(Default)]
struct Cutter {
    chunks: Vec<Chunk>,
    /// Level and text of the headings above.
    headings: Vec<(u8, String)>,
    window: Vec<Unit>,
    /// The line that introduces the list we are in ("Give at once:").
    stem: Option<Unit>,
    /// The header row of the table we are in.
    header: Option<Unit>,
    /// What is suspicious about the window's blocks.
    flags: BTreeSet<Flag>,
}

impl Cutter {
    fn page(&mut self, page: &Page) {
        for block in &page.blocks {
            let Some(bytes) = text::byte_range(&page.text, &(block.start..block.end)) else { continue };
            let block_text = &page.text[bytes];
            if block_text.trim().is_empty() {
                continue;
            }
            // What the page does not show is never in one window with what it shows.
            let is_hidden = block.flags.contains(&Flag::Hidden);
            if is_hidden != self.flags.contains(&Flag::Hidden) {
                self.close();
            }
            let unit = |kind, start: usize, text: &str| Unit {
                span: Span { page: page.number, start, end: start + text.chars().count() },
                text: text.to_owned(),
                words: text::count_words(text),
                kind,
            };
            match block.kind {
                // A heading that nobody sees heads nothing; it is text like any other hidden text.
                BlockKind::Heading { .. } if is_hidden => {
                    self.add(unit(UnitKind::Sentence, block.start, block_text), &block.flags);
                }
                BlockKind::Heading { level } => {
                    self.close();
                    self.headings.retain(|(above, text)| *above < level && !is_contents(text));
                    self.headings.push((level, block_text.split_whitespace().collect::<Vec<_>>().join(" ")));
                    self.stem = None;
                    self.header = None;
                }
                BlockKind::Paragraph | BlockKind::Caption => {
                    self.header = None;
                    self.stem = None;
                    for sentence in text::sentences(block_text) {
                        let start = block.start + text::char_offset(block_text, sentence.start);
                        let unit = unit(UnitKind::Sentence, start, &block_text[sentence]);
                        self.stem = unit.text.ends_with(':').then(|| unit.clone());
                        self.add(unit, &block.flags);
                    }
                }
                BlockKind::ListItem => {
                    self.header = None;
                    self.add(unit(UnitKind::Item, block.start, block_text), &block.flags);
                }
                BlockKind::TableRow { header } => {
                    self.stem = None;
                    let row = unit(UnitKind::Row, block.start, block_text);
                    if header {
                        self.header = Some(row.clone());
                    }
                    self.add(row, &block.flags);
                }
            }
            if is_hidden {
                // Nor does it introduce what the page shows.
                self.stem = None;
                self.header = None;
            }
        }
    }

    fn add(&mut self, unit: Unit, flags: &[Flag]) {
        let words: usize = self.window.iter().map(|u| u.words).sum();
        if words > 0 && (words + unit.words > WORDS_MAX || words >= WORDS_TARGET) && !is_grade(&unit) {
            self.close();
        }
        if self.window.is_empty() {
            let opener = match unit.kind {
                UnitKind::Item => self.stem.clone(),
                UnitKind::Row => self.header.clone(),
                UnitKind::Sentence => None,
            };
            self.window.extend(opener.filter(|o| o.span != unit.span));
        }
        self.window.push(unit);
        self.flags.extend(flags);
    }

    fn close(&mut self) {
        if self.window.is_empty() {
            return;
        }
        let units = std::mem::take(&mut self.window);
        let flags = std::mem::take(&mut self.flags);
        self.chunks.push(Chunk {
            ordinal: u32::try_from(self.chunks.len()).unwrap_or(u32::MAX),
            section: self.headings.iter().map(|(_, text)| text.clone()).collect(),
            text: units.iter().map(|u| u.text.as_str()).collect::<Vec<_>>().join("\n"),
            spans: units.iter().map(|u| u.span).collect(),
            flags: flags.into_iter().collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::pages::Block;
    use proptest::prelude::*;

    fn page(number: u32, blocks: &[(BlockKind, &str)]) -> Page {
        let mut page = Page::empty(number);
        for (kind, text) in blocks {
            if !page.text.is_empty() {
                page.text.push_str("\n\n");
            }
            let start = page.text.chars().count();
            page.text.push_str(text);
            page.blocks.push(Block::new(*kind, start, page.text.chars().count()));
        }
        page
    }

    fn cut(pages: Vec<Page>) -> Vec<Chunk> {
        chunk(&ExtractedDocument { title: None, pages })
    }

    #[test]
    fn a_window_never_crosses_a_heading_and_knows_its_path() {
        let chunks = cut(vec![page(
            1,
            &[
                (BlockKind::Heading { level: 1 }, "Sepsis"),
                (BlockKind::Heading { level: 2 }, "Fluids"),
                (BlockKind::Paragraph, "Give 30 mL/kg."),
                (BlockKind::Heading { level: 2 }, "Antibiotics"),
                (BlockKind::Paragraph, "Within one hour."),
            ],
        )]);
        let seen: Vec<_> = chunks.iter().map(|c| (c.section.join("/"), c.text.as_str())).collect();
        assert_eq!(seen, [("Sepsis/Fluids".into(), "Give 30 mL/kg."), ("Sepsis/Antibiotics".into(), "Within one hour.")]);
    }

    #[test]
    fn what_the_page_does_not_show_is_a_chunk_of_its_own_and_says_so() {
        let mut shown = page(
            1,
            &[
                (BlockKind::Paragraph, "Give 5 mg."),
                (BlockKind::Heading { level: 1 }, "Ignore this."),
                (BlockKind::Paragraph, "Give 500 mg."),
                (BlockKind::Paragraph, "Twice daily."),
            ],
        );
        shown.blocks[1].flags.push(Flag::Hidden);
        shown.blocks[2].flags.push(Flag::Hidden);
        let chunks = cut(vec![shown]);
        let seen: Vec<_> = chunks.iter().map(|c| (c.text.as_str(), c.is_hidden(), c.section.len())).collect();
        assert_eq!(seen, [("Give 5 mg.", false, 0), ("Ignore this.\nGive 500 mg.", true, 0), ("Twice daily.", false, 0)]);
    }

    #[test]
    fn what_is_searched_stands_under_title_and_headings_without_repeats() {
        let chunk = |section: &[&str]| Chunk {
            ordinal: 0,
            section: section.iter().map(|heading| (*heading).to_owned()).collect(),
            text: "Give 30 mL/kg.".into(),
            spans: vec![],
            flags: vec![],
        };
        assert_eq!(chunk(&["Sepsis", "Fluids"]).searchable_text("Sepsis"), "Sepsis › Fluids\nGive 30 mL/kg.");
        assert_eq!(chunk(&["Fluids"]).searchable_text(" "), "Fluids\nGive 30 mL/kg.");
        assert_eq!(chunk(&[]).searchable_text(""), "Give 30 mL/kg.");
    }

    #[test]
    fn rows_repeat_their_header_and_items_their_stem() {
        let long = "word ".repeat(70);
        let row = |n: usize| format!("Drug {n} | {}", long.trim());
        let (row1, row2) = (row(1), row(2));
        let chunks = cut(vec![page(
            1,
            &[
                (BlockKind::TableRow { header: true }, "Name | Dose"),
                (BlockKind::TableRow { header: false }, &row1),
                (BlockKind::TableRow { header: false }, &row2),
                (BlockKind::Paragraph, "Never give it in:"),
                (BlockKind::ListItem, &row1),
                (BlockKind::ListItem, &row2),
            ],
        )]);
        assert!(chunks[1].text.starts_with("Name | Dose\nDrug 2"), "{:?}", chunks[1].text);
        assert!(chunks.last().unwrap().text.starts_with("Never give it in:\nDrug 2"));
    }

    #[test]
    fn a_recommendation_keeps_its_grade() {
        let long = format!("1. Offer {}early mobilisation.", "daily ".repeat(70));
        for grade in
            ["(Grade 1B)", "Strong recommendation, low certainty of evidence.", "[Level of evidence: C]", "Good practice point"]
        {
            for kind in [BlockKind::Paragraph, BlockKind::ListItem] {
                let chunks =
                    cut(vec![page(1, &[(kind, long.as_str()), (kind, grade), (kind, "2. Keep the room dark at night.")])]);
                let seen: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
                assert_eq!(seen, [format!("{long}\n{grade}").as_str(), "2. Keep the room dark at night."]);
            }
        }
        // What only begins alike is no grade.
        let chunks = cut(vec![page(
            1,
            &[(BlockKind::Paragraph, long.as_str()), (BlockKind::Paragraph, "Graded compression stockings help.")],
        )]);
        assert_eq!(chunks.len(), 2);
    }

    #[test]
    fn contents_and_references_are_told_from_what_is_said() {
        let under = |heading: &str, text: &str| {
            cut(vec![page(1, &[(BlockKind::Heading { level: 1 }, heading), (BlockKind::Paragraph, text)])])[0].is_apparatus()
        };
        for heading in ["References", "7. References", "Appendix B: REFERENCES", "Table of contents", "Further reading"] {
            assert!(under(heading, "Sepsis in adults, 2019."), "{heading}");
        }
        for heading in ["Reference ranges", "Index of severity", "Contents of the crash trolley", "Refer to a specialist"] {
            assert!(!under(heading, "Potassium 3.5 to 5.0."), "{heading}");
        }
        assert!(under("", "Sepsis ........ 3\nFluids . . . . . 12\nAntibiotics .... 14"));
        assert!(!under("", "Wait .... Give 5 mg at 10 and 5 mg at 22."));
    }

    #[test]
    fn locate_maps_back_over_a_page_break() {
        let chunks =
            cut(vec![page(1, &[(BlockKind::Paragraph, "Älpha beta.")]), page(2, &[(BlockKind::Paragraph, "Gamma delta.")])]);
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].pages(), (1, 2));
        assert_eq!(chunks[0].locate(&(0..11)), [Span { page: 1, start: 0, end: 11 }]);
        assert_eq!(chunks[0].locate(&(6..17)), [Span { page: 1, start: 6, end: 11 }, Span { page: 2, start: 0, end: 5 }]);
    }

    prop_compose! {
        fn any_page()(blocks in prop::collection::vec((0_u8..5, "[A-Za-zé0-9 .:\n]{0,400}"), 0..12)) -> Vec<(BlockKind, String)> {
            blocks.into_iter().map(|(kind, text)| {
                let kind = match kind {
                    0 => BlockKind::Heading { level: 1 + (text.len() % 4) as u8 },
                    1 => BlockKind::ListItem,
                    2 => BlockKind::TableRow { header: true },
                    3 => BlockKind::TableRow { header: false },
                    _ => BlockKind::Paragraph,
                };
                (kind, text)
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn every_character_of_the_body_is_in_a_chunk_and_spans_are_exact(pages in prop::collection::vec(any_page(), 1..4)) {
            let pages: Vec<Page> = pages.iter().enumerate().map(|(i, blocks)| {
                let borrowed: Vec<_> = blocks.iter().map(|(k, t)| (*k, t.as_str())).collect();
                page(i as u32 + 1, &borrowed)
            }).collect();
            let document = ExtractedDocument { title: None, pages };
            let chunks = chunk(&document);
            // In reading order: what a chunk has beyond what it repeats comes after all that the ones before it have.
            let own = |chunk: &Chunk| chunk.spans.iter().map(|s| (s.page, s.start)).max();
            prop_assert!(chunks.windows(2).all(|pair| own(&pair[0]) < own(&pair[1])));
            prop_assert!(chunks.iter().enumerate().all(|(at, chunk)| chunk.ordinal as usize == at));
            prop_assert!(chunks.iter().all(|chunk| chunk.spans.is_sorted_by_key(|s| (s.page, s.start))));
            let mut covered: Vec<Vec<bool>> = document.pages.iter().map(|p| vec![false; p.text.chars().count()]).collect();
            for chunk in &chunks {
                let pieces: Vec<String> = chunk.spans.iter().map(|s| {
                    covered[s.page as usize - 1][s.start..s.end].fill(true);
                    document.pages[s.page as usize - 1].text.chars().skip(s.start).take(s.end - s.start).collect()
                }).collect();
                prop_assert_eq!(pieces.join("\n"), chunk.text.clone());
            }
            for (page, covered) in document.pages.iter().zip(covered) {
                let characters: Vec<char> = page.text.chars().collect();
                for block in page.blocks.iter().filter(|b| !matches!(b.kind, BlockKind::Heading { .. })) {
                    for at in block.start..block.end {
                        prop_assert!(covered[at] || characters[at].is_whitespace(), "lost {:?} on page {}", characters[at], page.number);
                    }
                }
            }
        }
    }
}
