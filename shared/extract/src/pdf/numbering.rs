//! What the numbers in headings say: where two headings were read as one, and how deep a heading is.

use domain::documents::pages::BlockKind;

use super::PageDraft;
use crate::draft::Draft;

/// Fewer numbered headings say nothing about a document's levels.
const NUMBERED_MIN: usize = 3;

/// The number that a text begins with: `3.2.1 Dose` has the parts 3, 2, 1 and a title.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub parts: Vec<u16>,
    /// Whether a word with a capital follows.
    pub has_title: bool,
}

/// Reads the number in front of a text. Three digits a part at most: `2024 Update` is a year.
pub(super) fn number(text: &str) -> Option<Number> {
    let (word, title) = text.split_once(' ')?;
    let word = word.strip_suffix(['.', ')']).unwrap_or(word);
    let part = |part: &str| {
        let is_number = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| is_number)
    };
    let parts = word.split('.').map(part).collect::<Option<Vec<u16>>>()?;
    Some(Number { parts, has_title: title.trim_start().chars().next().is_some_and(char::is_uppercase) })
}

/// Parts headings that stand under each other without text between, which the parser reads as one.
pub(super) fn part(pages: &mut [PageDraft]) {
    for page in pages {
        let drafts = std::mem::take(&mut page.drafts);
        for draft in drafts {
            let BlockKind::Heading { level } = draft.kind else {
                page.drafts.push(draft);
                continue;
            };
            let look = draft.look;
            let heading = |text| Draft { look, ..Draft::heading(level, text) };
            page.drafts.extend(parted(&draft.text).into_iter().map(heading));
        }
    }
}

/// A heading ends where one numbered below it begins: `2 Assessment 2.1 History`. A number without dots is only believed
/// when the next one continues it: `Asthma 1 Scope 1.1 Aims`, but not `Type 2 Diabetes`.
fn parted(text: &str) -> Vec<&str> {
    let starts = text.match_indices(' ').map(|(at, _)| at + 1);
    let mut numbers: Vec<(usize, Number)> =
        std::iter::once(0).chain(starts).filter_map(|at| Some((at, number(&text[at..])?))).collect();
    numbers.retain(|(_, number)| number.has_title);
    let is_below =
        |above: &Number, below: &Number| below.parts.len() == above.parts.len() + 1 && below.parts.starts_with(&above.parts);
    let mut cuts: Vec<usize> = Vec::new();
    for pair in numbers.windows(2) {
        let [(above_at, above), (below_at, below)] = pair else {
            continue;
        };
        if is_below(above, below) {
            cuts.extend([*above_at, *below_at]);
        }
    }
    cuts.dedup();
    let mut parts = Vec::new();
    let mut from = 0;
    for cut in cuts.into_iter().chain([text.len()]) {
        let part = text[from..cut].trim();
        if !part.is_empty() {
            parts.push(part);
        }
        from = cut;
    }
    parts
}

/// Gives numbered headings the level of their number, below the document's title if there is one.
pub(super) fn settle(pages: &mut [PageDraft]) {
    let depth = |draft: &Draft| {
        let number = number(&draft.text).filter(|number| number.has_title)?;
        matches!(draft.kind, BlockKind::Heading { .. }).then_some(number.parts.len() as u8)
    };
    let drafts = || pages.iter().flat_map(|page| &page.drafts);
    if drafts().filter_map(depth).count() < NUMBERED_MIN {
        return;
    }
    let first = drafts().find(|draft| matches!(draft.kind, BlockKind::Heading { .. }));
    let below_title = u8::from(first.is_some_and(|first| depth(first).is_none()));
    for draft in pages.iter_mut().flat_map(|page| &mut page.drafts) {
        if let Some(depth) = depth(draft) {
            draft.kind = BlockKind::Heading { level: depth.saturating_add(below_title).clamp(1, 6) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_years_and_doses_are_not() {
        assert_eq!(number("3.2. Dose"), Some(Number { parts: vec![3, 2], has_title: true }));
        assert_eq!(number("5 mg"), Some(Number { parts: vec![5], has_title: false }));
        for text in ["2024 Update", "Dose", "A.1 Scope", "1..2 X", "7"] {
            assert_eq!(number(text), None);
        }
    }

    #[test]
    fn headings_read_as_one_are_parted() {
        assert_eq!(parted("2 Assessment 2.1 History"), ["2 Assessment", "2.1 History"]);
        assert_eq!(parted("Asthma 1 Scope 1.1 Aims 1.1.1 Adults"), ["Asthma", "1 Scope", "1.1 Aims", "1.1.1 Adults"]);
        for whole in ["Management of Type 2 Diabetes", "4 Type 1 Diabetes", "3.1 Grade 2 Burns", "Annex"] {
            assert_eq!(parted(whole), [whole]);
        }
    }

    #[test]
    fn levels_follow_the_numbers_below_the_title() {
        let texts = ["Asthma", "1 Scope", "1.1 Aims", "2 Care", "Annex"];
        let drafts = texts.map(|text| Draft::heading(1, text)).to_vec();
        let mut pages = [PageDraft::of(1, drafts)];
        settle(&mut pages);
        let levels: Vec<_> = pages[0].drafts.iter().map(|draft| draft.kind).collect();
        assert_eq!(levels, [1, 2, 3, 2, 1].map(|level| BlockKind::Heading { level }));
    }
}
