//! Unsupported sentences: one thing changed in a sentence that was supported.

use super::chance::Chance;
use super::edits::{lower, places, replace, words};

/// What the folder offers to put into a sentence: names and medicines of its other documents.
pub struct Pools {
    pub names: Vec<String>,
    pub clauses: Vec<String>,
}

/// One way to spoil a sentence. `None` where there is nothing of the kind.
type Corrupt = fn(&str, &Pools, &mut Chance) -> Option<String>;

/// What is changed.
pub const KINDS: &[(&str, Corrupt)] = &[
    ("figure", figure),
    ("figures swapped", figures_swapped),
    ("unit", unit),
    ("frequency", frequency),
    ("date or time", date),
    ("negation put in", denied),
    ("negation left out", affirmed),
    ("must, should, may", modality),
    ("bound or comparison", compared),
    ("direction", direction),
    ("name", name),
    ("medicine", drug),
    ("organ or disease", organ),
    ("clause added", added),
    ("clause of another document added", borrowed),
];

/// One of several pairs, turned either way, at a random place where it stands.
fn swap(text: &str, pairs: &[(&str, &str)], chance: &mut Chance) -> Option<String> {
    let both: Vec<(&str, &str)> = pairs.iter().copied().chain(pairs.iter().map(|(a, b)| (*b, *a))).collect();
    let phrases: Vec<&str> = both.iter().map(|(from, _)| *from).collect();
    let found = places(text, &phrases);
    // Of places that overlap the longest counts: "no more than" is not "more than".
    let longest: Vec<_> = found
        .iter()
        .filter(|(start, end, _)| !found.iter().any(|(s, e, _)| s <= start && end <= e && e - s > end - start))
        .collect();
    let (start, end, which) = **chance.pick(&longest)?;
    Some(replace(text, start, end, both[which].1))
}

const NUMBER_WORDS: &[&str] = &["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "twenty"];

/// The figures of a text that are no part of a name, a date or a time.
fn figures(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len()
            && (bytes[at].is_ascii_digit()
                || (matches!(bytes[at], b'.' | b',') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)))
        {
            at += 1;
        }
        let before = text[..start].chars().next_back();
        let after = text[at..].chars().next();
        let is_name = before.is_some_and(|c| c.is_alphabetic() || matches!(c, '-' | ':' | '/'))
            || after.is_some_and(|c| matches!(c, ':' | '/') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit));
        let is_year = at - start == 4 && (text[start..at].starts_with("19") || text[start..at].starts_with("20"));
        if !is_name && !is_year {
            found.push((start, at));
        }
    }
    found
}

fn figure(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    let mut found: Vec<(usize, usize, String)> = Vec::new();
    for (start, end) in figures(text) {
        let value: f64 = text[start..end].replace(',', "").parse().ok()?;
        let changed = match chance.below(4) {
            0 => value * 10.0,
            1 => value * 2.0,
            2 => value + 1.0,
            _ => {
                if value > 1.0 {
                    value - 1.0
                } else {
                    value + 2.0
                }
            }
        };
        let changed = (changed * 1000.0).round() / 1000.0;
        if (changed - value).abs() > 1e-9 {
            found.push((start, end, changed.to_string()));
        }
    }
    for (start, end, which) in places(text, NUMBER_WORDS) {
        found.push((
            start,
            end,
            NUMBER_WORDS[(which + 1 + chance.below(NUMBER_WORDS.len() - 1)) % NUMBER_WORDS.len()].to_owned(),
        ));
    }
    let (start, end, with) = chance.pick(&found)?;
    Some(replace(text, *start, *end, with))
}

fn figures_swapped(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    let found = figures(text);
    // Not the two ends of a range, which are as good the other way round to a reader.
    let mut pairs: Vec<((usize, usize), (usize, usize))> = found
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|(a, b)| text[a.0..a.1] != text[b.0..b.1] && text[a.1..b.0].split_whitespace().count() >= 3)
        .collect();
    chance.shuffle(&mut pairs);
    let (a, b) = *pairs.first()?;
    Some(format!("{}{}{}{}{}", &text[..a.0], &text[b.0..b.1], &text[a.1..b.0], &text[a.0..a.1], &text[b.1..]))
}

