//! Headings, tables and running headers against a Markdown truth.

use std::collections::{HashMap, HashSet};

use domain::documents::pages::{BlockKind, ExtractedDocument, Page};
use domain::text::byte_range;

/// A longer text at a page's edge is no running header.
const HEADER_CHARACTERS_MAX: usize = 160;

/// Headings found of those there are, true of those found, and neighbours whose levels stand to each other as they should.
pub struct Headings {
    pub recall: f64,
    pub precision: f64,
    pub order: Option<f64>,
}

/// `None` if the truth has no headings.
pub fn headings(truth: &str, document: &ExtractedDocument) -> Option<Headings> {
    let expected: Vec<(usize, String)> = truth
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| (line.bytes().take_while(|byte| *byte == b'#').count(), letters(line)))
        .collect();
    if expected.is_empty() {
        return None;
    }
    let found: Vec<(usize, String)> = blocks(document)
        .filter_map(|(kind, text)| match kind {
            BlockKind::Heading { level } => Some((level.into(), letters(text))),
            _ => None,
        })
        .collect();
    // The same heading may come several times: each is found once.
    let mut left: HashMap<&str, usize> = HashMap::new();
    for (_, text) in &found {
        *left.entry(text).or_default() += 1;
    }
    let mut hits = 0;
    for (_, text) in &expected {
        if let Some(count) = left.get_mut(text.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            hits += 1;
        }
    }
    Some(Headings {
        recall: share(hits, expected.len()),
        precision: if found.is_empty() { 0.0 } else { share(hits, found.len()) },
        order: order(&expected, &found),
    })
}

/// Of the neighbours among the headings that were found, how many go deeper, up, or stay as in the truth.
fn order(expected: &[(usize, String)], found: &[(usize, String)]) -> Option<f64> {
    let mut from = 0;
    let mut pairs = Vec::new();
    for (level, text) in expected {
        if let Some(at) = found[from..].iter().position(|(_, other)| other == text) {
            pairs.push((*level, found[from + at].0));
            from += at + 1;
        }
    }
    let neighbours = pairs.windows(2).filter(|pair| pair[0].0.cmp(&pair[1].0) == pair[0].1.cmp(&pair[1].1));
    (pairs.len() > 1).then(|| share(neighbours.count(), pairs.len() - 1))
}

/// Rows of which every cell is as in the truth. `None` if the truth has no table.
pub fn rows(truth: &str, document: &ExtractedDocument) -> Option<f64> {
    let is_row = |line: &&str| line.starts_with('|') && line.chars().any(char::is_alphanumeric);
    let expected: Vec<Vec<String>> = truth.lines().filter(is_row).map(cells).collect();
    if expected.is_empty() {
        return None;
    }
    let found: HashSet<Vec<String>> =
        blocks(document).filter(|(kind, _)| matches!(kind, BlockKind::TableRow { .. })).map(|(_, text)| cells(text)).collect();
    Some(share(expected.iter().filter(|row| found.contains(*row)).count(), expected.len()))
}

/// A row's cells, single-spaced; empty ones at the end do not count.
fn cells(row: &str) -> Vec<String> {
    let row = row.replace('\\', "");
    let row = row.trim().trim_matches('|');
    let mut cells: Vec<String> = row.split('|').map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    while cells.last().is_some_and(String::is_empty) {
        cells.pop();
    }
    cells
}

/// Pages at whose first or last two blocks something stands that the truth does not have, and that comes again, numbers
/// aside, on another page.
pub fn headers_left(truth: &str, document: &ExtractedDocument) -> usize {
    let truth = letters(truth);
    let left = |page: &Page| -> HashSet<String> {
        let edge = page.blocks.iter().take(2).chain(page.blocks.iter().rev().take(2));
        edge.map(|block| text_of(page, block.start, block.end))
            .filter(|text| text.chars().count() <= HEADER_CHARACTERS_MAX)
            .map(letters)
            .filter(|text| !truth.contains(text))
            .map(|text| text.replace(|character: char| character.is_ascii_digit(), ""))
            .collect()
    };
    let left: Vec<HashSet<String>> = document.pages.iter().map(left).collect();
    let again = |text: &String| left.iter().filter(|other| other.contains(text)).count() > 1;
    left.iter().filter(|page| page.iter().any(again)).count()
}

fn blocks(document: &ExtractedDocument) -> impl Iterator<Item = (BlockKind, &str)> {
    document.pages.iter().flat_map(|page| page.blocks.iter().map(|block| (block.kind, text_of(page, block.start, block.end))))
}

fn text_of(page: &Page, start: usize, end: usize) -> &str {
    byte_range(&page.text, &(start..end)).map_or("", |bytes| &page.text[bytes])
}

/// Letters and digits in lower case: spaces and punctuation are the text measure's part.
fn letters(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::documents::pages::{Block, Page};

    fn document(blocks: &[(BlockKind, &str)]) -> ExtractedDocument {
        let mut page = Page::empty(1);
        for (kind, text) in blocks {
            let start = page.text.chars().count();
            page.text.push_str(text);
            page.blocks.push(Block::new(*kind, start, page.text.chars().count()));
        }
        ExtractedDocument { title: None, pages: vec![page] }
    }

    #[test]
    fn headings_count_once_and_levels_count_by_their_neighbours() {
        let heading = |level| BlockKind::Heading { level };
        let read =
            document(&[(heading(2), "A"), (heading(3), "B"), (heading(3), "C"), (heading(1), "X"), (BlockKind::Paragraph, "D")]);
        let found = headings("# A\n## B\n# C\n## D", &read).expect("the truth has headings");
        assert_eq!((found.recall, found.precision, found.order), (0.75, 0.75, Some(0.5)));
        assert!(headings("no headings", &read).is_none());
    }

    #[test]
    fn a_row_is_right_if_every_cell_is() {
        let row = BlockKind::TableRow { header: false };
        let read = document(&[(row, "a | | c"), (row, "d e | f")]);
        assert_eq!(rows("| a |  | c |\n|---|---|---|\n| d | e f | |", &read), Some(0.5));
    }

    #[test]
    fn what_the_truth_does_not_have_is_left_over() {
        let mut read = document(&[(BlockKind::Paragraph, "Page 3 of 9"), (BlockKind::Paragraph, "Body.")]);
        assert_eq!(headers_left("Body.", &read), 0);
        read.pages.push(document(&[(BlockKind::Paragraph, "Page 4 of 9")]).pages.remove(0));
        assert_eq!(headers_left("Body.", &read), 2);
        assert_eq!(headers_left("Page 3 of 9. Body. Page 4 of 9.", &read), 0);
    }
}
