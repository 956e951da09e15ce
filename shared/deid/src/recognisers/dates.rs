//! Dates and ages over 89. A year alone is no identifier, nor is a duration, a ratio, a score or a day of the week.
#![expect(clippy::nonminimal_bool, reason = "each clause says one thing that may stand there")]

use super::{CERTAIN, Finds, KEYED, SHAPED, after, before, left, pattern, right};
use crate::label::Label;
use jiff::civil::Date;
use regex::{Captures, Regex};

const MONTH: &str = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";

/// Patterns.
pub struct Dates {
    iso: Regex,
    numeric: Regex,
    month_day: Regex,
    day_month: Regex,
    month_year: Regex,
    month_alone: Regex,
    numeric_month: Regex,
    compact: Regex,
    short: Regex,
    age: Regex,
    spelled_age: Regex,
}

impl Dates {
    pub fn new() -> Self {
        let year = r"(?:'\d\d|(?:1[89]|20)\d\d)";
        let day = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?";
        Self {
            iso: pattern(
                r"(?-u)\b(\d{4})([-/.])(\d{1,2})[-/.](\d{1,2})(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?",
            ),
            numeric: pattern(r"(?-u)\b(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4}|\d{2})\b"),
            month_day: pattern(&format!(
                r"(?i-u)\b{MONTH}\.? {{1,2}}({day})(?: ?(?:-|to|through|and) ?{day})?(?:(?:, ?| +){year}\b|\b)"
            )),
            day_month: pattern(&format!(r"(?i-u)\b({day})(?: of|-|/)? ?{MONTH}\b\.?(?:(?:, ?|-|/| )(?:{year}|\d\d)\b)?")),
            month_year: pattern(&format!(r"(?i-u)\b{MONTH}\.?(?:,? of |, ?|-|/| ){year}\b")),
            month_alone: pattern(
                r"(?-u:\b)(?i-u:in|since|last|until|till|by|this past|early|late|mid|through|around|during)[ -](?:January|February|March|April|May|June|July|August|September|October|November|December)(?-u:\b)",
            ),
            numeric_month: pattern(r"(?-u)\b(0?[1-9]|1[0-2])[/-]((?:19|20)\d\d)\b"),
            compact: pattern(
                r"(?-u)\b((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?:T?\d{4}(?:\d{2})?(?:\.\d+)?(?:Z|[+-]\d{4})?)?\b",
            ),
            short: pattern(r"(?-u)\b(0?[1-9]|1[0-2])[/-](0?[1-9]|[12]\d|3[01])\b"),
            age: pattern(r"(?i-u)\b(9\d|1[0-2]\d)\b"),
            spelled_age: pattern(
                r"(?i-u)\b((?:ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|(?:a |one )?hundred(?:[- ](?:and )?(?:one|two|three|four|five|six|seven|eight|nine|ten))?))[- ]years?[- ]old",
            ),
        }
    }

    pub fn find(&self, text: &str, finds: &mut Finds) {
        self.whole(text, finds);
        self.partial(text, finds);
        self.ages(text, finds);
    }