const UNITS: &[(&str, &str)] = &[
    ("mg", "g"),
    ("micrograms", "mg"),
    ("mcg", "mg"),
    ("ml", "l"),
    ("hours", "days"),
    ("hour", "day"),
    ("minutes", "hours"),
    ("minute", "hour"),
    ("days", "weeks"),
    ("weeks", "months"),
    ("months", "years"),
    ("years", "weeks"),
    ("mg/kg", "mg"),
    ("mm", "cm"),
    ("kg", "g"),
    ("mmol", "mol"),
    ("seconds", "minutes"),
    ("mmol/l", "mg/dl"),
    ("ng/ml", "mg/ml"),
    ("mg/dl", "g/dl"),
];

/// The unit behind a figure.
fn unit(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    let mut found = Vec::new();
    for (at, end) in words(text)
        .windows(2)
        .filter(|pair| pair[0].text.ends_with(|c: char| c.is_ascii_digit()) || NUMBER_WORDS.contains(&pair[0].text))
        .map(|pair| (pair[1].start, pair[1].end))
    {
        let word = text[at..end].to_lowercase();
        for (a, b) in UNITS {
            if word == *a {
                found.push((at, end, *b));
            }
        }
    }
    if let Some(at) = text.find('%').filter(|at| text[..*at].trim_end().ends_with(|c: char| c.is_ascii_digit())) {
        found.push((at, at + 1, " mg"));
    }
    let (start, end, with) = *chance.pick(&found)?;
    Some(format!("{}{with}{}", &text[..start], &text[end..]))
}

fn frequency(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    const PAIRS: &[(&str, &str)] = &[
        ("once daily", "twice daily"),
        ("twice daily", "three times daily"),
        ("once a day", "twice a day"),
        ("daily", "weekly"),
        ("every day", "every week"),
        ("twice a day", "four times a day"),
        ("weekly", "monthly"),
        ("once a year", "twice a year"),
        ("every year", "every month"),
    ];
    swap(text, PAIRS, chance)
}

