//! Supported sentences: what a model could make of the words that it cites without changing what they say. They are made by
//! rules, so they are plainer than a model's.

use super::chance::Chance;
use super::edits::{capital, lower, places, replace, words};

/// Rewords a sentence, if it has what this needs.
type Rewording = fn(&str, &mut Chance) -> Option<String>;

/// What is done to a sentence.
pub const KINDS: &[(&str, Rewording)] = &[
    ("verbatim", |text, _| Some(text.to_owned())),
    ("other words", synonyms),
    ("clauses reordered", reordered),
    ("passive or active", turned),
    ("figures and abbreviations", notation),
    ("an aside dropped", shortened),
    ("introduced", introduced),
    ("spelling", respelled),
];

/// Written for this measurement, not taken from the checker's lists; some pairs are there, some are not.
const SYNONYMS: &[(&str, &str)] = &[
    ("about", "approximately"),
    ("additionally", "in addition"),
    ("after", "following"),
    ("also", "in addition"),
    ("although", "even though"),
    ("approximately", "about"),
    ("assess", "evaluate"),
    ("because", "as"),
    ("begin", "start"),
    ("begins", "starts"),
    ("called", "known as"),
    ("caused by", "due to"),
    ("check", "verify"),
    ("children", "kids"),
    ("common", "frequent"),
    ("commonly", "often"),
    ("conducted", "carried out"),
    ("contains", "has"),
    ("demonstrated", "showed"),
    ("determine", "establish"),
    ("develop", "get"),
    ("disease", "illness"),
    ("diseases", "illnesses"),
    ("disorder", "condition"),
    ("doctor", "physician"),
    ("doctors", "physicians"),
    ("drugs", "medicines"),
    ("during", "in the course of"),
    ("enough", "sufficient"),
    ("ensure", "make sure"),
    ("evaluate", "assess"),
    ("examined", "studied"),
    ("fever", "high temperature"),
    ("found", "observed"),
    ("frequently", "often"),
    ("give", "administer"),
    ("given", "administered"),
    ("heart attack", "myocardial infarction"),
    ("help", "assist"),
    ("helps", "assists"),
    ("high blood pressure", "hypertension"),
    ("however", "but"),
    ("important", "essential"),
    ("include", "comprise"),
    ("individuals", "people"),
    ("kidney", "renal"),
    ("known as", "called"),
    ("main", "primary"),
    ("may include", "can include"),
    ("medication", "drug"),
    ("medications", "medicines"),
    ("medicine", "drug"),
    ("medicines", "drugs"),
    ("much", "a great deal"),
    ("needed", "necessary"),
    ("obtain", "get"),
    ("occurs", "happens"),
    ("occur", "happen"),
    ("often", "frequently"),
    ("operation", "surgery"),
    ("participants", "subjects"),
    ("people", "individuals"),
    ("performed", "carried out"),
    ("physician", "doctor"),
    ("problems", "difficulties"),
    ("provide", "offer"),
    ("quickly", "rapidly"),
    ("rarely", "seldom"),
    ("receive", "get"),
    ("received", "were given"),
    ("record", "document"),
    ("remove", "take away"),
    ("required", "needed"),
    ("risk", "chance"),
    ("severe", "serious"),
    ("several", "a number of"),
    ("show", "demonstrate"),
    ("showed", "demonstrated"),
    ("shown", "demonstrated"),
    ("similar", "comparable"),
    ("start", "begin"),
    ("stop", "discontinue"),
    ("study", "investigation"),
    ("such as", "for example"),
    ("suggest", "indicate"),
    ("surgery", "an operation"),
    ("swelling", "oedema"),
    ("symptoms", "signs"),
    ("tell", "inform"),
    ("therefore", "thus"),
    ("throughout", "all through"),
    ("treated", "managed"),
    ("typically", "usually"),
    ("uncommon", "rare"),
    ("use", "employ"),
    ("used", "employed"),
    ("usually", "generally"),
    ("various", "different kinds of"),
    ("women", "females"),
];