    fn whole(&self, text: &str, finds: &mut Finds) {
        let is_free = |start: usize, end: usize| {
            let follows = matches!(after(text, end), Some(c) if c.is_alphanumeric() || c == '%')
                || matches!(after(text, end), Some('-' | '/')) && right(text, end, 2).ends_with(|c: char| c.is_ascii_digit());
            !follows && !matches!(before(text, start), Some('.' | '/' | '$' | '^'))
        };
        for captures in self.iso.captures_iter(text) {
            let whole = captures.get_match().range();
            if is_day(number(&captures, 1), number(&captures, 3), number(&captures, 4)) && is_free(whole.start, whole.end) {
                finds.add(whole, Label::Date, CERTAIN);
            }
        }
        for captures in self.numeric.captures_iter(text) {
            let whole = captures.get_match().range();
            let (one, two, year) = (number(&captures, 1), number(&captures, 3), number(&captures, 4));
            let is_long = captures[4].len() == 4;
            let is_valid = is_day(full_year(year), one, two) || is_day(full_year(year), two, one);
            // 1.2.20 may be a section or a version.
            let is_dotted = &captures[2] == "." && !is_long && !has_date_word(text, whole.start);
            if is_valid
                && !is_dotted
                && text[whole.clone()].contains(&format!("{}{}", &captures[2], &captures[4]))
                && is_free(whole.start, whole.end)
            {
                let time = Self::time_after(text, whole.end);
                finds.add(whole.start..whole.end + time, Label::Date, CERTAIN);
            }
        }
        for regex in [&self.month_day, &self.day_month] {
            for captures in regex.captures_iter(text) {
                let whole = captures.get_match();
                let months_name: String = whole.as_str().chars().filter(char::is_ascii_alphabetic).collect();
                // "may 5 mg", "mar 10 %"
                let is_vague =
                    months_name.starts_with("may") || months_name.starts_with("mar") && !months_name.starts_with("march");
                let has_year = whole.as_str().bytes().filter(u8::is_ascii_digit).count() > 2;
                if (!is_vague || has_year)
                    && !has_unit(text, whole.end())
                    && !matches!(before(text, whole.start()), Some('/' | '.' | '-'))
                {
                    let end = whole.start() + whole.as_str().trim_end_matches('.').len();
                    finds.add(whole.start()..end, Label::Date, KEYED);
                }
            }
        }
        for found in self.compact.find_iter(text) {
            let date = found.as_str();
            let part = |range: std::ops::Range<usize>| date[range].parse::<i32>().unwrap_or_default();
            let is_timed = date.len() >= 12;
            let is_said = has_date_word(text, found.start()) || matches!(before(text, found.start()), Some('|' | '^'));
            if is_day(part(0..4), part(4..6), part(6..8)) && part(0..4) < 2100 && (is_said || is_timed) {
                finds.add(found.range(), Label::Date, KEYED + 2);
            }
        }
    }

    /// A time that follows a date belongs to it.
    fn time_after(text: &str, at: usize) -> usize {
        let rest = &text.as_bytes()[at..];
        let is_time =
            rest.len() >= 6 && rest[0] == b' ' && rest[3] == b':' && [1, 2, 4, 5].iter().all(|at| rest[*at].is_ascii_digit());
        if is_time { 6 } else { 0 }
    }

    fn partial(&self, text: &str, finds: &mut Finds) {
        for found in self.month_year.find_iter(text) {
            finds.add(found.range(), Label::Date, KEYED - 1);
        }
        for found in self.month_alone.find_iter(text) {
            let start = found.start() + found.as_str().rfind([' ', '-']).map_or(0, |at| at + 1);
            if !right(text, found.end(), 2).starts_with(['\'', '-']) {
                finds.add(start..found.end(), Label::Date, SHAPED - 1);
            }
        }
        for captures in self.numeric_month.captures_iter(text) {
            let whole = captures.get_match();
            if !matches!(before(text, whole.start()), Some('/' | '-' | '.'))
                && !matches!(after(text, whole.end()), Some('/' | '-'))
            {
                finds.add(whole.range(), Label::Date, SHAPED);
            }
        }
        for captures in self.short.captures_iter(text) {
            let whole = captures.get_match();
            let is_free = !matches!(before(text, whole.start()), Some('/' | '-' | '.' | '+'))
                && !matches!(after(text, whole.end()), Some('/' | '-' | '+' | '%'))
                && !(after(text, whole.end()) == Some('.')
                    && right(text, whole.end(), 2).ends_with(|c: char| c.is_ascii_digit()));
            let is_slashed = whole.as_str().contains('/');
            let is_said = if is_slashed { has_date_word(text, whole.start()) } else { has_strong_date_word(text, whole.start()) };
            if is_free && is_said && !has_unit(text, whole.end()) && is_day(2024, number(&captures, 1), number(&captures, 2)) {
                finds.add(whole.range(), Label::Date, SHAPED);
            }
        }
    }

