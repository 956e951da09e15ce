//! Identifiers of fixed shape: one file for each family, each with the checksums, calendars and contexts that its kind has.
//! All see the same normalised text and report places with a weight; where two overlap, `decide` keeps the heavier.

mod codes;
mod contact;
mod dates;
mod hl7;
mod keyed;
mod numbers;

use crate::label::Label;
use std::ops::Range;

pub use codes::Codes;
pub use contact::Contact;
pub use dates::Dates;
pub use keyed::Keyed;

/// Something that may be an identifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Where, in bytes of the normalised text.
    pub range: Range<usize>,
    /// What.
    pub label: Label,
    /// How sure: of two that overlap the heavier one stays.
    pub weight: u8,
}

/// A checksum or a strict shape says so.
pub const CERTAIN: u8 = 90;
/// The words around say so.
pub const KEYED: u8 = 80;
/// The shape is hardly anything else.
pub const SHAPED: u8 = 60;
/// It could well be something else.
pub const GUESSED: u8 = 30;

/// What a recogniser adds its finds to.
#[derive(Default)]
pub struct Finds(pub Vec<Candidate>);

impl Finds {
    /// Adds one.
    pub fn add(&mut self, range: Range<usize>, label: Label, weight: u8) {
        if !range.is_empty() {
            self.0.push(Candidate { range, label, weight });
        }
    }
}

/// All of them.
pub struct Recognisers {
    contact: Contact,
    dates: Dates,
    keyed: Keyed,
    codes: Codes,
}

impl Recognisers {
    /// Compiles the patterns.
    pub fn new() -> Self {
        Self { contact: Contact::new(), dates: Dates::new(), keyed: Keyed::new(), codes: Codes::new() }
    }

    /// Searches a text.
    pub fn find(&self, text: &str) -> Vec<Candidate> {
        let mut finds = Finds::default();
        self.contact.find(text, &mut finds);
        // The others all need a digit, but for a month's name with a spelled day, which nobody writes.
        if text.bytes().any(|byte| byte.is_ascii_digit()) {
            self.dates.find(text, &mut finds);
            self.keyed.find(text, &mut finds);
            self.codes.find(text, &mut finds);
            hl7::find(text, &mut finds);
        }
        finds.0
    }
}

/// The character before a place.
fn before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

/// The character after a place.
fn after(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

/// The last `count` characters before a place, in lower case.
fn left(text: &str, at: usize, count: usize) -> String {
    let mut found: Vec<char> = text[..at].chars().rev().take(count).collect();
    found.reverse();
    found.into_iter().collect::<String>().to_lowercase()
}

/// The first `count` characters after a place, in lower case.
fn right(text: &str, at: usize, count: usize) -> String {
    text[at..].chars().take(count).collect::<String>().to_lowercase()
}

/// Compiles a pattern that is written in this crate; a wrong one fails every test.
fn pattern(source: &str) -> regex::Regex {
    regex::Regex::new(source).unwrap_or_else(|error| panic!("a pattern of ours is wrong: {error}"))
}
