//! The support check: whether what a sentence claims is in the words that it cites. It is deterministic and the same for
//! every model's sentences; whatever it cannot find there, it takes as unsupported.
//!
//! Order of reading: [`SupportChecker::check`], then `claims` (what is compared), `reading` and `quantities` (how a text is
//! read), `lexicon` (the word lists).

mod claims;
mod lexicon;
mod quantities;
mod reading;
mod spelling;

use crate::retrieval::Embedder;
use crate::text::{self, Analyzer};
use claims::{Claim, Evidence};
use lexicon::Lexicon;
use std::fmt;

/// A sentence further than this from the words that it cites means something else, whatever its words say. Of faithful
/// rewordings fewer than 1 in 100 are below (`clinchat eval grounding`).
const MEANING_MIN: f32 = 0.45;

/// What a sentence claims that the words that it cites do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unsupported {
    /// It cites nothing.
    Nothing,
    /// A figure that is not there, or that is there for something else.
    Number,
    /// A figure that is there with another unit.
    Unit,
    /// A figure that is there with another bound: less than, at least, up to.
    Comparator,
    /// A date, weekday, month, year or time of day.
    Date,
    /// It denies what they say, or says what they deny.
    Negation,
    /// It leaves out or brings in an exception.
    Condition,
    /// It is stronger or weaker: must, should, may.
    Modality,
    /// It turns a comparison or a direction round: more and less, before and after, start and stop.
    Contrast,
    /// A name, a medicine, an organism or an abbreviation.
    Name,
    /// Other words that say something.
    Content,
    /// The words are there, the meaning is another.
    Meaning,
}

impl Unsupported {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing_cited",
            Self::Number => "number",
            Self::Unit => "unit",
            Self::Comparator => "comparator",
            Self::Date => "date",
            Self::Negation => "negation",
            Self::Condition => "condition",
            Self::Modality => "modality",
            Self::Contrast => "contrast",
            Self::Name => "name",
            Self::Content => "content",
            Self::Meaning => "meaning",
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a sentence is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Word for word.
    Quoted,
    /// In other words; every claim was found.
    Reworded,
}

/// Checks sentences against the words that they cite.
pub struct SupportChecker {
    analyzer: Analyzer,
    lexicon: Lexicon,
}

impl Default for SupportChecker {
    fn default() -> Self {
        let analyzer = Analyzer::default();
        let lexicon = Lexicon::new(&analyzer);
        Self { analyzer, lexicon }
    }
}

impl SupportChecker {
    /// Accepts a sentence if the cited texts say all that it says. The embedder is asked only about rewordings that
    /// passed everything else.
    pub fn check(&self, sentence: &str, cited: &[&str], embedder: &dyn Embedder) -> Result<Support, Unsupported> {
        if cited.iter().all(|text| text.trim().is_empty()) {
            return Err(Unsupported::Nothing);
        }
        if is_quoted(sentence, cited) {
            return Ok(Support::Quoted);
        }
        self.claims(sentence, cited)?;
        let meaning = embedder.embed(sentence);
        // A passage says many things: the claim has to be near one of its sentences, or near all that is cited.
        let sentences = cited.iter().flat_map(|text| text::sentences(text).into_iter().map(move |range| &text[range]));
        let whole = cited.join(" ");
        let is_near = |text: &str| meaning.cosine(&embedder.embed(text)) >= MEANING_MIN;
        if is_near(&whole) || sentences.into_iter().any(is_near) { Ok(Support::Reworded) } else { Err(Unsupported::Meaning) }
    }

    /// The part of the check that needs no vectors.
    pub fn claims(&self, sentence: &str, cited: &[&str]) -> Result<(), Unsupported> {
        let claim = Claim::read(sentence, &self.analyzer, &self.lexicon);
        // The sentence breaks between cited texts are kept, so that nothing is read across them.
        let evidence = Evidence::read(&cited.join("\n"), &self.analyzer, &self.lexicon);
        claims::compare(&claim, &evidence, &self.lexicon)
    }
}

/// What is left of a text without white space, bullet or number, and the closing full stop.
fn letters(text: &str) -> String {
    super::quote::readable(text)
        .trim_end_matches(|c: char| c.is_whitespace() || c == '.')
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect()
}

/// Whether the sentence is one of the cited texts, all of them one after the other, or what [`super::quote`] makes of them:
/// whole sentences, never a part of one ("do not give" holds "give").
fn is_quoted(sentence: &str, cited: &[&str]) -> bool {
    let said = letters(sentence);
    !said.is_empty()
        && (cited.iter().any(|text| letters(text) == said || holds_sentences(text, &said))
            || letters(&cited.join(" ")) == said
            || super::quote::joined(cited).is_some_and(|text| letters(&text) == said))
}

/// Whether whole sentences of a text, one after the other, say this.
fn holds_sentences(text: &str, said: &str) -> bool {
    let ranges = text::sentences(text);
    (0..ranges.len()).any(|from| {
        let runs = ranges[from..].iter().map(|last| letters(&text[ranges[from].start..last.end]));
        runs.take_while(|run| run.len() <= said.len()).any(|run| run == said)
    })
}

#[cfg(test)]
mod tests;
