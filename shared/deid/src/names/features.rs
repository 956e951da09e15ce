//! What the scorer sees of a token: how it is written, what the lists know of it, its neighbours, what the recogniser said.
//! A feature is a hash of its template and its parts, taken modulo the number of weights.

use super::network::Entity;
use crate::tokens::{Shape, Token};

/// Weights of the scorer. Two to the seventeenth: about a third of the slots stays free, so few features collide.
pub const WEIGHTS: usize = 1 << 17;

/// A text with all that features are made from.
pub struct Scene<'a> {
    /// The text.
    pub text: &'a str,
    /// Its tokens.
    pub tokens: &'a [Token],
    /// What the recogniser said of each.
    pub entities: &'a [Entity],
    /// Whether the writer uses capitals at all, by line: nothing in lower case is told apart in a text without.
    has_capitals: Vec<bool>,
}

/// Coarse classes of one token.
#[derive(Clone, Copy)]
struct View {
    word: u32,
    shape: u32,
    /// How much of a name the lists make it: 0..=5.
    name: u32,
    /// Which sort of name: first, last, both.
    sort: u32,
    /// How much of a word.
    plain: u32,
}

const NOTHING: View = View { word: 1, shape: 7, name: 0, sort: 0, plain: 0 };

impl<'a> Scene<'a> {
    /// Puts a scene together.
    pub fn new(text: &'a str, tokens: &'a [Token], entities: &'a [Entity]) -> Self {
        let mut has_capitals = vec![false; tokens.len()];
        let mut start = 0;
        while start < tokens.len() {
            let end = tokens[start..].windows(2).position(|pair| text[pair[0].end..pair[1].start].contains('\n'));
            let end = end.map_or(tokens.len(), |count| start + count + 1);
            let is_mixed = tokens[start..end].iter().any(|t| matches!(t.shape, Shape::Capital | Shape::Mixed));
            has_capitals[start..end].fill(is_mixed);
            start = end;
        }
        Self { text, tokens, entities, has_capitals }
    }

    fn view(&self, at: Option<usize>) -> View {
        let Some(token) = at.and_then(|at| self.tokens.get(at)) else { return NOTHING };
        let entry = token.entry;
        let name = match (entry.first().max(entry.last()), entry.is_foreign_first() || entry.is_foreign_last()) {
            (0, false) => 0,
            (1, false) => 1,
            (0, true) | (1..=2, _) => 2,
            (3..=4, _) => 3,
            (5..=6, _) => 4,
            _ => 5,
        };
        let is_first = entry.first() > 0 || entry.is_foreign_first();
        let is_last = entry.last() > 0 || entry.is_foreign_last();
        let plain = match (entry.is_dictionary(), entry.lower(), entry.common()) {
            (false, 0..=1, 0) => 0,
            (false, 0..=1, _) => 1,
            (true, 0..=1, 0..=4) => 2,
            (_, 0..=3, _) => 3,
            (_, 4..=5, _) => 4,
            _ => 5,
        };
        let word = match token.shape {
            Shape::Number => 2 + (token.end - token.start).min(5) as u32,
            Shape::Mark => 16 + self.text[token.start..].chars().next().map_or(0, u32::from),
            _ => mix(0, &token.folded.bytes().map(u32::from).collect::<Vec<_>>()) | 1 << 31,
        };
        View { word, shape: token.shape as u32, name, sort: u32::from(is_first) + 2 * u32::from(is_last), plain }
    }

    /// The neighbour to the left, seen through the stop of an abbreviation.
    fn before(&self, at: usize) -> Option<usize> {
        let left = at.checked_sub(1)?;
        let is_stop = &self.text[self.tokens[left].range()] == "." && !self.tokens[left].is_spaced;
        match left.checked_sub(1) {
            Some(further)
                if is_stop && self.tokens[further].is_word() && self.tokens[further].end - self.tokens[further].start <= 5 =>
            {
                Some(further)
            }
            _ => Some(left),
        }
    }

