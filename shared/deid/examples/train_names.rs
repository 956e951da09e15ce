//! Trains the scorer of names and writes `src/names/weights.bin`. Run by hand, when features or templates change:
//!
//! ```sh
//! zcat models/deid/census.txt.gz > target/census.txt
//! cargo run --release -p deid --example train_names -- target/census.txt [LABELLED.jsonl...]
//! ```
//!
//! Sentences are made from `training/` and the name lists; labelled files (`{"text", "spans"}`) may add real text: those used for
//! the committed weights are MTS-Dialog and ACI-BENCH (CC BY 4.0), `MedQuAD` (CC BY 4.0) and `PubMedQA` (MIT), in halves that no
//! figure is reported on. Some names lose what the lists know of them, so that the scorer learns to do without.

#![expect(clippy::format_push_string, clippy::assigning_clones, reason = "a short program from top to bottom")]

use deid::names::chain::Chain;
use deid::names::features::{Scene, WEIGHTS};
use deid::names::recognise;
use deid::tokens::tokenise;
use deid::{Deidentifier, Entry, TABLES_FILE};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// Sentences that are made.
const SENTENCES: usize = 60_000;
/// Passes over them.
const EPOCHS: usize = 5;

/// A small generator of numbers, so that the same files give the same weights.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
    fn is(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Names by list.
#[derive(Default)]
struct Pools {
    first: Vec<String>,
    first_frequent: Vec<String>,
    first_foreign: Vec<String>,
    last: Vec<String>,
    last_frequent: Vec<String>,
    last_foreign: Vec<String>,
    words: Vec<String>,
}

fn capitalised(word: &str) -> String {
    word.split('-')
        .map(|part| part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect::<String>())
        .collect::<Vec<_>>()
        .join("-")
}

impl Pools {
    fn read(census: &str, foreign: &str, deid: &Deidentifier) -> Self {
        let mut pools = Self::default();
        for line in census.lines() {
            let parts: Vec<&str> = line.split(' ').collect();
            let &[kind, name, level] = parts.as_slice() else { continue };
            let (name, level) = (capitalised(name), level.parse::<u32>().unwrap_or(0));
            let is_word =
                deid.lexicon().get(&name.to_lowercase()).common() >= 4 && deid.lexicon().get(&name.to_lowercase()).is_word();
            match kind {
                "f" | "g" => {
                    if is_word {
                        pools.words.push(name.clone());
                    }
                    if level > 3 {
                        pools.first_frequent.push(name.clone());
                    }
                    pools.first.push(name);
                }
                "l" => {
                    if is_word && level > 1 {
                        pools.words.push(name.clone());
                    }
                    if level > 3 {
                        pools.last_frequent.push(name.clone());
                    }
                    pools.last.push(name);
                }
                _ => {}
            }
        }
        for line in foreign.lines() {
            let names = line.get(2..).unwrap_or_default().split(' ').map(str::to_owned);
            match line.get(..2) {
                Some("f ") => pools.first_foreign.extend(names),
                Some("l ") => pools.last_foreign.extend(names),
                _ => {}
            }
        }
        pools
    }

    fn mutate(name: String, chance: &mut Chance) -> String {
        if !chance.is(8) {
            return name;
        }
        let mut letters: Vec<char> = name.chars().collect();
        for _ in 0..2 {
            let at = chance.below(letters.len().saturating_sub(1)) + 1;
            if at < letters.len() && letters[at].is_alphabetic() {
                letters[at] = *chance.pick(&['a', 'e', 'i', 'o', 'u', 'n', 'r', 's', 't', 'k', 'z', 'h']);
            }
        }
        letters.into_iter().collect()
    }

    fn first(&self, chance: &mut Chance) -> String {
        let pool = match chance.below(100) {
            0..45 => &self.first_frequent,
            45..70 => &self.first,
            _ => &self.first_foreign,
        };
        Self::mutate(chance.pick(pool).clone(), chance)
    }

    fn last(&self, chance: &mut Chance) -> String {
        let pool = match chance.below(100) {
            0..25 => &self.last_frequent,
            25..62 => &self.last,
            62..72 => &self.words,
            _ => &self.last_foreign,
        };
        let name = chance.pick(pool).clone();
        let name = match chance.below(60) {
            0 => format!("van der {name}"),
            1 => format!("de {name}"),
            2 => format!("{name}-{}", chance.pick(&self.last)),
            3 => format!("O'{name}"),
            4 => format!("{name} {}", chance.pick(&self.last_foreign)),
            _ => name,
        };
        Self::mutate(name, chance)
    }

    fn full(&self, chance: &mut Chance) -> String {
        let (first, last) = (self.first(chance), self.last(chance));
        let initial = (b'A' + chance.below(26) as u8) as char;
        match chance.below(100) {
            0..34 => format!("{first} {last}"),
            34..44 => format!("{first} {last}").to_uppercase(),
            44..59 => format!("{first} {last}").to_lowercase(),
            59..67 => format!("{last}, {first}"),
            67..73 => format!("{last}, {first}").to_uppercase(),
            73..79 => format!("{}. {last}", first.chars().next().unwrap_or('A')),
            79..85 => format!("{first} {initial}. {last}"),
            85..89 => format!("{last}, {first} {initial}"),
            89..92 => first,
            92..95 => last,
            95..97 => format!("{first} {initial} {last}"),
            97 => format!("{} {last}", first.chars().next().unwrap_or('A')),
            98 => first.to_lowercase(),
            _ => format!("{last} {first}"),
        }
    }
}

/// A text and where its names are.
struct Example {
    text: String,
    names: Vec<Range<usize>>,
}

fn fill(template: &str, pools: &Pools, slots: &HashMap<char, Vec<String>>, towns: &[&str], chance: &mut Chance) -> Example {
    let (mut text, mut names) = (String::new(), Vec::new());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            (text, rest) = (text + "{", after);
            continue;
        }
        let Some((slot, after)) = rest.split_once('}') else { break };
        let start = text.len();
        match slot {
            "N" => text += &pools.full(chance),
            "F" => {
                text += &{
                    let name = pools.first(chance);
                    if chance.is(8) { name.to_lowercase() } else { name }
                }
            }
            "L" => {
                text += &{
                    let name = pools.last(chance);
                    if chance.is(6) { name.to_lowercase() } else { name }
                }
            }
            "T" => text.push_str(chance.pick::<&str>(towns)),
            "A" => text += &(chance.below(80) + 18).to_string(),
            "M" => text += &(chance.next() % 90_000_000 + 10_000_000).to_string(),
            "W" => {
                text += &match chance.below(4) {
                    0 => format!("{}/{}/{}", chance.below(12) + 1, chance.below(28) + 1, 1930 + chance.below(95)),
                    1 => format!("March {}, {}", chance.below(28) + 1, 1990 + chance.below(35)),
                    2 => format!("{}/{}", chance.below(12) + 1, chance.below(28) + 1),
                    _ => format!("20{:02}-0{}-1{}", chance.below(26), chance.below(9) + 1, chance.below(9)),
                }
            }
            slot => text += chance.pick::<String>(&slots[&slot.chars().next().unwrap_or('D')]),
        }
        if matches!(slot, "N" | "F" | "L") {
            names.push(start..text.len());
        }
        rest = after;
    }
    text.push_str(&rest.replace("}}", "}"));
    match chance.below(100) {
        0..12 => text = text.to_lowercase(),
        12..14 => text = text.to_uppercase(),
        14..24 if text.is_ascii() => text = text.trim_end_matches(['.', '?']).to_owned(),
        _ => {}
    }
    // A capital letter may have another length in lower case; such a text is rare enough to be left out.
    names.retain(|name| text.is_char_boundary(name.start) && text.get(name.clone()).is_some());
    Example { text, names }
}

