//! Placeholders instead of identifiers, and the way back.
//!
//! A placeholder is typed and numbered within one conversation: `[NAME_1]`, `[MRN_2]`. Other spellings of the same person get a
//! letter, `[NAME_1b]`, so that every byte comes back; dates say how far they lie from the first, `[DATE_2: DATE_1+14d]`; with a
//! tenant's salt there is a tag behind the number, `[NAME_1-K7Q]`, so that placeholders of two tenants are never the same. What
//! looks like a placeholder in the text itself is replaced as well (`[LITERAL_1]`), so whatever looks like one afterwards is ours.

mod calendar;
mod grammar;
mod restore;

pub use restore::{Restored, Restorer};

use crate::decide::{OperatingPoint, Span};
use crate::label::Label;
use crate::propagate::KnownNames;
use crate::safe_text::SafeText;
use crate::{Deidentifier, lexicon};
use domain::phi::IdentifierKind;
use grammar::Reference;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// The label of text that only looks like a placeholder.
const LITERAL: &str = "LITERAL";

/// Spellings of identifiers that are searched for again in every text must have so many letters and digits: shorter ones are words.
const REPEATED_MIN: usize = 5;

/// So many of them are searched for: each costs a pass over the text, which for a megabyte is a tenth of a millisecond.
const REPEATS_MAX: usize = 2_000;

/// What may leave, and how.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// How strict the search is.
    pub point: OperatingPoint,
    /// Kinds that may not leave even as placeholders: a text that holds one is refused.
    pub blocked: BTreeSet<IdentifierKind>,
}

/// A text that the policy keeps in. Says which kinds, never what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the text holds kinds of identifiers that the policy keeps in")]
pub struct RefuseTextError {
    /// The blocked kinds found, with their counts.
    pub kinds: BTreeMap<IdentifierKind, u32>,
}

/// A text without identifiers.
#[derive(Debug, Clone)]
pub struct Pseudonymised {
    /// What may leave.
    pub text: SafeText,
    /// What was replaced, in the original's bytes.
    pub spans: Vec<Span>,
    /// How many of each kind.
    pub counts: BTreeMap<IdentifierKind, u32>,
}

/// One issued placeholder: what it stands for, in one spelling.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Issued {
    label: String,
    number: u32,
    form: u32,
    original: String,
}

/// What a conversation has replaced so far. The map is as secret as the identifiers in it: it is stored only encrypted with the
/// tenant's key, and its `Debug` shows counts.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Conversation {
    tag: String,
    issued: Vec<Issued>,
    names: KnownNames,
    index: Index,
}

/// A conversation as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    tag: String,
    issued: Vec<Issued>,
    names: KnownNames,
}

/// Ways into the issued placeholders; a long text may have tens of thousands.
#[derive(Clone, Default)]
struct Index {
    by_original: HashMap<(String, String), usize>,
    by_reference: HashMap<(String, u32, u32), usize>,
    /// Label and word, or all words of anything but a name, to the numbers that have it.
    by_word: HashMap<(String, String), BTreeSet<u32>>,
    /// Words of each number's spellings.
    spellings: HashMap<(String, u32), Vec<Vec<String>>>,
    numbers: HashMap<String, u32>,
    /// The first date that the calendar knows.
    first_date: Option<(u32, Date)>,
}

impl From<Conversation> for Stored {
    fn from(conversation: Conversation) -> Self {
        Self { tag: conversation.tag, issued: conversation.issued, names: conversation.names }
    }
}

impl From<Stored> for Conversation {
    fn from(stored: Stored) -> Self {
        let mut conversation = Self { tag: stored.tag, names: stored.names, ..Self::default() };
        stored.issued.into_iter().for_each(|issued| conversation.add(issued));
        conversation
    }
}

impl PartialEq for Conversation {
    fn eq(&self, other: &Self) -> bool {
        (&self.tag, &self.issued, &self.names) == (&other.tag, &other.issued, &other.names)
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Conversation({} placeholders)", self.issued.len())
    }
}

impl Conversation {
    /// Begins a conversation. The salt is the tenant's secret with the conversation's id; without one there is no tag.
    pub fn new(salt: &[u8]) -> Self {
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let tag = if salt.is_empty() {
            String::new()
        } else {
            Sha256::digest(salt).iter().take(4).map(|byte| LETTERS[usize::from(byte % 32)] as char).collect()
        };
        Self { tag, ..Self::default() }
    }

