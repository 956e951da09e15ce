//! Where a page's lines stand and how they are set, and which blocks they belong to.
//!
//! The parser hands over blocks of text without places and sizes. Its line reader is asked again, and the lines are found
//! in the blocks by their letters; both come from the same reading order, so the next line is nearly always the next one.

use domain::documents::pages::{BlockKind, BoundingBox};
use unpdf::parser::backend::{PageBox, PdfBackend, RawBackend};
use unpdf::parser::{LayoutAnalyzer, TextLine};

use super::hidden;
use super::numbering::number;
use crate::draft::{Draft, Look};
use crate::mend::{LineEnds, mend};

/// How far ahead of the next line one is looked for. Two columns of a dense page have 200 lines.
const LINES_AHEAD_MAX: usize = 400;
/// Fewer letters in common may be chance where only a part of a line belongs to a block.
const LETTERS_COMMON_MIN: usize = 3;
/// A heading that opens a block has at most so many lines.
const HEADING_LINES_MAX: usize = 3;
/// Lines whose sizes differ by less than one part in so many are set alike.
const SIZE_PART: u16 = 12;

/// A file opened for its lines.
pub(super) struct Typeset {
    backend: RawBackend,
}

/// A line as it is set. Its letters are taken out when a block has it.
#[derive(Debug)]
pub(super) struct Line {
    letters: String,
    /// How many letters it had.
    count: usize,
    bounds: BoundingBox,
    size: u16,
    is_bold: bool,
    /// Whether it begins with the number of a heading.
    is_numbered: bool,
    is_hidden: bool,
}

impl Typeset {
    /// `None` if the file cannot be opened: then blocks have no places.
    pub fn open(bytes: &[u8]) -> Option<Self> {
        RawBackend::load_bytes(bytes).ok().map(|backend| Self { backend })
    }

    /// The lines of a page in reading order, and the height of the page in points.
    pub fn lines(&self, number: u32) -> (Vec<Line>, i32) {
        let Some(page) = self.backend.pages().get(&number).copied() else {
            return (Vec::new(), 0);
        };
        let shown = self.backend.crop_box(page);
        let analyzer = LayoutAnalyzer::new(&self.backend);
        let Ok(spans) = analyzer.extract_page_spans(number) else {
            return (Vec::new(), 0);
        };
        let hidden = hidden::places(&self.backend, page);
        let is_turned = self.backend.page_rotation(page) != 0;
        let lines = analyzer.group_spans_into_lines_pub(spans);
        let lines = lines.iter().filter_map(|line| Line::of(line, &shown, is_turned, &hidden)).collect();
        (lines, if is_turned { 0 } else { shown.height() as i32 })
    }
}

impl Line {
    fn of(line: &TextLine, shown: &PageBox, is_turned: bool, hidden: &hidden::Places) -> Option<Self> {
        let text = mend(&line.text(), LineEnds::Written);
        let letters = letters(&text);
        let mut edges: Option<(f32, f32, f32, f32)> = None;
        for span in line.spans.iter().filter(|span| !span.text.trim().is_empty()) {
            let (left, bottom, right, top) = edges.unwrap_or((f32::MAX, f32::MAX, f32::MIN, f32::MIN));
            let end = span.x + span.ink_width.unwrap_or(span.width);
            edges = Some((left.min(span.x), bottom.min(span.bottom()), right.max(end), top.max(span.top())));
        }
        let (left, bottom, right, top) = edges?;
        let bounds = BoundingBox {
            left: (left - shown.llx).floor() as i32,
            top: (shown.ury - top).floor() as i32,
            right: (right - shown.llx).ceil() as i32,
            bottom: (shown.ury - bottom).ceil() as i32,
        };
        // A page that is shown turned has its edges elsewhere; no place is better than a wrong one.
        let bounds = if is_turned { BoundingBox { left: 0, top: 0, right: 0, bottom: 0 } } else { bounds };
        Some(Self {
            count: letters.chars().count(),
            letters,
            bounds,
            size: tenths(line.font_size),
            is_bold: line.is_all_bold(),
            is_numbered: number(&text).is_some_and(|number| number.has_title),
            is_hidden: line.spans.iter().any(|span| hidden.has(span.x, span.y)),
        })
    }