    fn ages(&self, text: &str, finds: &mut Finds) {
        for found in self.age.find_iter(text) {
            let (near, next) = (left(text, found.start(), 22), right(text, found.end(), 16));
            let next = next.trim_start_matches([' ', '-', '\'']);
            let is_said = ["year", "yr", "y/o", "yo ", "yo,", "yo.", "yo?", "y.o", "yom", "yof", "y o "]
                .iter()
                .any(|word| next.starts_with(word))
                || next == "yo";
            let word = near.trim_end_matches([' ', ':', '=', '(', '"', '\'']);
            let is_keyed = ["age", "aged", "is age", "\"age", "turned", "turning", "turns"]
                .iter()
                .any(|key| word.strip_suffix(key).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric)));
            let is_sexed = !next.is_empty()
                && right(text, found.end(), 3).starts_with(['f', 'm'])
                && !right(text, found.end(), 2).ends_with(char::is_alphanumeric)
                && !matches!(before(text, found.start()), Some(c) if c.is_alphanumeric() || c == '.');
            let is_general = [
                "over",
                "than",
                "under",
                "above",
                "below",
                "least",
                "to",
                "-",
                ">",
                "<",
                "=",
                "≥",
                "≤",
                "past",
                "for",
                "until",
                "ages",
                "beyond",
                "after",
                "of",
                "patients aged",
                "adults aged",
                "those aged",
                "women aged",
                "men aged",
                "people aged",
            ]
            .iter()
            .any(|key| word.ends_with(key) && word.len() > key.len() - 1 && !(*key == "of" && word.ends_with("age of")))
                && !word.ends_with("age of");
            let is_plural = next.starts_with("years and")
                || next.starts_with("years or")
                || next.contains("older")
                || next.starts_with("years of exp");
            if (is_said || is_keyed || is_sexed)
                && !is_general
                && !is_plural
                && !matches!(before(text, found.start()), Some('.' | '/' | '-'))
                && !right(text, found.end(), 2).starts_with('.')
            {
                finds.add(found.range(), Label::AgeOver89, KEYED);
            }
        }
        for captures in self.spelled_age.captures_iter(text) {
            if let Some(age) = captures.get(1) {
                finds.add(age.range(), Label::AgeOver89, KEYED);
            }
        }
    }
}

/// A number of a pattern.
fn number(captures: &Captures<'_>, at: usize) -> i32 {
    captures[at].parse().unwrap_or_default()
}

const fn full_year(year: i32) -> i32 {
    match year {
        0..50 => 2000 + year,
        50..100 => 1900 + year,
        year => year,
    }
}

/// Whether the calendar has this day, in a year that a record may name.
fn is_day(year: i32, month: i32, day: i32) -> bool {
    let day = || Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok();
    (1850..2100).contains(&year) && day().is_some()
}

/// The words before a place, nearest last.
fn words_before(text: &str, at: usize) -> Vec<String> {
    let near = left(text, at, 24);
    near.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Words after which `3/4` is a day.
fn has_date_word(text: &str, at: usize) -> bool {
    const WORDS: [&str; 33] = [
        "on",
        "since",
        "by",
        "until",
        "till",
        "dated",
        "date",
        "dob",
        "dos",
        "birthdate",
        "birth",
        "born",
        "from",
        "visit",
        "seen",
        "admitted",
        "discharged",
        "surgery",
        "appointment",
        "appt",
        "due",
        "performed",
        "started",
        "stopped",
        "before",
        "after",
        "between",
        "ts",
        "time",
        "thru",
        "through",
        "expires",
        "d",
    ];
    // "Transcribed: 10/3"
    let is_entry = |word: &str| word.len() > 4 && word.ends_with("ed") && left(text, at, 3).contains(':');
    words_before(text, at).last().is_some_and(|word| WORDS.contains(&word.as_str()) || is_entry(word))
        && !left(text, at, 3).ends_with(['-', '/'])
}

/// Words after which even `3-4` is one.
fn has_strong_date_word(text: &str, at: usize) -> bool {
    words_before(text, at).last().is_some_and(|word| ["dob", "dated", "dos", "birthdate", "born"].contains(&word.as_str()))
}

/// What follows a quantity or a score, not a day.
fn has_unit(text: &str, at: usize) -> bool {
    const UNITS: [&str; 40] = [
        "mg", "mcg", "g", "kg", "ml", "l", "cm", "mm", "m", "units", "unit", "tablets", "tabs", "tab", "capsules", "percent",
        "strength", "power", "murmur", "systolic", "pain", "positive", "negative", "in", "out", "points", "motor", "beats",
        "hours", "hrs", "minutes", "days", "weeks", "months", "years", "times", "drinks", "criteria", "scale", "reflexes",
    ];
    let next = right(text, at, 14);
    let is_joined = next.starts_with('%') || next.starts_with("th ");
    is_joined
        || next.split(|c: char| !c.is_alphabetic()).find(|word| !word.is_empty()).is_some_and(|word| {
            UNITS.contains(&word)
                && next.trim_start_matches([' ', '-']).starts_with(word)
                && !(["in", "out", "m"].contains(&word) && !next.trim_start().starts_with("in the"))
        })
}