/// One token sequence with its features and what is true.
struct Sample {
    features: Vec<Vec<u32>>,
    is_name: Vec<bool>,
}

fn sample(example: &Example, deid: &Deidentifier, chance: &mut Chance) -> Sample {
    let mut tokens = tokenise(&example.text, deid.lexicon());
    let is_in = |range: &Range<usize>| example.names.iter().any(|name| name.start <= range.start && range.end <= name.end);
    let mut is_name: Vec<bool> = tokens.iter().map(|token| is_in(&token.range()) && token.is_word()).collect();
    for at in 1..tokens.len().saturating_sub(1) {
        // Marks inside a name belong to it, so that the chain stays in its state.
        is_name[at] |= !tokens[at].is_word() && is_in(&tokens[at].range());
    }
    let (drops_names, drops_guards) = (chance.is(30), chance.is(30));
    let entities = deid.network().map(|network| recognise(&example.text, &tokens, network)).unwrap_or_default();
    for (token, is_name) in tokens.iter_mut().zip(&is_name) {
        let entry: Entry = token.entry;
        if *is_name && drops_names && chance.is(50) {
            token.entry = entry.without_names();
        } else if !*is_name && drops_guards && chance.is(50) {
            token.entry = entry.without_guards();
        }
    }
    let scene = Scene::new(&example.text, &tokens, &entities);
    let features = (0..tokens.len()).map(|at| {
        let mut found = Vec::new();
        scene.features(at, &mut found);
        found
    });
    Sample { features: features.collect(), is_name }
}

