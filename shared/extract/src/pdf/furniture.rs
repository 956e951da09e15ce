//! Running headers and footers: what a page repeats from its neighbours at its edges is not part of the text.

use std::collections::HashMap;

use domain::documents::pages::BlockKind;

use super::PageDraft;
use crate::draft::Draft;

/// A text at the edge of fewer pages may be chance.
const PAGES_MIN: usize = 3;
/// How many blocks at each edge are looked at: a header of two lines, a footer of two.
const EDGE_BLOCKS: usize = 2;
/// A longer text is no running header.
const CHARACTERS_MAX: usize = 160;

/// Takes running headers, footers and page numbers away: the same text, numbers aside, within the first or last blocks
/// of three pages and of half of all pages.
pub(super) fn remove(pages: &mut [PageDraft]) {
    let mut seen: HashMap<(Edge, String), usize> = HashMap::new();
    for page in pages.iter() {
        let mut keys: Vec<_> = edges(&page.drafts).map(|(edge, _, key)| (edge, key)).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            *seen.entry(key).or_default() += 1;
        }
    }
    let enough = PAGES_MIN.max(pages.len().div_ceil(2));
    seen.retain(|_, count| *count >= enough);
    for page in pages {
        let mut doomed: Vec<usize> =
            edges(&page.drafts).filter(|(edge, _, key)| seen.contains_key(&(*edge, key.clone()))).map(|(_, at, _)| at).collect();
        doomed.sort_unstable();
        doomed.dedup();
        for at in doomed.into_iter().rev() {
            page.drafts.remove(at);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Edge {
    Top,
    Bottom,
}

/// The blocks at the edges of a page, with what they say apart from numbers.
fn edges(drafts: &[Draft]) -> impl Iterator<Item = (Edge, usize, String)> + '_ {
    let top = (0..drafts.len().min(EDGE_BLOCKS)).map(|at| (Edge::Top, at));
    let bottom = (drafts.len().saturating_sub(EDGE_BLOCKS)..drafts.len()).map(|at| (Edge::Bottom, at));
    top.chain(bottom).filter_map(|(edge, at)| Some((edge, at, key(&drafts[at])?)))
}

/// The text with every number replaced. Rows of tables repeat for other reasons.
fn key(draft: &Draft) -> Option<String> {
    if matches!(draft.kind, BlockKind::TableRow { .. }) || draft.text.chars().count() > CHARACTERS_MAX {
        return None;
    }
    let mut key = String::with_capacity(draft.text.len());
    for character in draft.text.chars().flat_map(char::to_lowercase) {
        let character = if character.is_ascii_digit() { '#' } else { character };
        let is_same_number = character == '#' && key.ends_with('#');
        if !is_same_number && !character.is_whitespace() {
            key.push(character);
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(count: u32, drafts: impl Fn(u32) -> Vec<Draft>) -> Vec<PageDraft> {
        (1..=count).map(|number| PageDraft { number, drafts: drafts(number) }).collect()
    }

    fn texts(pages: &[PageDraft]) -> Vec<String> {
        pages.iter().map(|page| page.drafts.iter().map(|draft| draft.text.as_str()).collect::<Vec<_>>().join("/")).collect()
    }

    #[test]
    fn headers_footers_and_numbers_go() {
        let body = ["alpha", "beta", "gamma", "delta"];
        let mut read = pages(4, |number| {
            vec![
                Draft::paragraph("Asthma guideline"),
                Draft::paragraph(body[number as usize - 1]),
                Draft::paragraph(format!("Version 2.1, page {number} of 4")),
            ]
        });
        remove(&mut read);
        assert_eq!(texts(&read), body);
    }

    #[test]
    fn two_pages_and_table_rows_prove_nothing() {
        let mut two = pages(2, |_| vec![Draft::paragraph("same"), Draft::paragraph("same")]);
        remove(&mut two);
        assert_eq!(texts(&two), ["same/same"; 2]);
        let row = Draft { kind: BlockKind::TableRow { header: true }, text: "Drug | Dose".into() };
        let mut rows = pages(5, |_| vec![row.clone()]);
        remove(&mut rows);
        assert_eq!(texts(&rows), ["Drug | Dose"; 5]);
    }

    #[test]
    fn a_header_on_a_few_of_many_pages_stays() {
        let mut read = pages(10, |number| {
            vec![Draft::paragraph(if number <= 4 { "Chapter".to_owned() } else { "x".repeat(number as usize) })]
        });
        remove(&mut read);
        assert_eq!(read.iter().filter(|page| page.drafts.is_empty()).count(), 0);
    }
}
