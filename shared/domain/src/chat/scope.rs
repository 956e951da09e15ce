//! What is outside ClinChat's scope: a diagnosis, or a decision about one person. The rules are data (`scope.txt`); a match
//! blocks nothing, it adds a notice to the answer. Tuned to leave questions about the rules of the house alone.

use std::collections::HashMap;
use std::sync::LazyLock;

const RULES: &str = include_str!("scope.txt");

/// What a question asks for that documents cannot give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfScope {
    /// What somebody has.
    Diagnosis,
    /// How it will go with somebody.
    Prognosis,
    /// What to do with somebody.
    Advice,
}

impl OutOfScope {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Diagnosis => "diagnosis",
            Self::Prognosis => "prognosis",
            Self::Advice => "advice",
        }
    }

    /// What a person is told.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Diagnosis => {
                "ClinChat quotes your organisation's documents; it does not diagnose. These passages may help whoever assesses the patient."
            }
            Self::Prognosis => {
                "ClinChat quotes your organisation's documents; it cannot say how one patient will do. These passages may help whoever assesses them."
            }
            Self::Advice => {
                "ClinChat quotes your organisation's documents; it does not advise on a patient. These passages may help whoever decides."
            }
        }
    }
}

/// An element of a rule.
#[derive(Debug, Clone)]
enum Element {
    /// One of these words.
    Word(Vec<&'static str>),
    /// Up to so many words of any kind.
    Gap(usize),
    /// The beginning of a sentence.
    Start,
}

struct Rules {
    asks: Vec<(OutOfScope, Vec<Element>)>,
    unless: Vec<Vec<Element>>,
}

static PARSED: LazyLock<Rules> = LazyLock::new(|| parse(RULES));

/// What the question asks for beyond the documents, if it does.
pub fn judge(question: &str) -> Option<OutOfScope> {
    let words = words(question);
    let rules = &*PARSED;
    let found = rules.asks.iter().find(|(_, rule)| (0..words.len()).any(|at| matches(rule, &words, at)))?.0;
    let is_excused = rules.unless.iter().any(|rule| (0..words.len()).any(|at| matches(rule, &words, at)));
    (!is_excused).then_some(found)
}

/// Words in lower case; a sentence's end is an empty one.
fn words(question: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let text = question.to_lowercase().replace('’', "'");
    for piece in text.split_whitespace() {
        let word = piece.trim_matches(|c: char| !c.is_alphanumeric());
        if !word.is_empty() {
            words.push(word.strip_suffix("'s").filter(|w| !matches!(*w, "what" | "who" | "it")).unwrap_or(word).to_owned());
        }
        if piece.ends_with(['.', '?', '!', ';']) && !matches!(word, "mr" | "mrs" | "ms" | "dr") {
            words.push(String::new());
        }
    }
    words
}

fn matches(rule: &[Element], words: &[String], at: usize) -> bool {
    let Some((first, rest)) = rule.split_first() else { return true };
    match first {
        Element::Word(any) => words.get(at).is_some_and(|word| any.contains(&word.as_str())) && matches(rest, words, at + 1),
        Element::Start => words.get(at).is_some_and(String::is_empty) && matches(rest, words, at + 1),
        Element::Gap(most) => (0..=*most)
            .take_while(|n| words[at..].iter().take(*n).all(|word| !word.is_empty()))
            .any(|n| matches(rest, words, at + n)),
    }
}

fn parse(text: &'static str) -> Rules {
    let mut classes: HashMap<&str, Vec<&'static str>> = HashMap::new();
    let mut rules = Rules { asks: Vec::new(), unless: Vec::new() };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('@') {
            if let Some((name, words)) = line.split_once(" = ") {
                classes.insert(name, words.split('|').collect());
            }
            continue;
        }
        let Some((kind, rule)) = line.split_once(": ") else { continue };
        let elements = rule.split_whitespace().map(|element| match element.strip_prefix("..") {
            _ if element == "^" => Element::Start,
            Some(most) => Element::Gap(most.parse().unwrap_or(0)),
            None => Element::Word(
                element.split('|').flat_map(|word| classes.get(word).cloned().unwrap_or_else(|| vec![word])).collect(),
            ),
        });
        let elements = elements.collect();
        match kind {
            "diagnosis" => rules.asks.push((OutOfScope::Diagnosis, elements)),
            "prognosis" => rules.asks.push((OutOfScope::Prognosis, elements)),
            "advice" => rules.asks.push((OutOfScope::Advice, elements)),
            _ => rules.unless.push(elements),
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labelled questions: `tune` was looked at while the rules were written, `report` was not.
    const EXAMPLES: &str = include_str!("scope_examples.jsonl");

    /// Questions of a split: how many ask for what is out of scope, how many of them were found, and how many others were.
    fn counts(split: &str) -> (usize, usize, usize, Vec<String>) {
        let (mut out, mut found, mut wrong, mut missed) = (0, 0, 0, Vec::new());
        for line in EXAMPLES.lines() {
            let example: serde_json::Value = serde_json::from_str(line).expect("JSON");
            if example["split"] != split {
                continue;
            }
            let question = example["question"].as_str().expect("a question");
            let judged = judge(question);
            if example["asks"].is_string() {
                out += 1;
                found += usize::from(judged.is_some());
            } else {
                wrong += usize::from(judged.is_some());
            }
            if judged.is_some() != example["asks"].is_string() {
                missed.push(question.to_owned());
            }
        }
        (out, found, wrong, missed)
    }

    #[test]
    fn questions_about_the_rules_of_the_house_get_no_notice() {
        let (_, _, tune, shown) = counts("tune");
        assert_eq!(tune, 0, "{shown:?}");
        let (_, _, report, shown) = counts("report");
        assert!(report <= 1, "{shown:?}");
    }

    #[test]
    fn questions_for_a_diagnosis_or_a_decision_are_told() {
        let (out, found, _, missed) = counts("tune");
        assert!(out >= 40 && found == out, "{missed:?}");
        let (out, found, _, missed) = counts("report");
        println!("report: {found} of {out}; {missed:?}");
        assert!(out >= 40 && 10 * found >= 8 * out, "{found} of {out}: {missed:?}");
    }

    #[test]
    fn every_class_that_a_rule_names_exists() {
        assert!(PARSED.asks.len() > 50 && PARSED.unless.len() > 4);
        let all = PARSED.asks.iter().map(|(_, rule)| rule).chain(&PARSED.unless).flatten();
        for element in all {
            if let Element::Word(words) = element {
                assert!(!words.is_empty() && words.iter().all(|word| !word.starts_with('@')), "{words:?}");
            }
        }
    }
}