    fn is_set_like(&self, other: &Self) -> bool {
        self.is_bold == other.is_bold
            && self.is_hidden == other.is_hidden
            && self.size.abs_diff(other.size) < self.size.max(other.size) / SIZE_PART
    }
}

/// Tenths of a point. Nothing on paper is larger than 6,000 points.
#[allow(clippy::cast_sign_loss)] // not after the clamp
fn tenths(size: f32) -> u16 {
    (size * 10.0).round().clamp(0.0, 60_000.0) as u16
}

/// Gives each draft the look of its lines, and parts drafts in which a heading was read together with what follows.
pub(super) fn place(drafts: Vec<Draft>, lines: &mut [Line]) -> Vec<Draft> {
    let mut placed = Vec::with_capacity(drafts.len());
    let mut next = 0;
    for draft in drafts {
        let own = find(&letters(&draft.text), lines, &mut next);
        let cuts = if own.is_whole { cuts(&draft, &own.lines, lines) } else { Vec::new() };
        let mut from = 0;
        let mut rest = draft.text.as_str();
        for to in cuts.into_iter().chain([own.lines.len()]) {
            let part = &own.lines[from..to];
            let is_last = to == own.lines.len();
            let count = part.iter().map(|at| lines[*at].count).sum();
            let (text, after) = if is_last { (rest, "") } else { rest.split_at(after_letters(rest, count)) };
            let kind = if from == 0 || draft.kind != BlockKind::ListItem { draft.kind } else { BlockKind::Paragraph };
            placed.push(Draft { kind, text: text.trim().to_owned(), look: look(part, lines) });
            (from, rest) = (to, after);
        }
    }
    placed
}

/// The lines of a draft.
struct Own {
    lines: Vec<usize>,
    /// Whether they are all of it and nothing else.
    is_whole: bool,
}

fn find(letters: &str, lines: &mut [Line], next: &mut usize) -> Own {
    let mut own = Own { lines: Vec::new(), is_whole: true };
    let mut rest = letters;
    while !rest.is_empty() {
        while lines.get(*next).is_some_and(|line| line.letters.is_empty()) {
            *next += 1;
        }
        let last = own.lines.last().map_or(*next, |last| last + 1);
        let ahead = (last..lines.len()).chain(*next..last).take(LINES_AHEAD_MAX);
        let mut candidates = ahead.filter(|at| !lines[*at].letters.is_empty());
        let is_shared = |line: &Line| rest.len() >= LETTERS_COMMON_MIN && line.letters.starts_with(rest);
        let Some(at) = candidates.find(|at| rest.starts_with(&lines[*at].letters) || is_shared(&lines[*at])) else {
            own.is_whole = false;
            break;
        };
        own.lines.push(at);
        if let Some(after) = rest.strip_prefix(lines[at].letters.as_str()) {
            rest = after;
            lines[at].letters.clear();
        } else {
            own.is_whole = false;
            break;
        }
    }
    own
}

/// Before which of its lines a draft is parted: after a heading set otherwise than what follows, and where what is hidden
/// begins or ends.
fn cuts(draft: &Draft, own: &[usize], lines: &[Line]) -> Vec<usize> {
    if matches!(draft.kind, BlockKind::TableRow { .. }) {
        return Vec::new();
    }
    let is_heading = matches!(draft.kind, BlockKind::Heading { .. });
    let is_new = |at: &usize| {
        let (above, below) = (&lines[own[at - 1]], &lines[own[*at]]);
        !above.is_set_like(below) || (is_heading && below.is_numbered)
    };
    let changes = (1..own.len()).filter(is_new);
    let is_stronger = |above: &Line, below: &Line| {
        above.size > below.size + below.size / SIZE_PART || (above.is_bold && !below.is_bold && above.size >= below.size)
    };
    let is_cut = |at: &usize| {
        let (above, below) = (&lines[own[at - 1]], &lines[own[*at]]);
        is_heading || above.is_hidden != below.is_hidden || (*at <= HEADING_LINES_MAX && is_stronger(above, below))
    };
    changes.filter(is_cut).collect()
}

