//! Places smaller than a state: streets, towns, post boxes; and facilities, whose name gives the place away.
//! Postal codes are the recognisers' (`recognisers/codes.rs`): they are numbers.

mod facility;
mod words;

use crate::label::Label;
use crate::lexicon::Lexicon;
use crate::recognisers::{Finds, KEYED, SHAPED};
use crate::tokens::{Shape, Token};
use words::{PREPOSITIONS, STATES, STREETS, UNITS};

/// Searches a text.
pub fn find(text: &str, tokens: &[Token], lexicon: &Lexicon, finds: &mut Finds) {
    let scene = Scene { text, tokens, lexicon };
    for (at, token) in tokens.iter().enumerate() {
        scene.street(at, finds);
        scene.post_box(at, finds);
        scene.facility(at, finds);
        if token.is_word() && token.is_capital() {
            scene.town(at, finds);
        }
    }
}

struct Scene<'a> {
    text: &'a str,
    tokens: &'a [Token],
    lexicon: &'a Lexicon,
}

impl Scene<'_> {
    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| if token.is_word() { &token.folded } else { token.text(self.text) })
    }

    /// Nothing but spaces between two neighbours.
    fn is_near(&self, at: usize) -> bool {
        at > 0 && at < self.tokens.len() && {
            let gap = &self.text[self.tokens[at - 1].end..self.tokens[at].start];
            gap.len() <= 2 && !gap.contains('\n')
        }
    }

    /// `14496 N Oak Road, Apt 2C`
    fn street(&self, at: usize, finds: &mut Finds) {
        let number = &self.tokens[at];
        let digits = number.text(self.text).bytes().filter(u8::is_ascii_digit).count();
        let is_number = number.shape == Shape::Number && (1..=6).contains(&digits) && number.end - number.start <= digits + 1;
        let is_bare =
            at == 0 || !matches!(self.tokens[at - 1].text(self.text), "." | "/" | "-" | "$" | "#") || self.tokens[at].is_spaced;
        if !is_number || !is_bare {
            return;
        }
        let is_lower = !self.tokens.get(at + 1).is_some_and(Token::is_capital);
        for count in 1..=7 {
            let next = at + count;
            if count > 5 && !self.tokens.get(next).is_some_and(Token::is_capital) {
                return;
            }
            if !self.is_near(next) || self.tokens[next].shape == Shape::Mark && self.word(next) != "." {
                return;
            }
            if count == 1 || !STREETS.contains(&self.word(next)) {
                let is_numbered =
                    self.tokens[next].shape == Shape::Number && (count > 3 || !self.word(next).ends_with(['t', 'd', 'h']));
                // A unit after the number makes it a quantity; so does a long run of common words.
                if is_numbered
                    || self.tokens[next].shape == Shape::Lower
                        && (!is_lower
                            || count > 3
                            || self.tokens[next].entry.lower() > 6
                            || matches!(
                                self.word(next),
                                "mg" | "ml"
                                    | "year"
                                    | "years"
                                    | "yo"
                                    | "yr"
                                    | "weeks"
                                    | "days"
                                    | "day"
                                    | "week"
                                    | "month"
                                    | "months"
                            ))
                {
                    return;
                }
                continue;
            }
            // In lower case only suffixes that are nothing else count.
            let suffix = &self.tokens[next];
            if suffix.shape == Shape::Lower
                && !matches!(
                    self.word(next),
                    "street"
                        | "avenue"
                        | "ave"
                        | "road"
                        | "rd"
                        | "lane"
                        | "ln"
                        | "boulevard"
                        | "blvd"
                        | "drive"
                        | "st"
                        | "highway"
                        | "hwy"
                        | "terrace"
                        | "parkway"
                        | "pkwy"
                        | "circle"
                )
            {
                return;
            }
            // "10 Oak Hill Road": a longer street goes on.
            let mut end = next;
            while self.is_near(end + 1)
                && STREETS.contains(&self.word(end + 1))
                && self.tokens[end + 1].is_capital()
                && !(self.word(end + 1) == "dr" && self.word(end + 2) == ".")
            {
                end += 1;
            }
            if matches!(self.word(end), "highway" | "hwy" | "route")
                && self.is_near(end + 1)
                && self.tokens[end + 1].shape == Shape::Number
            {
                end += 1;
            }
            if self.word(end + 1) == "."
                && self.is_near(end + 1)
                && matches!(self.word(end), "st" | "ave" | "rd" | "dr" | "ln" | "blvd" | "ct" | "hwy" | "pl")
            {
                end += 1;
            }
            if self.is_near(end + 1)
                && self.tokens[end + 1].is_capital()
                && matches!(self.word(end + 1), "n" | "s" | "e" | "w" | "ne" | "nw" | "se" | "sw")
            {
                end += 1;
            }
            end = self.unit(end);
            let end = self.tokens[end].text(self.text).trim_end_matches('.').len() + self.tokens[end].start;
            finds.add(number.start..end, Label::Location, KEYED + 4);
            return;
        }
    }

    /// `, Apt 2C` behind a street.
    fn unit(&self, end: usize) -> usize {
        let mut at = end + 1;
        at += usize::from(self.word(at) == ",");
        if at >= self.tokens.len() || !UNITS.contains(&self.word(at)) || !self.is_near(at) {
            return end;
        }
        at += 1;
        at += usize::from(matches!(self.word(at), "." | "#"));
        if !self.is_near(at) && self.word(at - 1) != "#" || at >= self.tokens.len() {
            return end;
        }
        match self.tokens[at].shape {
            Shape::Number => at,
            Shape::Initial => {
                at + usize::from(self.tokens.get(at + 1).is_some_and(|next| next.shape == Shape::Number && !next.is_spaced))
            }
            _ => end,
        }
    }

    /// `P.O. Box 5307`
    fn post_box(&self, at: usize, finds: &mut Finds) {
        let end = at + 1;
        if self.word(at) != "box" || !self.is_near(end) || self.tokens[end].shape != Shape::Number {
            return;
        }
        let before = self.text[..self.tokens[at].start].trim_end();
        let tail: String = before.chars().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<String>().to_lowercase();
        let length =
            ["post office", "p. o.", "p.o.", "p o", "po", "pmb"].iter().find(|key| tail.ends_with(*key)).map(|key| key.len());
        if let Some(length) = length.filter(|length| before.is_char_boundary(before.len().saturating_sub(*length))) {
            finds.add(before.len() - length..self.tokens[end].end, Label::Location, KEYED + 4);
        }
    }

    /// A town after a preposition, before a state, or after a street.
    fn town(&self, at: usize, finds: &mut Finds) {
        let (mut best, mut key) = (None, String::new());
        let mut end = at;
        while end < self.tokens.len() && end < at + 4 && (end == at || self.is_near(end)) {
            let token = &self.tokens[end];
            if token.text(self.text) == "." && end > at && self.tokens[end - 1].end - self.tokens[end - 1].start <= 2 {
                end += 1;
                continue;
            }
            if !token.is_word() || !(token.is_capital() || matches!(&*token.folded, "of" | "the" | "du" | "de" | "la")) {
                break;
            }
            if !key.is_empty() {
                key.push(' ');
            }
            key.extend(token.folded.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }));
            let entry = self.lexicon.get(key.trim());
            if (entry.is_town() || entry.is_city()) && token.is_capital() {
                best = Some((end, entry));
            }
            end += 1;
        }
        let Some((end, entry)) = best else { return self.unknown_town(at, finds) };
        if self.goes_on(at, end) {
            return;
        }
        let has_state = self.has_state(end);
        let before = at.checked_sub(1).map_or("", |before| self.word(before));
        let before2 = at.checked_sub(2).map_or("", |before| self.word(before));
        let is_led = PREPOSITIONS.contains(&before) && self.is_near(at)
            || before == ":" && matches!(before2, "city" | "town" | "address" | "hometown" | "residence");
        // The street was found just before: the search for it must not grow with the text.
        let is_after_place = before == ","
            && finds.0.iter().rev().take(8).any(|find| {
                find.label == Label::Location
                    && find.range.end <= self.tokens[at].start
                    && find.range.end + 3 >= self.tokens[at].start
            });
        let is_vague = entry.is_name() && end == at
            || self.tokens[at].entry.lower() >= 3
            || entry.is_eponym()
            || self.tokens[at].entry.capital() > 2 && end == at && !entry.is_city();
        let is_strong = matches!(before, "in" | "near" | "outside" | "visiting")
            || before == "from"
            || matches!(before2, "lives" | "resides" | "living" | "moved" | "home" | "address");
        let is_region = entry.is_region() || matches!(key.trim(), "new york" | "washington") && !has_state;
        if is_region && !has_state {
            return;
        }
        let is_said = has_state
            || is_after_place
            || is_led && is_strong && !(is_vague && self.tokens[at].entry.lower() >= 4)
            || is_led && !is_vague && matches!(before, "at" | "to");
        let is_thing = crate::names::is_after_people(self.text, self.tokens, end + 1);
        if is_said
            && !is_thing
            && self.tokens[at].shape != Shape::Initial
            && !(self.tokens[at].shape == Shape::Upper && end == at && self.tokens[at].folded.len() < 4)
        {
            let weight = if has_state || is_after_place { KEYED + 2 } else { SHAPED };
            finds.add(self.tokens[at].start..self.tokens[end].end, Label::Location, weight);
        }
    }

    /// A word that no list has, before a state that a postal code or a comma proves.
    fn unknown_town(&self, at: usize, finds: &mut Finds) {
        let mut end = at;
        while self.is_near(end + 1)
            && self.tokens[end + 1].is_word()
            && self.tokens[end + 1].is_capital()
            && end < at + 2
            && !STATES.contains(&self.word(end + 1))
        {
            end += 1;
        }
        let is_start = at == 0 || !self.is_near(at) || !(self.tokens[at - 1].is_word() && self.tokens[at - 1].is_capital());
        let before = at.checked_sub(1).map_or("", |before| self.word(before));
        let is_led = matches!(before, "," | "in" | "from" | "near" | "to" | ":" | "of");
        let is_name_like = self.tokens[at].entry.lower() < 5 && self.tokens[at].shape != Shape::Initial;
        if is_start
            && is_led
            && is_name_like
            && self.word(end + 1) == ","
            && self.has_state(end)
            && !matches!(self.tokens[at].shape, Shape::Upper)
        {
            finds.add(self.tokens[at].start..self.tokens[end].end, Label::Location, SHAPED - 2);
        }
    }

    /// `, TX` behind a town, and not a degree or a title.
    fn has_state(&self, end: usize) -> bool {
        let mut at = end + 1;
        at += usize::from(self.word(at) == ",");
        let Some(token) = self.tokens.get(at).filter(|_| self.is_near(at)) else { return false };
        let is_code = token.shape == Shape::Upper && STATES.contains(&&*token.folded);
        let next_is_zip = self.tokens.get(at + 1).is_some_and(|next| next.shape == Shape::Number && next.end - next.start == 5);
        let is_degree = matches!(&*token.folded, "md" | "pa" | "do") && !next_is_zip && self.tokens[end].entry.last() > 0;
        let is_full = at > end + 1
            && token.is_capital()
            && (token.entry.is_region() || self.lexicon.get(&format!("{} {}", token.folded, self.word(at + 1))).is_region());
        is_code && !is_degree && (at > end + 1 || next_is_zip) || is_full
    }

    /// Whether a capitalised word goes on behind, as in "Aurora Medical Center".
    fn goes_on(&self, at: usize, end: usize) -> bool {
        let next = self.tokens.get(end + 1).filter(|_| self.is_near(end + 1));
        let before = at.checked_sub(1).filter(|_| self.is_near(at)).map(|before| &self.tokens[before]);
        let is_part = |token: &Token| {
            token.is_word() && matches!(token.shape, Shape::Capital | Shape::Mixed) && !token.is_first && !token.entry.is_region()
        };
        next.is_some_and(is_part) || before.is_some_and(|token| is_part(token) && token.entry.lower() < 4)
    }
}