fn synonyms(text: &str, chance: &mut Chance) -> Option<String> {
    let phrases: Vec<&str> = SYNONYMS.iter().map(|(from, _)| *from).collect();
    let mut found = places(text, &phrases);
    // A name keeps its words.
    found.retain(|(start, end, _)| *start == 0 || text[*start..*end].starts_with(char::is_lowercase));
    chance.shuffle(&mut found);
    let mut taken: Vec<(usize, usize, usize)> = Vec::new();
    for place in found {
        if taken.len() < 3 && taken.iter().all(|t| place.1 <= t.0 || t.1 <= place.0) {
            taken.push(place);
        }
    }
    taken.sort_unstable_by_key(|place| std::cmp::Reverse(place.0));
    (!taken.is_empty())
        .then(|| taken.iter().fold(text.to_owned(), |text, (start, end, which)| replace(&text, *start, *end, SYNONYMS[*which].1)))
}

/// "If A, B." to "B if A." and back.
fn reordered(text: &str, _: &mut Chance) -> Option<String> {
    let body = text.strip_suffix('.')?;
    for cue in ["if ", "when ", "because ", "although ", "in ", "after ", "before ", "for "] {
        if body.to_lowercase().starts_with(cue) {
            let (first, rest) = body.split_once(", ")?;
            let is_simple = rest.split_whitespace().count() >= 4
                && !rest.contains(',')
                && !rest.starts_with("and ")
                && !rest.starts_with("or ");
            return (is_simple && first.split_whitespace().count() >= 2)
                .then(|| format!("{} {}.", capital(rest), lower_first(first)));
        }
        let inner = format!(" {cue}");
        if matches!(cue, "if " | "when " | "because " | "although ") && body.matches(&inner).count() == 1 && !body.contains(',') {
            let (first, rest) = body.split_once(&inner)?;
            let enough = first.split_whitespace().count() >= 3 && rest.split_whitespace().count() >= 3;
            return enough.then(|| format!("{}{rest}, {}.", capital(cue), lower(first)));
        }
    }
    None
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().collect::<String>() + chars.as_str())
}

const VOICES: &[(&str, &str)] = &[
    ("causes", "is caused by"),
    ("affects", "is affected by"),
    ("requires", "is required by"),
    ("produces", "is produced by"),
    ("prevents", "is prevented by"),
    ("reduces", "is reduced by"),
    ("controls", "is controlled by"),
    ("contains", "is contained in"),
];

/// "A causes B." to "B is caused by A."; "Give A." to "A is given."
fn turned(text: &str, _: &mut Chance) -> Option<String> {
    let body = text.strip_suffix('.')?;
    for (active, passive) in VOICES {
        if let Some((subject, object)) = body.split_once(&format!(" {active} "))
            && !body.contains([',', ';', '(', ':'])
            && !object.contains(" and ")
            && (1..=8).contains(&subject.split_whitespace().count())
            && (1..=12).contains(&object.split_whitespace().count())
        {
            return Some(format!("{} {passive} {}.", capital(object), lower(subject)));
        }
    }
    let orders = [
        ("Give ", "given"),
        ("Use ", "used"),
        ("Take ", "taken"),
        ("Stop ", "stopped"),
        ("Start ", "started"),
        ("Record ", "recorded"),
        ("Check ", "checked"),
        ("Keep ", "kept"),
    ];
    let (order, done) = orders.iter().find(|(order, _)| body.starts_with(order))?;
    let rest = &body[order.len()..];
    let cut = [
        " if ", " when ", " for ", " with ", " until ", " before ", " after ", " every ", " at ", " in ", " within ", " to ",
        " and ", ",",
    ]
    .iter()
    .filter_map(|cue| rest.find(cue))
    .min()
    .unwrap_or(rest.len());
    (cut > 3).then(|| format!("{} is {done}{}.", capital(&rest[..cut]), &rest[cut..]))
}