/// The paragraphs of labelled text; in some, "the patient" gets a name.
fn labelled(path: &str, pools: &Pools, chance: &mut Chance) -> Vec<Example> {
    let text = std::fs::read_to_string(path).expect("a labelled file");
    let mut found = Vec::new();
    for line in text.lines() {
        let document: serde_json::Value = serde_json::from_str(line).expect("JSON Lines");
        let text = document["text"].as_str().unwrap_or_default();
        let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let place = |span: &serde_json::Value, key: &str| offsets.get(span[key].as_u64()? as usize).copied();
        let spans = document["spans"].as_array().cloned().unwrap_or_default();
        let names: Vec<Range<usize>> = spans
            .iter()
            .filter(|span| span["label"] == "NAME")
            .filter_map(|span| Some(place(span, "start")?..place(span, "end")?))
            .collect();
        let mut start = 0;
        for part in text.split_inclusive("\n\n") {
            let range = start..start + part.len();
            start = range.end;
            if part.trim().len() < 4 {
                continue;
            }
            let inside: Vec<Range<usize>> = names
                .iter()
                .filter(|name| range.start <= name.start && name.end <= range.end)
                .map(|name| name.start - range.start..name.end - range.start)
                .collect();
            if inside.is_empty() && chance.is(35) && part.contains("he patient") {
                found.push(personal(part, pools, chance));
            }
            found.push(Example { text: part.to_owned(), names: inside });
        }
    }
    found
}

fn personal(part: &str, pools: &Pools, chance: &mut Chance) -> Example {
    let name = match chance.below(4) {
        0 => pools.first(chance),
        1 => format!("{} {}", pools.first(chance), pools.last(chance)),
        2 => pools.last(chance),
        _ => pools.full(chance),
    };
    let title = match chance.below(6) {
        0 => "Mr. ",
        1 => "Mrs. ",
        2 => "Ms. ",
        _ => "",
    };
    let (mut text, mut names) = (String::new(), Vec::new());
    let mut rest = part;
    while let Some(at) = rest.find("he patient") {
        let cut = at.saturating_sub(1);
        text.push_str(&rest[..cut]);
        if rest[at + 10..].starts_with(|c: char| c.is_alphanumeric()) || !matches!(&rest[cut..at], "t" | "T") {
            text.push_str(&rest[cut..at + 10]);
        } else {
            text.push_str(title);
            names.push(text.len()..text.len() + name.len());
            text.push_str(&name);
        }
        rest = &rest[at + 10..];
    }
    text.push_str(rest);
    Example { text, names }
}