    /// Learns a name before it is met: the signed-in user's, a chart header's.
    pub fn seed(&mut self, name: &str) {
        self.names.seed(name);
    }

    /// How many placeholders were issued.
    pub fn len(&self) -> usize {
        self.issued.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.issued.is_empty()
    }

    /// Puts back what this conversation replaced.
    pub fn restore(&self, text: &str) -> Restored {
        let mut restorer = Restorer::new(self);
        let mut original = restorer.push(text);
        original.push_str(&restorer.finish());
        Restored { text: original, unknown: restorer.unknown() }
    }

    /// What a reference stands for.
    fn original(&self, reference: &Reference) -> Option<&str> {
        let key = (reference.label.clone(), reference.number, reference.form);
        let at = self.index.by_reference.get(&key).filter(|_| self.tag == reference.tag)?;
        Some(&self.issued[*at].original)
    }

    /// The placeholder of a piece of text, a new one if it is new.
    fn placeholder(&mut self, label: &str, original: &str) -> String {
        if let Some(at) = self.index.by_original.get(&(label.to_owned(), original.to_owned())) {
            return self.write(&self.issued[*at]);
        }
        let number = self.entity(label, original).unwrap_or_else(|| self.index.numbers.get(label).copied().unwrap_or(0) + 1);
        let form = self.index.spellings.get(&(label.to_owned(), number)).map_or(0, Vec::len) as u32;
        let issued = Issued { label: label.to_owned(), number, form, original: original.to_owned() };
        self.add(issued.clone());
        self.write(&issued)
    }

    fn add(&mut self, issued: Issued) {
        let at = self.issued.len();
        let (label, number) = (issued.label.clone(), issued.number);
        let words = key(&issued.original);
        let index = &mut self.index;
        index.by_original.insert((label.clone(), issued.original.clone()), at);
        index.by_reference.insert((label.clone(), number, issued.form), at);
        let keys = if label == Label::Name.as_str() { words.clone() } else { vec![words.concat()] };
        for word in keys {
            index.by_word.entry((label.clone(), word)).or_default().insert(number);
        }
        index.spellings.entry((label.clone(), number)).or_default().push(words);
        let last = index.numbers.entry(label.clone()).or_default();
        *last = number.max(*last);
        if label == Label::Date.as_str() && index.first_date.is_none() {
            index.first_date = calendar::parse(&issued.original).map(|date| (number, date));
        }
        self.issued.push(issued);
    }

    /// The number under which another spelling of the same thing goes.
    fn entity(&self, label: &str, original: &str) -> Option<u32> {
        let words = key(original);
        if label == LITERAL || words.is_empty() {
            return None;
        }
        let having = |word: String| self.index.by_word.get(&(label.to_owned(), word)).into_iter().flatten().copied();
        let numbers: BTreeSet<u32> = if label == Label::Name.as_str() {
            let is_same = |number: &u32| {
                let spellings = self.index.spellings.get(&(label.to_owned(), *number));
                spellings.is_some_and(|spellings| spellings.iter().any(|other| is_same_person(&words, other)))
            };
            words.iter().cloned().flat_map(having).filter(is_same).collect()
        } else {
            having(words.concat()).collect()
        };
        // "Smith" among two Smiths is nobody that we know.
        (numbers.len() == 1).then(|| numbers.into_iter().next()).flatten()
    }

    fn write(&self, issued: &Issued) -> String {
        let tag = if self.tag.is_empty() { String::new() } else { format!("-{}", self.tag) };
        let distance = if issued.label == Label::Date.as_str() { self.distance(issued) } else { String::new() };
        format!("[{}_{}{}{tag}{distance}]", issued.label, issued.number, grammar::form(issued.form))
    }

    /// `: DATE_1+14d`, if the calendar knows both this date and the first.
    fn distance(&self, issued: &Issued) -> String {
        match (self.index.first_date, calendar::parse(&issued.original)) {
            (Some((number, first)), Some(own)) if number != issued.number => {
                format!(": DATE_{number}{:+}d", (own - first).get_days())
            }
            _ => String::new(),
        }
    }
}

