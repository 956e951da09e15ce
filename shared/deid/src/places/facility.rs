//! Names of hospitals, practices, pharmacies and homes, backwards from the word that ends them.

use super::Scene;
use super::words::{FACILITIES, GENERIC, LEADS, PHRASES, WEAK};
use crate::label::Label;
use crate::recognisers::{Finds, KEYED, SHAPED};
use crate::tokens::{Shape, Token};

impl Scene<'_> {
    /// `Kingsbrook Medical Center`, backwards from what ends it.
    pub fn facility(&self, at: usize, finds: &mut Finds) {
        let token = &self.tokens[at];
        if !token.is_word() || !token.is_capital() {
            return self.plain_facility(at, finds);
        }
        let phrase = PHRASES.iter().filter(|phrase| {
            (0..phrase.len()).all(|part| {
                self.word(at + part) == phrase[part]
                    && (part == 0 || self.is_near(at + part))
                    && self.tokens.get(at + part).is_some_and(|t| t.is_capital() || t.text(self.text) == "'s")
            })
        });
        let phrase = phrase.map(|phrase| phrase.len()).max();
        let is_weak = WEAK.contains(&&*token.folded);
        let Some(mut end) =
            phrase.map(|count| at + count - 1).or_else(|| (FACILITIES.contains(&&*token.folded) || is_weak).then_some(at))
        else {
            return self.saint(at, finds);
        };
        let mut start = at;
        while start > 0 && self.is_near(start) && at - start < 5 {
            let before = &self.tokens[start - 1];
            let text = before.text(self.text);
            let is_word = before.is_word()
                && before.is_capital()
                && !matches!(&*before.folded, "the" | "in" | "at" | "from" | "dr" | "mr" | "mrs" | "ms")
                && !before.text(self.text).is_empty();
            let is_link = (text == "'s" || text == "." && !before.is_spaced || matches!(&*before.folded, "of" | "and" | "&"))
                && start > 1
                && self.tokens[start - 2].is_capital();
            if !is_word && !is_link {
                break;
            }
            start -= 1;
        }
        while start < at
            && (matches!(self.word(start), "." | "'s" | "of" | "and")
                || self.tokens[start].is_first && LEADS.contains(&self.word(start)))
        {
            start += 1;
        }
        // "Health" alone, "Internal Medicine", "Physical Therapy" are no names.
        let is_named = (start..at).any(|index| {
            self.tokens[index].is_word()
                && (self.tokens[index].entry.lower() < 6 || start + 1 < at)
                && !GENERIC.contains(&&*self.tokens[index].folded)
        });
        let is_heading = self.word(end + 1) == ":" || self.tokens[start..=end].iter().all(|token| token.shape == Shape::Upper);
        if !is_named || is_heading && at.checked_sub(1).is_none_or(|_| self.word(end + 1) == ":") || self.is_after_title(start) {
            return;
        }
        let led = start.checked_sub(1).map_or("", |before| self.word(before));
        if is_weak && phrase.is_none() && !matches!(led, "at" | "from" | "to" | "@") && !self.has_saint(start, at) {
            return;
        }
        // "Riverside Hospital of Austin", "Mercy Medical Center North".
        if self.is_near(end + 1)
            && self.tokens[end + 1].is_capital()
            && (FACILITIES.contains(&self.word(end + 1))
                || WEAK.contains(&self.word(end + 1))
                || matches!(
                    self.word(end + 1),
                    "north" | "south" | "east" | "west" | "campus" | "group" | "network" | "partners" | "specialists" | "system"
                ))
        {
            end += 1;
        }
        finds.add(self.tokens[start].start..self.tokens[end].end, Label::Facility, KEYED + 1);
    }

    /// In lower case only after "at" or "from": "at mercy general hospital".
    fn plain_facility(&self, at: usize, finds: &mut Finds) {
        if !matches!(self.word(at), "hospital" | "clinic" | "pharmacy" | "hospice") {
            return;
        }
        for count in 1..=3 {
            let Some(led) = at.checked_sub(count + 1) else { return };
            if !matches!(self.word(led), "at" | "from") {
                continue;
            }
            let words = &self.tokens[led + 1..at];
            let is_name = |token: &Token| {
                token.is_word()
                    && !GENERIC.contains(&&*token.folded)
                    && !matches!(
                        &*token.folded,
                        "the"
                            | "a"
                            | "an"
                            | "our"
                            | "this"
                            | "that"
                            | "your"
                            | "my"
                            | "his"
                            | "her"
                            | "another"
                            | "any"
                            | "and"
                            | "outside"
                            | "same"
                            | "local"
                            | "or"
                    )
            };
            let is_proper = words.iter().all(|token| is_name(token) || WEAK.contains(&&*token.folded))
                && words.iter().any(|token| {
                    token.is_capital()
                        || token.entry.is_town() && token.entry.lower() < 3
                        || matches!(&*token.folded, "st" | "saint" | "mercy")
                });
            if is_proper {
                finds.add(self.tokens[led + 1].start..self.tokens[at].end, Label::Facility, SHAPED);
            }
            return;
        }
    }

    /// `St. Mary's` after "at".
    fn saint(&self, at: usize, finds: &mut Finds) {
        if !matches!(self.word(at), "st" | "saint")
            || !matches!(at.checked_sub(1).map_or("", |before| self.word(before)), "at" | "from" | "to")
        {
            return;
        }
        let mut end = at + 1;
        end += usize::from(self.word(end) == ".");
        let is_saint = self.is_near(end) && self.tokens[end].is_capital() && matches!(self.word(end + 1), "'s" | "'");
        if is_saint {
            finds.add(self.tokens[at].start..self.tokens[end + 1].end, Label::Facility, SHAPED);
        }
    }

    fn has_saint(&self, start: usize, end: usize) -> bool {
        (start..end).any(|at| matches!(self.word(at), "st" | "saint" | "mt" | "mount" | "'s"))
    }

    fn is_after_title(&self, start: usize) -> bool {
        let before = |back: usize| start.checked_sub(back).map_or("", |at| self.word(at));
        matches!(before(1), "dr" | "mr" | "mrs" | "ms") || before(1) == "." && matches!(before(2), "dr" | "mr" | "mrs" | "ms")
    }
}