fn train(samples: &[Sample], chance: &mut Chance) -> Chain {
    let mut chain = Chain::zero();
    let mut squares = vec![1e-2_f32; WEIGHTS + 6];
    let mut order: Vec<usize> = (0..samples.len()).collect();
    for epoch in 0..EPOCHS {
        for at in (1..order.len()).rev() {
            order.swap(at, chance.below(at + 1));
        }
        let (mut loss, mut count) = (0.0_f64, 0_usize);
        let rate = 0.12 / (1.0 + epoch as f32 * 0.5);
        for index in &order {
            let sample = &samples[*index];
            let potentials: Vec<f32> = sample
                .features
                .iter()
                .map(|features| features.iter().map(|feature| chain.weights[*feature as usize]).sum())
                .collect();
            let (states, steps) = chain.marginals(&potentials);
            for (at, is_name) in sample.is_name.iter().enumerate() {
                let error = f32::from(u8::from(*is_name)) - states[at];
                loss -= f64::from(if *is_name { states[at] } else { 1.0 - states[at] }).max(1e-9).ln();
                count += 1;
                if error.abs() > 1e-3 {
                    for feature in &sample.features[at] {
                        let feature = *feature as usize;
                        let gradient = error - 2e-5 * chain.weights[feature];
                        squares[feature] += gradient * gradient;
                        chain.weights[feature] += rate * gradient / squares[feature].sqrt();
                    }
                }
                if at > 0 {
                    let taken = 2 * usize::from(sample.is_name[at - 1]) + usize::from(*is_name);
                    for step in 0..4 {
                        let gradient = f32::from(u8::from(step == taken)) - steps[at - 1][step];
                        squares[WEIGHTS + step] += gradient * gradient;
                        chain.steps[step] += rate * gradient / squares[WEIGHTS + step].sqrt();
                    }
                }
            }
        }
        println!("pass {}: loss {:.5} a token", epoch + 1, loss / count.max(1) as f64);
    }
    chain
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file of the repository");
    let mut arguments = std::env::args().skip(1);
    let census = std::fs::read_to_string(arguments.next().expect("the unpacked census file")).expect("the census file");
    let deid = Deidentifier::load(&root.join("../../models").join(TABLES_FILE)).expect("the tables");
    let pools = Pools::read(&census, &read("../../models/deid/names-international.txt"), &deid);
    let (positive, negative) = (read("training/positive.txt"), read("training/negative.txt"));
    let templates =
        |text: &'static str| text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect::<Vec<_>>();
    let (positive, negative) = (templates(positive.leak()), templates(negative.leak()));
    let slots: HashMap<char, Vec<String>> = read("training/slots.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some((line.chars().next()?, line.get(2..)?.split('|').map(str::to_owned).collect())))
        .collect();
    let towns = [
        "Springfield",
        "Fresno",
        "Dayton",
        "Boise",
        "Salem",
        "Portland",
        "Tucson",
        "Madison",
        "Jackson",
        "Paris",
        "Houston",
        "Lincoln",
        "Erie",
        "Waco",
        "Reno",
        "Austin",
        "Charlotte",
        "Florence",
        "Santa Fe",
        "St. Paul",
    ];
    let mut chance = Chance(0x00c1_1a1c);
    let mut samples = Vec::new();
    for _ in 0..SENTENCES {
        let template = if chance.is(62) { *chance.pick(&positive) } else { *chance.pick(&negative) };
        let mut example = fill(template, &pools, &slots, &towns, &mut chance);
        if chance.is(25) {
            let template = if chance.is(50) { *chance.pick(&positive) } else { *chance.pick(&negative) };
            let second = fill(template, &pools, &slots, &towns, &mut chance);
            let link = *chance.pick(&[". ", " ", "? ", "\n", "; ", ", "]);
            let start = example.text.len() + link.len();
            example.text = format!("{}{link}{}", example.text, second.text);
            example.names.extend(second.names.into_iter().map(|name| name.start + start..name.end + start));
        }
        samples.push(sample(&example, &deid, &mut chance));
    }
    println!("{} made sentences", samples.len());
    for path in arguments {
        let examples = labelled(&path, &pools, &mut chance);
        println!("{} paragraphs of {path}", examples.len());
        samples.extend(examples.iter().map(|example| sample(example, &deid, &mut chance)));
    }
    let tokens: usize = samples.iter().map(|sample| sample.is_name.len()).sum();
    println!("{tokens} tokens");
    let chain = train(&samples, &mut chance);
    let used = chain.weights.iter().filter(|weight| weight.abs() > 1.0 / 32.0).count();
    println!("{used} of {WEIGHTS} weights used, steps {:?}", chain.steps);
    std::fs::write(root.join("src/names/weights.bin"), chain.to_bytes()).expect("the weights are written");
}