const NOTATION: &[(&str, &str)] = &[
    ("twice daily", "bd"),
    ("twice a day", "two times a day"),
    ("three times a day", "tds"),
    ("once daily", "once a day"),
    ("intravenous", "IV"),
    ("intravenously", "IV"),
    ("intramuscular", "IM"),
    ("by mouth", "orally"),
    ("percent", "%"),
    ("milligrams", "mg"),
    ("micrograms", "mcg"),
    ("hours", "h"),
    ("minutes", "min"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("ten", "10"),
    ("at least", "no less than"),
    ("more than", "over"),
    ("less than", "under"),
    ("no more than", "up to"),
    ("do not", "don't"),
    ("does not", "doesn't"),
    ("is not", "isn't"),
    ("cannot", "can't"),
    ("for example", "e.g."),
    ("computed tomography", "CT"),
    ("urinary tract infection", "UTI"),
    ("high blood pressure", "hypertension"),
    ("magnetic resonance imaging", "MRI"),
    ("central nervous system", "CNS"),
];

fn notation(text: &str, chance: &mut Chance) -> Option<String> {
    let phrases: Vec<&str> = NOTATION.iter().map(|(from, _)| *from).collect();
    let mut found = places(text, &phrases);
    found.retain(|(start, end, which)| {
        // "more than" is a bound only before a figure; the word "percent" only after one.
        let after = text[*end..].trim_start();
        let before = text[..*start].trim_end();
        let is_figure = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        match NOTATION[*which].0 {
            "at least" | "more than" | "less than" | "no more than" => {
                is_figure(after.chars().next()) && !before.ends_with("no") && !before.ends_with("not")
            }
            "percent" | "hours" | "minutes" => is_figure(before.chars().next_back()),
            _ => true,
        }
    });
    let (start, end, which) = *chance.pick(&found)?;
    Some(replace(text, start, end, NOTATION[which].1))
}

/// Without what stands in brackets, or between commas after "which", "such as" or "including".
fn shortened(text: &str, _: &mut Chance) -> Option<String> {
    if let (Some(from), Some(to)) = (text.find(" ("), text.find(')'))
        && from < to
        && text.matches('(').count() == 1
        && !text[from..to].contains(['.', '%'])
    {
        return Some(format!("{}{}", &text[..from], &text[to + 1..]));
    }
    let body = text.strip_suffix('.')?;
    [", which ", ", including ", ", such as ", ", for example "].iter().find_map(|cue| {
        let from = body.find(cue)?;
        let to = body[from + 2..].find(", ").map(|at| at + from + 2);
        // A list goes on after its first comma: only what closes the sentence can go.
        let enough = body[..from].split_whitespace().count() >= 5;
        (to.is_none() && enough).then(|| format!("{}.", &body[..from]))
    })
}

const OPENINGS: &[&str] =
    &["According to the document, ", "The guideline says that ", "As described, ", "In general, ", "Note that "];

fn introduced(text: &str, chance: &mut Chance) -> Option<String> {
    Some(format!("{}{}", chance.pick(OPENINGS)?, lower(text)))
}

const SPELLINGS: &[(&str, &str)] = &[
    ("anemia", "anaemia"),
    ("edema", "oedema"),
    ("tumor", "tumour"),
    ("tumors", "tumours"),
    ("diarrhea", "diarrhoea"),
    ("hemoglobin", "haemoglobin"),
    ("leukemia", "leukaemia"),
    ("pediatric", "paediatric"),
    ("esophagus", "oesophagus"),
    ("color", "colour"),
    ("center", "centre"),
    ("randomized", "randomised"),
    ("hospitalized", "hospitalised"),
    ("hemorrhage", "haemorrhage"),
    ("fetus", "foetus"),
    ("fetal", "foetal"),
    ("anesthesia", "anaesthesia"),
    ("behavior", "behaviour"),
    ("liter", "litre"),
];

fn respelled(text: &str, chance: &mut Chance) -> Option<String> {
    let both: Vec<(&str, &str)> = SPELLINGS.iter().copied().chain(SPELLINGS.iter().map(|(a, b)| (*b, *a))).collect();
    let phrases: Vec<&str> = both.iter().map(|(from, _)| *from).collect();
    let found = places(text, &phrases);
    let (start, end, which) = *chance.pick(&found)?;
    Some(replace(text, start, end, both[which].1))
}

/// Two sentences as one.
pub fn merged(first: &str, second: &str) -> Option<String> {
    let first = first.strip_suffix('.')?;
    (words(first).len() + words(second).len() <= 45).then(|| format!("{first}, and {}", lower(second)))
}