/// The words of a spelling, folded.
fn key(original: &str) -> Vec<String> {
    let mut folded = String::new();
    lexicon::fold(original, &mut folded);
    folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// One name's words are among the other's, where an initial stands for a word.
fn is_same_person(one: &[String], other: &[String]) -> bool {
    let (few, many) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let is_among = |word: &String| {
        many.iter().any(|other| {
            other == word
                || word.len() == 1 && other.starts_with(word.as_str())
                || other.len() == 1 && word.starts_with(other.as_str())
        })
    };
    few.iter().any(|word| word.chars().count() > 1) && few.iter().all(is_among)
}

impl Deidentifier {
    /// Replaces the identifiers of a text.
    pub fn pseudonymise(
        &self,
        text: &str,
        policy: &Policy,
        conversation: &mut Conversation,
    ) -> Result<Pseudonymised, RefuseTextError> {
        let mut names = conversation.names.clone();
        let spans = self.find_with(text, policy.point, &mut names);
        let spans = with_repeats(text, spans, conversation);
        let mut counts: BTreeMap<IdentifierKind, u32> = BTreeMap::new();
        for span in &spans {
            *counts.entry(span.label.kind()).or_insert(0) += 1;
        }
        let blocked: BTreeMap<_, _> =
            counts.iter().filter(|(kind, _)| policy.blocked.contains(kind)).map(|(kind, count)| (*kind, *count)).collect();
        // What a text that stays in teaches is looked for in those that go out.
        conversation.names = names;
        let text = SafeText::new(replace(text, &spans, conversation));
        if !blocked.is_empty() {
            return Err(RefuseTextError { kinds: blocked });
        }
        Ok(Pseudonymised { text, spans, counts })
    }
}

/// The same number or address once more, without the words that gave it away the first time, here or earlier.
fn with_repeats(text: &str, mut spans: Vec<Span>, conversation: &Conversation) -> Vec<Span> {
    let mut known: BTreeMap<String, Label> = BTreeMap::new();
    let is_long = |original: &str| {
        original.chars().filter(|c| c.is_alphanumeric()).count() >= REPEATED_MIN && original.chars().any(|c| c.is_ascii_digit())
    };
    for span in &spans {
        if is_long(&text[span.range.clone()]) {
            known.insert(text[span.range.clone()].to_owned(), span.label);
        }
    }
    for issued in conversation.issued.iter().rev().take(REPEATS_MAX) {
        let label = Label::ALL.into_iter().find(|label| label.as_str() == issued.label);
        if let Some(label) = label.filter(|_| is_long(&issued.original)) {
            known.entry(issued.original.clone()).or_insert(label);
        }
    }
    let mut taken: BTreeMap<usize, usize> = spans.iter().map(|span| (span.range.start, span.range.end)).collect();
    for (original, label) in known.iter().take(REPEATS_MAX) {
        for (start, _) in text.match_indices(original.as_str()) {
            let range = start..start + original.len();
            let is_bounded =
                !text[..start].ends_with(char::is_alphanumeric) && !text[range.end..].starts_with(char::is_alphanumeric);
            let is_free = taken.range(..range.end).next_back().is_none_or(|(_, end)| *end <= range.start);
            if is_bounded && is_free {
                taken.insert(range.start, range.end);
                spans.push(Span { range, label: *label });
            }
        }
    }
    spans.sort_by_key(|span| span.range.start);
    spans
}

fn replace(text: &str, spans: &[Span], conversation: &mut Conversation) -> String {
    let mut pieces: Vec<(Range<usize>, &str)> = spans.iter().map(|span| (span.range.clone(), span.label.as_str())).collect();
    let literals = grammar::find_all(text);
    // A span inside a look-alike goes with it.
    pieces.retain(|(range, _)| !literals.iter().any(|literal| literal.start <= range.start && range.end <= literal.end));
    pieces.extend(literals.into_iter().map(|literal| (literal, LITERAL)));
    pieces.sort_by_key(|(range, _)| (range.start, range.end));
    // One that reaches beyond a look-alike takes it along: nothing of what was found may stay because something in it looks like ours.
    let mut joined: Vec<(Range<usize>, &str)> = Vec::with_capacity(pieces.len());
    for (range, label) in pieces {
        match joined.last_mut().filter(|(last, _)| range.start < last.end) {
            None => joined.push((range, label)),
            Some((last, of)) => {
                last.end = last.end.max(range.end);
                if *of == LITERAL {
                    *of = label;
                }
            }
        }
    }
    let mut replaced = String::with_capacity(text.len());
    let mut from = 0;
    for (range, label) in joined {
        replaced.push_str(&text[from..range.start]);
        replaced.push_str(&conversation.placeholder(label, &text[range.clone()]));
        from = range.end;
    }
    replaced.push_str(&text[from..]);
    replaced
}
