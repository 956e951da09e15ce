//! The word lists: what says the same, what says the opposite, and what says nothing of its own. They are files, so that
//! whoever knows the field can read and change them.

use super::spelling;
use crate::text::Analyzer;
use std::collections::{HashMap, HashSet};

const EQUIVALENTS: &str = include_str!("equivalents.txt");
const CONTRASTS: &str = include_str!("contrasts.txt");
const EVERYDAY: &str = include_str!("everyday.txt");

/// The lists, ready to be asked.
pub(super) struct Lexicon {
    /// Groups of a single word, by stem.
    words: HashMap<String, Vec<u16>>,
    /// Phrases of several words by their first stem: the stems and the group.
    phrases: HashMap<String, Vec<(Vec<String>, u16)>>,
    /// Sides by stem: pair and whether it is the left one.
    sides: HashMap<String, Vec<(u16, bool)>>,
    everyday: HashSet<String>,
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A word's stem in the one spelling; stop words as they are.
pub(super) fn stem(word: &str, analyzer: &Analyzer) -> String {
    let word = spelling::one(word);
    // The stemmer takes these for "severe" and "organ".
    if matches!(word.as_str(), "several" | "organization" | "organizations") {
        return word;
    }
    analyzer.terms(&word).into_iter().next().unwrap_or(word)
}

impl Lexicon {
    pub fn new(analyzer: &Analyzer) -> Self {
        let mut lexicon =
            Self { words: HashMap::new(), phrases: HashMap::new(), sides: HashMap::new(), everyday: HashSet::new() };
        for (group, line) in (0..).zip(lines(EQUIVALENTS)) {
            for member in line.split('=') {
                let stems: Vec<String> = member.split_whitespace().map(|w| stem(w, analyzer)).collect();
                match stems.as_slice() {
                    [] => {}
                    [one] => lexicon.words.entry(one.clone()).or_default().push(group),
                    [first, ..] => lexicon.phrases.entry(first.clone()).or_default().push((stems.clone(), group)),
                }
            }
        }
        for (pair, line) in (0..).zip(lines(CONTRASTS)) {
            for (side, words) in line.split('|').enumerate() {
                for word in words.split_whitespace() {
                    let sides = lexicon.sides.entry(stem(word, analyzer)).or_default();
                    if !sides.contains(&(pair, side == 0)) {
                        sides.push((pair, side == 0));
                    }
                }
            }
        }
        lexicon.everyday = lines(EVERYDAY).flat_map(str::split_whitespace).map(|w| stem(w, analyzer)).collect();
        lexicon
    }

    /// The groups of a word.
    pub fn groups(&self, stem: &str) -> &[u16] {
        self.words.get(stem).map_or(&[], Vec::as_slice)
    }

    /// The phrases that begin at the first of these stems: their length and group.
    pub fn phrases<'a>(&'a self, stems: &'a [&'a str]) -> impl Iterator<Item = (usize, u16)> + 'a {
        let candidates = stems.first().and_then(|first| self.phrases.get(*first)).map_or(&[][..], Vec::as_slice);
        candidates
            .iter()
            .filter(move |(phrase, _)| phrase.len() <= stems.len() && phrase.iter().zip(stems).all(|(a, b)| a == b))
            .map(|(phrase, group)| (phrase.len(), *group))
    }

    /// Which sides of which contrasts a word is on.
    pub fn sides(&self, stem: &str) -> &[(u16, bool)] {
        self.sides.get(stem).map_or(&[], Vec::as_slice)
    }

    /// Whether a word carries no claim of its own.
    pub fn is_everyday(&self, stem: &str) -> bool {
        self.everyday.contains(stem) && !self.sides.contains_key(stem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_group_joins_the_two_sides_of_a_contrast() {
        let analyzer = Analyzer::default();
        let lexicon = Lexicon::new(&analyzer);
        let mut wrong = Vec::new();
        for line in lines(EQUIVALENTS) {
            let members: Vec<&str> = line.split('=').map(str::trim).filter(|m| !m.contains(' ')).collect();
            for (at, a) in members.iter().enumerate() {
                for b in &members[at + 1..] {
                    for (pair, side) in lexicon.sides(&stem(a, &analyzer)) {
                        if lexicon.sides(&stem(b, &analyzer)).contains(&(*pair, !side)) {
                            wrong.push(format!("{a} = {b}"));
                        }
                    }
                }
            }
        }
        assert_eq!(wrong, [""; 0]);
    }
}
