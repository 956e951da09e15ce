//! Finds identifiers of people in text, replaces them by placeholders, and puts them back.
//!
//! Pure: no network, no file but the tables at start, no clock. The way of a text:
//!
//! 1. `normalise`: one spelling for what looks alike, with a way back to the original's offsets;
//! 2. `recognisers`: identifiers of fixed shape, by checksum, calendar and the words around them;
//! 3. `tokens`, `names`, `places`: people, towns, streets, facilities;
//! 4. `propagate`: what was found once is found everywhere, through the conversation too;
//! 5. `decide`: what overlaps is settled, and spans in the original come out;
//! 6. `surrogate`: placeholders, their map, and the way back; `safe_text`: the type that may leave the account.

mod chart;
mod decide;
mod label;
mod lexicon;
pub mod names;
mod normalise;
mod places;
mod propagate;
mod recognisers;
mod safe_text;
pub mod surrogate;
mod tables;
pub mod tokens;

pub use chart::chart_names;
pub use decide::{OperatingPoint, Span};
pub use label::Label;
pub use lexicon::{Entry, Lexicon, fold};
pub use propagate::KnownNames;
pub use safe_text::{Agreement, SafeText};
pub use tables::{LoadTablesError, MODEL_ID, TABLES_FILE, Tables};

use domain::phi::{CountIdentifiers, IdentifierCounts};
use names::Names;
use names::network::Network;
use normalise::Normalised;
use recognisers::{Candidate, Finds, KEYED, Recognisers};
use std::path::Path;
use tokens::tokenise;

/// Where the weight of a name of probability one lies: below what words around prove, above what is guessed.
const NAME_WEIGHT: f32 = 70.0;

/// `Roe (96)`: a number over 89 in brackets behind a name is an age.
fn ages_of_people(text: &str, finds: &mut Finds) {
    let ages = finds.0.iter().filter(|find| find.label == Label::Name && find.weight > 20).filter_map(|find| {
        let rest = text[find.range.end..].strip_prefix(" (")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let age: u32 = rest[..digits].parse().ok()?;
        let is_age = (90..=120).contains(&age) && rest[digits..].starts_with([')', ' ', ',', 'y', 'F', 'M', 'f', 'm']);
        is_age.then_some(find.range.end + 2..find.range.end + 2 + digits)
    });
    for range in ages.collect::<Vec<_>>() {
        finds.add(range, Label::AgeOver89, KEYED);
    }
}

/// The de-identifier. It does not change, so threads may share it.
pub struct Deidentifier {
    lexicon: Lexicon,
    network: Option<Network>,
    names: Names,
    recognisers: Recognisers,
}

impl Deidentifier {
    /// Reads the tables' file.
    pub fn load(path: &Path) -> Result<Self, LoadTablesError> {
        Self::from_tables(&Tables::read(path)?)
    }

    /// Takes tables that are already read.
    pub fn from_tables(tables: &Tables) -> Result<Self, LoadTablesError> {
        let (lexicon, network) = (Lexicon::load(tables)?, Some(Network::load(tables)?));
        Ok(Self { lexicon, network, names: Names::new(), recognisers: Recognisers::new() })
    }

    /// The same without the neural recogniser: several times as fast, and for text that holds few names.
    #[must_use]
    pub fn without_network(mut self) -> Self {
        self.network = None;
        self
    }

    /// The word list.
    pub const fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The neural recogniser.
    pub const fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// The identifiers of a text, in order, without overlaps.
    pub fn find(&self, text: &str, point: OperatingPoint) -> Vec<Span> {
        self.find_with(text, point, &mut KnownNames::default())
    }

    /// The same within a conversation, whose names are known and become known.
    pub fn find_with(&self, text: &str, point: OperatingPoint, known: &mut KnownNames) -> Vec<Span> {
        let normalised = Normalised::new(text);
        let found = self.candidates(&normalised.text, point, known);
        let mut spans: Vec<Span> = Vec::with_capacity(found.len());
        for candidate in found {
            let range = normalised.original(candidate.range);
            // Two finds may meet in one character of the original, such as a ligature.
            if spans.last().is_none_or(|last| last.range.end <= range.start) {
                spans.push(Span { range, label: candidate.label });
            }
        }
        spans
    }

    fn candidates(&self, text: &str, point: OperatingPoint, known: &mut KnownNames) -> Vec<Candidate> {
        let tokens = tokenise(text, &self.lexicon);
        let mut finds = Finds(self.recognisers.find(text));
        places::find(text, &tokens, &self.lexicon, &mut finds);
        for named in self.names.find(text, &tokens, self.network.as_ref(), point.threshold(text)) {
            let part = &tokens[named.tokens.clone()];
            let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
            let weight = (NAME_WEIGHT * named.probability).round().clamp(0.0, NAME_WEIGHT);
            #[expect(clippy::cast_sign_loss, reason = "it was clamped")]
            let weight = weight as u8;
            finds.add(first.start..last.end, Label::Name, weight);
            if named.probability > 0.8 {
                known.learn(part);
            }
        }
        known.find(text, &tokens, &mut finds);
        ages_of_people(text, &mut finds);
        decide::decide(finds.0, text)
    }
}

impl CountIdentifiers for Deidentifier {
    fn count(&self, text: &str) -> IdentifierCounts {
        let mut counts = IdentifierCounts::new();
        for span in self.find(text, OperatingPoint::Balanced) {
            *counts.entry(span.label.kind()).or_insert(0) += 1;
        }
        counts
    }
}