    /// The features of one token.
    pub fn features(&self, at: usize, found: &mut Vec<u32>) {
        found.clear();
        let token = &self.tokens[at];
        let entry = token.entry;
        let left = self.before(at);
        let left2 = left.and_then(|left| self.before(left));
        let me = self.view(Some(at));
        let (a2, a, b, b2) = (self.view(left2), self.view(left), self.view(Some(at + 1)), self.view(Some(at + 2)));
        let cased = u32::from(self.has_capitals[at]);
        let entity = self.entities[at] as u32;
        let shape = me.shape * 2 + cased;
        let first = u32::from(token.is_first);
        let sort = me.sort * 6 + me.name;
        let mut add = |template: u32, parts: &[u32]| found.push(mix(template, parts) % WEIGHTS as u32);
        add(1, &[shape, first]);
        add(2, &[shape, sort, me.plain]);
        add(3, &[shape, entry.first(), entry.last()]);
        add(4, &[shape, u32::from(entry.is_foreign_first()), u32::from(entry.is_foreign_last()), me.plain]);
        add(5, &[shape, entry.lower().min(6), u32::from(entry.is_dictionary())]);
        add(6, &[shape, entry.common(), me.sort]);
        add(7, &[shape, entry.capital().min(5), me.name.min(3)]);
        add(8, &[u32::from(entry.is_drug()), shape, me.plain]);
        add(9, &[u32::from(entry.is_eponym()), me.sort, b.word]);
        add(10, &[u32::from(entry.is_eponym()), me.name, a.word]);
        let place = u32::from(entry.is_town()) + 2 * u32::from(entry.is_city()) + 4 * u32::from(entry.is_region());
        add(11, &[place, me.name, a.word]);
        add(12, &[a.word]);
        add(13, &[a.word, shape]);
        add(14, &[a.word, me.plain, me.sort]);
        add(15, &[a2.word, a.word]);
        add(16, &[a2.word, a.word, me.shape, me.plain.min(3)]);
        add(17, &[b.word]);
        add(18, &[b.word, shape, me.plain]);
        add(19, &[b.word, b2.word]);
        add(20, &[b.word, me.sort, me.plain]);
        add(21, &[a.word, b.word]);
        add(22, &[a.shape, a.sort, a.plain, me.shape, me.sort, me.plain]);
        add(23, &[b.shape, b.sort, b.plain, me.shape, me.sort, me.plain]);
        add(24, &[a.name, a.sort, me.name, me.sort, shape]);
        add(25, &[b.name, b.sort, me.name, me.sort, shape]);
        add(26, &[a2.word, me.sort, me.shape]);
        add(27, &[b2.word, me.sort, me.shape]);
        add(28, &[first, shape, me.plain, me.name]);
        add(29, &[entity, shape]);
        add(30, &[entity, me.plain, me.sort]);
        add(31, &[entity, first, me.shape, me.name, me.plain]);
        let word = &*token.folded;
        let tail = |count: usize| word.char_indices().rev().nth(count - 1).map_or(word, |(at, _)| &word[at..]);
        let spell = |text: &str| text.bytes().fold(7, |hash: u32, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
        if token.is_word() {
            add(32, &[spell(tail(2)), me.shape]);
            add(33, &[spell(tail(3)), u32::from(me.name > 0)]);
            add(34, &[spell(tail(4)), u32::from(me.plain > 0)]);
            add(35, &[token.folded.len().min(9) as u32, shape]);
            let marks = u32::from(word.contains('-'))
                + 2 * u32::from(word.contains('\''))
                + 4 * u32::from(!self.text[token.range()].is_ascii());
            add(36, &[marks, shape, me.plain]);
        }
        // A word of the trade is remembered as itself; names are not, so that the next one is no stranger.
        if entry.lower() >= 3 && me.sort == 0 || entry.lower() >= 5 {
            add(37, &[me.word, me.shape]);
        }
        // Smith, John
        add(38, &[a.word, a2.sort, a2.plain.min(2), a2.shape, me.sort, me.shape]);
        add(39, &[b.word, b2.sort, b2.plain.min(2), b2.shape, me.sort, me.shape]);
        add(40, &[a.shape, b.shape, shape, me.plain]);
        add(41, &[a2.shape, a.shape, me.shape, me.sort]);
        add(42, &[u32::from(token.is_spaced), me.shape, a.word]);
        let right = self.view(Some(at + 3));
        add(43, &[b.word, b2.word, right.word]);
        add(44, &[self.view(left2.and_then(|left| self.before(left))).word, a2.word, a.word]);
    }
}

/// A hash of a template and its parts.
fn mix(template: u32, parts: &[u32]) -> u32 {
    let hash = parts.iter().fold(u64::from(template).wrapping_mul(0x9e37_79b9_7f4a_7c15), |hash, part| {
        (hash ^ u64::from(*part)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29)
    });
    (hash ^ hash >> 33) as u32
}