const MONTHS: &[&str] =
    &["January", "February", "March", "April", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: &[&str] = &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn date(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    let mut found = Vec::new();
    for word in words(text) {
        for list in [MONTHS, DAYS] {
            if let Some(at) = list.iter().position(|name| *name == word.text) {
                found.push((word.start, word.end, list[(at + 1 + chance.below(list.len() - 1)) % list.len()].to_owned()));
            }
        }
        let is_year = word.text.len() == 4 && (word.text.starts_with("19") || word.text.starts_with("20"));
        if is_year && let Ok(year) = word.text.parse::<u32>() {
            found.push((word.start, word.end, (year - 1 - chance.below(9) as u32).to_string()));
        }
        if let Some((hour, minute)) = word.text.split_once(':')
            && let Ok(hour) = hour.parse::<u32>()
            && minute.len() == 2
            && minute.bytes().all(|b| b.is_ascii_digit())
        {
            found.push((word.start, word.end, format!("{:02}:{minute}", (hour + 1) % 24)));
        }
    }
    let (start, end, with) = chance.pick(&found)?;
    Some(format!("{}{with}{}", &text[..*start], &text[*end..]))
}

fn denied(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    const VERBS: &[&str] =
        &["is", "are", "was", "were", "can", "may", "should", "must", "will", "could", "has been", "have been", "be"];
    let found = places(text, VERBS);
    let plain: Vec<_> = found
        .iter()
        .filter(|(start, end, which)| {
            let after = text[*end..].trim_start().to_lowercase();
            let (before, verb) = (text[..*start].trim_end().to_lowercase(), VERBS[*which]);
            // Not before another verb of the list, where "not" would stand already, and not in a question's tag.
            !after.starts_with("not ")
                && !after.starts_with("no ")
                && !after.is_empty()
                && !after.starts_with([',', '.', ')', ';'])
                && (verb != "be" || before.ends_with(" to"))
        })
        .collect();
    if let Some((start, end, which)) = chance.pick(&plain) {
        let with = if VERBS[*which] == "be" {
            "not be".to_owned()
        } else {
            format!("{} not", text[*start..*end].split(' ').next().unwrap_or(""))
        };
        let rest = text[*start..*end].split_once(' ').map_or(String::new(), |(_, rest)| format!(" {rest}"));
        let rest = if VERBS[*which] == "be" { String::new() } else { rest };
        return Some(format!("{}{with}{rest}{}", &text[..*start], &text[*end..]));
    }
    let orders = ["Give ", "Use ", "Take ", "Start ", "Stop ", "Keep ", "Check ", "Record ", "Call ", "Wear ", "Wash "];
    orders.iter().any(|order| text.starts_with(order)).then(|| format!("Do not {}{}", text[..1].to_lowercase(), &text[1..]))
}

fn affirmed(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    let found = places(text, &["not", "never", "no", "without", "cannot", "do not", "does not", "did not"]);
    let longest: Vec<_> = found
        .iter()
        .filter(|(start, end, _)| !found.iter().any(|(s, e, _)| s <= start && end <= e && e - s > end - start))
        .collect();
    let (start, end, which) = **chance.pick(&longest)?;
    let after = &text[end..];
    // These are bounds and idioms, not denials.
    let idioms =
        [" more than", " less than", " later than", " only", " longer", " sooner", " necessarily", " fewer than", " one "];
    if idioms.iter().any(|idiom| after.starts_with(idiom)) || text[..start].trim_end().ends_with("or") {
        return None;
    }
    let with = match which {
        3 => "with",
        4 => "can",
        2 => "some",
        _ => "",
    };
    let spoiled = format!("{}{with}{after}", &text[..start]);
    let mut spoiled = spoiled.split_whitespace().collect::<Vec<_>>().join(" ");
    if start == 0 {
        spoiled = super::edits::capital(&spoiled);
    }
    Some(spoiled)
}

fn modality(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    const PAIRS: &[(&str, &str)] = &[
        ("must", "may"),
        ("should", "may"),
        ("can", "must"),
        ("may", "must"),
        ("might", "must"),
        ("has to", "may"),
        ("could", "must"),
    ];
    let phrases: Vec<&str> = PAIRS.iter().map(|(from, _)| *from).collect();
    let mut found = places(text, &phrases);
    found.retain(|(start, end, _)| {
        text[*start..*end].starts_with(char::is_lowercase) && !text[*end..].trim_start().starts_with(|c: char| c.is_ascii_digit())
    });
    let (start, end, which) = *chance.pick(&found)?;
    Some(replace(text, start, end, PAIRS[which].1))
}

fn compared(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    const PAIRS: &[(&str, &str)] = &[
        ("more than", "less than"),
        ("greater than", "less than"),
        ("at least", "at most"),
        ("up to", "at least"),
        ("no more than", "at least"),
        ("over", "under"),
        ("above", "below"),
        ("higher", "lower"),
        ("or more", "or less"),
        ("or older", "or younger"),
        ("or higher", "or lower"),
        ("better", "worse"),
        ("longer", "shorter"),
        ("earlier", "later"),
        ("larger", "smaller"),
        ("older", "younger"),
        ("maximum", "minimum"),
        ("exceeds", "is below"),
    ];
    let spoiled = swap(text, PAIRS, chance)?;
    // "over the last years" bounds nothing.
    (!text.contains(" over the ") && !text.contains(" over a ")).then_some(spoiled)
}

fn direction(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    const PAIRS: &[(&str, &str)] = &[
        ("before", "after"),
        ("increase", "decrease"),
        ("increased", "decreased"),
        ("increases", "decreases"),
        ("increasing", "decreasing"),
        ("reduced", "increased"),
        ("reduces", "increases"),
        ("reduction", "increase"),
        ("left", "right"),
        ("start", "stop"),
        ("started", "stopped"),
        ("high", "low"),
        ("positive", "negative"),
        ("common", "rare"),
        ("always", "never"),
        ("improved", "worsened"),
        ("male", "female"),
        ("men", "women"),
        ("early", "late"),
        ("acute", "chronic"),
        ("mild", "severe"),
        ("upper", "lower"),
        ("first", "last"),
        ("most", "least"),
        ("normal", "abnormal"),
        ("effective", "ineffective"),
        ("safe", "unsafe"),
    ];
    swap(text, PAIRS, chance)
}

/// Names inside a sentence: capital letters where none are due.
pub fn names_of(text: &str) -> Vec<&str> {
    let mut begins = true;
    let mut found = Vec::new();
    for word in words(text) {
        let is_name =
            word.text.starts_with(char::is_uppercase) && word.text.chars().all(char::is_alphabetic) && word.text.len() > 2;
        if is_name && !begins && !MONTHS.contains(&word.text) && !DAYS.contains(&word.text) && word.text != "May" {
            found.push(word.text);
        }
        begins = text[word.end..].starts_with(['.', ':', '?', '"', '”']);
    }
    found
}

fn name(text: &str, pools: &Pools, chance: &mut Chance) -> Option<String> {
    let found = names_of(text);
    let old = *chance.pick(&found)?;
    let at = words(text).into_iter().rfind(|w| w.text == old)?;
    let is_acronym = old.chars().all(char::is_uppercase);
    let others: Vec<&String> =
        pools.names.iter().filter(|n| !text.contains(n.as_str()) && n.chars().all(char::is_uppercase) == is_acronym).collect();
    Some(format!("{}{}{}", &text[..at.start], chance.pick(&others)?, &text[at.end..]))
}

const DRUGS: &[&str] = &[
    "amiodarone",
    "amoxicillin",
    "apixaban",
    "aspirin",
    "atenolol",
    "atorvastatin",
    "azithromycin",
    "bisoprolol",
    "ceftriaxone",
    "ciprofloxacin",
    "clopidogrel",
    "codeine",
    "dexamethasone",
    "diazepam",
    "digoxin",
    "dopamine",
    "enoxaparin",
    "fluconazole",
    "furosemide",
    "gentamicin",
    "heparin",
    "ibuprofen",
    "insulin",
    "levodopa",
    "lithium",
    "lorazepam",
    "metformin",
    "methotrexate",
    "metronidazole",
    "morphine",
    "naloxone",
    "noradrenaline",
    "omeprazole",
    "paracetamol",
    "penicillin",
    "phenytoin",
    "prednisolone",
    "prednisone",
    "propranolol",
    "ramipril",
    "rifampicin",
    "salbutamol",
    "simvastatin",
    "tamoxifen",
    "tramadol",
    "vancomycin",
    "warfarin",
];

fn drug(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    let found = places(text, DRUGS);
    let (start, end, which) = *chance.pick(&found)?;
    let low = text.to_lowercase();
    let others: Vec<&&str> =
        DRUGS.iter().enumerate().filter(|(at, d)| *at != which && !low.contains(**d)).map(|(_, d)| d).collect();
    Some(replace(text, start, end, chance.pick(&others)?))
}

const ORGANS: &[&str] = &[
    "anemia",
    "asthma",
    "bladder",
    "blood",
    "bone",
    "bowel",
    "brain",
    "breast",
    "cancer",
    "cholesterol",
    "colon",
    "cough",
    "depression",
    "diabetes",
    "diarrhea",
    "epilepsy",
    "eye",
    "eyes",
    "fever",
    "headache",
    "heart",
    "hepatitis",
    "infection",
    "insulin",
    "kidney",
    "kidneys",
    "liver",
    "lung",
    "lungs",
    "muscle",
    "muscles",
    "nausea",
    "pain",
    "pancreas",
    "pneumonia",
    "prostate",
    "rash",
    "seizures",
    "skin",
    "spine",
    "stomach",
    "stroke",
    "thyroid",
    "tuberculosis",
    "urine",
    "vomiting",
];

fn organ(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    let found = places(text, ORGANS);
    let (start, end, which) = *chance.pick(&found)?;
    let low = text.to_lowercase();
    let is_plural = ORGANS[which].ends_with('s');
    let others: Vec<&&str> = ORGANS.iter().filter(|o| o.ends_with('s') == is_plural && !low.contains(**o)).collect();
    Some(replace(text, start, end, chance.pick(&others)?))
}

/// What a model likes to add.
const ADDED: &[&str] = &[
    "and no further treatment is needed",
    "which is safe during pregnancy",
    "and the patient should be referred to a specialist",
    "because this lowers the risk of bleeding",
    "and most people recover completely",
    "which should be repeated every week",
    "but this is not recommended for older adults",
    "and it works best when taken with food",
    "although children need a lower dose",
    "and the family should be told at once",
    "which has no known side effects",
    "and this was confirmed in a large trial",
    "unless the patient is allergic to it",
    "and blood tests are done first",
    "which is more common in women",
];

fn added(text: &str, _: &Pools, chance: &mut Chance) -> Option<String> {
    let body = text.strip_suffix('.')?;
    Some(format!("{body}, {}.", chance.pick(ADDED)?))
}

fn borrowed(text: &str, pools: &Pools, chance: &mut Chance) -> Option<String> {
    let body = text.strip_suffix('.')?;
    let clause = chance.pick(&pools.clauses)?;
    let clause = clause.trim_end_matches('.');
    (!text.contains(clause)).then(|| format!("{body}, and {}.", lower(clause)))
}