fn look(own: &[usize], lines: &[Line]) -> Option<Look> {
    let own = || own.iter().map(|at| &lines[*at]);
    let bounds = own().map(|line| line.bounds).reduce(BoundingBox::around)?;
    let longest = own().max_by_key(|line| line.count)?;
    Some(Look {
        bounds,
        size: longest.size,
        is_bold: own().all(|line| line.is_bold),
        lines: own().count() as u16,
        is_hidden: own().any(|line| line.is_hidden),
    })
}

/// Where in the text the n-th letter ends.
fn after_letters(text: &str, count: usize) -> usize {
    let mut left = count;
    for (at, character) in text.char_indices() {
        if left == 0 && (character.is_alphanumeric() || character.is_whitespace()) {
            return at;
        }
        if character.is_alphanumeric() {
            left = left.saturating_sub(character.to_lowercase().count());
        }
    }
    text.len()
}

/// Letters and digits alone, in lower case.
pub(super) fn letters(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, top: i32, size: u16, is_bold: bool) -> Line {
        let bounds = BoundingBox { left: 10, top, right: 90, bottom: top + 10 };
        Line {
            count: letters(text).chars().count(),
            letters: letters(text),
            bounds,
            size,
            is_bold,
            is_numbered: text.starts_with("1 "),
            is_hidden: false,
        }
    }

    fn texts(drafts: &[Draft]) -> Vec<&str> {
        drafts.iter().map(|draft| draft.text.as_str()).collect()
    }

    #[test]
    fn a_block_stands_where_its_lines_stand() {
        let mut lines = [line("First line of", 10, 100, false), line("a para-", 22, 100, false), line("graph.", 34, 100, false)];
        let placed = place(vec![Draft::paragraph("First line of a paragraph.")], &mut lines);
        let look = placed[0].look.expect("its lines are there");
        assert_eq!((look.bounds, look.lines), (BoundingBox { left: 10, top: 10, right: 90, bottom: 44 }, 3));
    }

    #[test]
    fn lines_are_found_in_another_order_and_one_line_may_serve_two_blocks() {
        let mut lines = [line("left right", 10, 100, false), line("below", 20, 100, false), line("above", 5, 100, false)];
        let drafts = ["above", "below", "left", "nowhere"].map(Draft::paragraph).to_vec();
        let tops: Vec<_> = place(drafts, &mut lines).iter().map(|draft| draft.look.map(|look| look.bounds.top)).collect();
        assert_eq!(tops, [Some(5), Some(20), Some(10), None]);
    }

    #[test]
    fn a_heading_read_with_what_follows_is_parted() {
        let mut lines = [line("Guide", 0, 180, true), line("1 Scope", 20, 140, true), line("Text, at first.", 40, 100, false)];
        let drafts = vec![Draft::heading(1, "Guide 1 Scope"), Draft::paragraph("Text, at first.")];
        assert_eq!(texts(&place(drafts, &mut lines)), ["Guide", "1 Scope", "Text, at first."]);
        let mut lines = [line("Guide", 0, 180, true), line("1 Scope", 20, 180, true)];
        assert_eq!(texts(&place(vec![Draft::heading(1, "Guide 1 Scope")], &mut lines)), ["Guide", "1 Scope"]);
        let mut lines =
            [line("Dose (adults):", 0, 100, true), line("Give 5 mg", 20, 100, false), line("bold end", 40, 100, true)];
        let placed = place(vec![Draft::paragraph("Dose (adults): Give 5 mg bold end")], &mut lines);
        assert_eq!(texts(&placed), ["Dose (adults):", "Give 5 mg bold end"]);
    }
}
