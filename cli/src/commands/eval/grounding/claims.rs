//! Sentences of the folder's documents, reworded and corrupted, through the support check that every answer passes.

use super::chance::Chance;
use super::collection::{Collection, Source};
use super::edits::words;
use super::{Grounding, corruptions, rewordings};
use anyhow::{Result, ensure};
use domain::chat::support::{Support, SupportChecker};
use domain::retrieval::Embedder;
use domain::text;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Sentences of so many words are used: shorter ones claim little, longer ones are lists that a parser has joined.
const WORDS: std::ops::RangeInclusive<usize> = 7..=40;
/// Names offered for exchange.
const NAMES_MAX: usize = 400;

/// How one kind of sentence was judged.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How many there were.
    pub made: usize,
    /// How many were rejected.
    pub rejected: usize,
    /// Reasons and how often each was given.
    pub reasons: BTreeMap<&'static str, usize>,
    /// Sentences that were judged wrongly, with what they cite.
    pub wrong: Vec<Wrong>,
}

/// A sentence that was judged wrongly.
#[derive(Debug, Clone)]
pub struct Wrong {
    pub sentence: String,
    pub cited: String,
    pub reason: &'static str,
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Claims {
    /// Sentences that were taken from the documents.
    pub sentences: usize,
    /// Supported sentences by kind.
    pub supported: Vec<(&'static str, Tally)>,
    /// Corrupted ones.
    pub corrupted: Vec<(&'static str, Tally)>,
}

impl Claims {
    /// All kinds together.
    pub fn total(kinds: &[(&'static str, Tally)]) -> (usize, usize) {
        kinds.iter().fold((0, 0), |(made, rejected), (_, tally)| (made + tally.made, rejected + tally.rejected))
    }

    fn tally(kinds: &mut Vec<(&'static str, Tally)>, kind: &'static str) -> usize {
        kinds.iter().position(|(name, _)| *name == kind).unwrap_or_else(|| {
            kinds.push((kind, Tally::default()));
            kinds.len() - 1
        })
    }
}

/// A sentence and what stands around it.
struct Taken<'a> {
    source: usize,
    text: &'a str,
    /// The sentence with its neighbours: what a model would cite as a passage.
    around: String,
    next: Option<&'a str>,
}

/// Judges every sentence that can be made.
pub fn measure(options: &Grounding, collection: &Collection, embedder: &dyn Embedder) -> Result<Claims> {
    let mut chance = Chance::new(options.seed);
    let mut taken = sentences(&collection.sources);
    ensure!(taken.len() >= 2, "the documents have no sentences of {} to {} words", WORDS.start(), WORDS.end());
    chance.shuffle(&mut taken);
    let pools = pools(&taken, &mut chance);
    let checker = SupportChecker::default();
    let mut claims = Claims { sentences: taken.len().min(options.sentences), ..Claims::default() };
    let judge = |kinds: &mut Vec<(&'static str, Tally)>, kind, sentence: &str, cited: &[&str], is_supported: bool| {
        let at = Claims::tally(kinds, kind);
        let tally = &mut kinds[at].1;
        let verdict = checker.check(sentence, cited, embedder);
        tally.made += 1;
        let reason = match verdict {
            Ok(Support::Quoted) => "quoted",
            Ok(Support::Reworded) => "accepted",
            Err(reason) => reason.as_str(),
        };
        *tally.reasons.entry(reason).or_default() += 1;
        tally.rejected += usize::from(verdict.is_err());
        if verdict.is_ok() != is_supported && tally.wrong.len() < options.examples {
            tally.wrong.push(Wrong { sentence: sentence.to_owned(), cited: cited.join(" ⏎ "), reason });
        }
    };
    for (at, sentence) in taken.iter().take(options.sentences).enumerate() {
        // Half of the sentences cite themselves, half the three sentences around them.
        let cited = if at % 2 == 0 { sentence.text.to_owned() } else { sentence.around.clone() };
        for (kind, reword) in rewordings::KINDS {
            if let Some(reworded) = reword(sentence.text, &mut chance) {
                judge(&mut claims.supported, kind, &reworded, &[&cited], true);
            }
        }
        let other = &taken[(at + 1 + chance.below(taken.len() - 1)) % taken.len()];
        if let Some(both) = rewordings::merged(sentence.text, other.text) {
            judge(&mut claims.supported, "two sentences merged", &both, &[sentence.text, other.text], true);
        }
        for (kind, corrupt) in corruptions::KINDS {
            let spoiled = corrupt(sentence.text, &pools, &mut chance);
            if let Some(spoiled) = spoiled.filter(|spoiled| !holds(&cited, spoiled)) {
                judge(&mut claims.corrupted, kind, &spoiled, &[&cited], false);
            }
        }
        if let Some(next) = sentence.next.filter(|next| !says_as_much(next, sentence.text)) {
            judge(&mut claims.corrupted, "citation of the next sentence", sentence.text, &[next], false);
        }
        if other.source != sentence.source && !says_as_much(&other.around, sentence.text) {
            judge(&mut claims.corrupted, "citation of another document", sentence.text, &[&other.around], false);
        }
    }
    Ok(claims)
}

/// Sentences that can stand alone, each once.
fn sentences(sources: &[Source]) -> Vec<Taken<'_>> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        for page in &source.pages.pages {
            for block in &page.blocks {
                let Some(bytes) = text::byte_range(&page.text, &(block.start..block.end)) else { continue };
                let block = &page.text[bytes];
                let all: Vec<&str> = text::sentences(block).into_iter().map(|range| &block[range]).collect();
                for (n, sentence) in all.iter().enumerate() {
                    let is_whole = sentence.ends_with('.')
                        && sentence.starts_with(char::is_uppercase)
                        && !sentence.contains(['|', '?', '•']);
                    if is_whole && WORDS.contains(&words(sentence).len()) && seen.insert(*sentence) {
                        found.push(Taken {
                            source: at,
                            text: sentence,
                            around: all[n.saturating_sub(1)..(n + 2).min(all.len())].join(" "),
                            next: all.get(n + 1).copied().filter(|next| words(next).len() >= *WORDS.start()),
                        });
                    }
                }
            }
        }
    }
    found
}

fn pools(taken: &[Taken<'_>], chance: &mut Chance) -> corruptions::Pools {
    let names: BTreeSet<&str> = taken.iter().flat_map(|sentence| corruptions::names_of(sentence.text)).collect();
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    chance.shuffle(&mut names);
    names.truncate(NAMES_MAX);
    let short = taken.iter().map(|sentence| sentence.text).filter(|text| words(text).len() <= 14).map(str::to_owned);
    corruptions::Pools { names, clauses: short.collect() }
}

/// Whether the words stand there as they are: then nothing was spoiled.
fn holds(cited: &str, sentence: &str) -> bool {
    cited.contains(sentence.trim_end_matches('.'))
}

/// Whether another sentence has nearly all of these words: then it may well support them.
fn says_as_much(other: &str, sentence: &str) -> bool {
    let low = |text: &str| words(text).iter().map(|word| word.text.to_lowercase()).collect::<HashSet<_>>();
    let (there, said) = (low(other), low(sentence));
    said.intersection(&there).count() * 5 >= said.len() * 4
}
