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

/// Running headers stand within this share of the page's height from its upper or lower edge.
const BAND: f64 = 0.12;
/// Two places this many points apart are the same place.
const SAME_PLACE: i32 = 4;

/// Takes running headers, footers and page numbers away. Two witnesses: the same text, numbers aside, within the first or
/// last blocks of half of all pages; or at the same height in the margin of at least three pages, however many there are
/// (left and right pages, chapters).
pub(super) fn remove(pages: &mut [PageDraft]) {
    let mut at_edge: HashMap<(Edge, String), usize> = HashMap::new();
    let mut in_band: HashMap<(Edge, String), Vec<i32>> = HashMap::new();
    for page in pages.iter() {
        let mut keys: Vec<_> = edges(&page.drafts).map(|(edge, _, key)| (edge, key)).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            *at_edge.entry(key).or_default() += 1;
        }
        for (edge, _, key, top) in banded(page) {
            in_band.entry((edge, key)).or_default().push(top);
        }
    }
    let enough = PAGES_MIN.max(pages.len().div_ceil(2));
    at_edge.retain(|_, count| *count >= enough);
    for tops in in_band.values_mut() {
        tops.sort_unstable();
    }
    // A number alone in the margin of two pages is their number.
    let is_numbered =
        [Edge::Top, Edge::Bottom].map(|edge| in_band.get(&(edge, "#".to_owned())).is_some_and(|tops| tops.len() > 1));
    in_band.retain(|_, tops| tops.len() >= PAGES_MIN);
    for page in pages {
        let is_running = |edge: Edge, key: &String, top: i32| {
            let tops = in_band.get(&(edge, key.clone())).map_or(&[][..], Vec::as_slice);
            let from = tops.partition_point(|other| *other < top - SAME_PLACE);
            let to = tops.partition_point(|other| *other <= top + SAME_PLACE);
            to - from >= PAGES_MIN
        };
        let mut doomed: Vec<usize> = edges(&page.drafts)
            .filter(|(edge, _, key)| at_edge.contains_key(&(*edge, key.clone())))
            .map(|(_, at, _)| at)
            .collect();
        doomed.extend(banded(page).filter(|(edge, _, key, top)| is_running(*edge, key, *top)).map(|(_, at, _, _)| at));
        let is_number = |edge: Edge, at: usize, key: &str| {
            is_page_number(&page.drafts[at].text) || (key == "#" && is_numbered[usize::from(edge == Edge::Bottom)])
        };
        doomed.extend(banded(page).filter(|(edge, at, key, _)| is_number(*edge, *at, key)).map(|(_, at, _, _)| at));
        doomed.sort_unstable();
        doomed.dedup();
        for at in doomed.into_iter().rev() {
            page.drafts.remove(at);
        }
    }
}

/// The blocks in the margins, where places are known.
fn banded(page: &PageDraft) -> impl Iterator<Item = (Edge, usize, String, i32)> + '_ {
    let band = (f64::from(page.height) * BAND) as i32;
    page.drafts.iter().enumerate().filter_map(move |(at, draft)| {
        let bounds = draft.look.filter(|_| page.height > 0)?.bounds;
        let edge = if bounds.bottom <= band {
            Edge::Top
        } else if bounds.top >= page.height - band {
            Edge::Bottom
        } else {
            return None;
        };
        Some((edge, at, key(draft)?, bounds.top))
    })
}

/// `Page 3`, `3 of 12`, `p. 3/12`, `- iv -`: says where we are and nothing else. A bare number may be anything.
fn is_page_number(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let text = text.trim_matches(['-', '–', '—', '|', '[', ']', ' ']);
    let (is_named, rest) = match ["page", "seite", "p."].iter().find_map(|word| text.strip_prefix(word)) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let mut parts = rest.split([' ', '/']).filter(|part| !matches!(*part, "" | "of" | "von" | "from"));
    let is_number = |part: &str| part.len() <= 4 && (part.bytes().all(|byte| byte.is_ascii_digit()) || is_roman(part));
    let (first, second) = (parts.next(), parts.next());
    parts.next().is_none() && first.is_some_and(is_number) && second.map_or(is_named, is_number)
}

fn is_roman(word: &str) -> bool {
    (1..=7).contains(&word.len()) && word.bytes().all(|byte| matches!(byte, b'i' | b'v' | b'x' | b'l' | b'c'))
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

/// The text with every number replaced, at its ends Roman ones too. Rows of tables repeat for other reasons.
fn key(draft: &Draft) -> Option<String> {
    if matches!(draft.kind, BlockKind::TableRow { .. }) || draft.text.chars().count() > CHARACTERS_MAX {
        return None;
    }
    let text = draft.text.to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut key = String::with_capacity(text.len());
    for (at, word) in words.iter().enumerate() {
        if (at == 0 || at + 1 == words.len()) && is_roman(word) {
            key.push('#');
            continue;
        }
        for character in word.chars() {
            let character = if character.is_ascii_digit() { '#' } else { character };
            if character != '#' || !key.ends_with('#') {
                key.push(character);
            }
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::Look;
    use domain::documents::pages::BoundingBox;

    fn pages(count: u32, drafts: impl Fn(u32) -> Vec<Draft>) -> Vec<PageDraft> {
        (1..=count).map(|number| PageDraft::of(number, drafts(number))).collect()
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

    fn placed(text: impl Into<String>, top: i32) -> Draft {
        let bounds = BoundingBox { left: 50, top, right: 100, bottom: top + 10 };
        let look = Look { bounds, size: 90, is_bold: false, lines: 1, is_hidden: false };
        Draft { look: Some(look), ..Draft::paragraph(text) }
    }

    #[test]
    fn left_and_right_pages_and_chapters_have_headers_of_their_own() {
        let mut read: Vec<PageDraft> = (1..=12)
            .map(|number| {
                let header = if number % 2 == 0 { "Asthma in adults" } else { "Chapter on inhalers" };
                let roman = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"][number as usize - 1];
                // Never among the first or last two blocks, as in a file that draws its margins first.
                let mut drafts: Vec<Draft> =
                    (0..6).map(|at| placed(format!("body {roman}{}", "z".repeat(at + 1)), 300)).collect();
                drafts.insert(3, placed(header, 30));
                drafts.insert(3, placed(roman, 800));
                PageDraft { height: 842, ..PageDraft::of(number, drafts) }
            })
            .collect();
        remove(&mut read);
        assert!(read.iter().all(|page| page.drafts.len() == 6 && page.drafts.iter().all(|draft| draft.text.starts_with("body"))));
    }

    #[test]
    fn a_page_number_says_nothing_else() {
        for text in ["Page 3", "page 3 of 12", "3 of 12", "- 3 / 12 -", "Seite iv", "p. 7"] {
            assert!(is_page_number(text), "{text}");
        }
        for text in ["3", "1/2 tablet", "Page 3 of the guideline", "of 12", "12 mg of 3"] {
            assert!(!is_page_number(text), "{text}");
        }
    }

    #[test]
    fn two_pages_and_table_rows_prove_nothing() {
        let mut two = pages(2, |_| vec![Draft::paragraph("same"), Draft::paragraph("same")]);
        remove(&mut two);
        assert_eq!(texts(&two), ["same/same"; 2]);
        let row = Draft::row(true, "Drug | Dose");
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
