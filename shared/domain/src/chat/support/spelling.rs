//! One spelling for British and American, and endings that turn a verb into its noun.

/// Forms that no rule leads back to their word.
const IRREGULAR: &[(&str, &str)] = &[
    ("analyses", "analysis"),
    ("arisen", "arise"),
    ("arose", "arise"),
    ("ate", "eat"),
    ("bacterium", "bacteria"),
    ("became", "become"),
    ("began", "begin"),
    ("begun", "begin"),
    ("bled", "bleed"),
    ("broke", "break"),
    ("broken", "break"),
    ("brought", "bring"),
    ("built", "build"),
    ("came", "come"),
    ("caught", "catch"),
    ("children", "child"),
    ("chose", "choose"),
    ("chosen", "choose"),
    ("criteria", "criterion"),
    ("dealt", "deal"),
    ("diagnoses", "diagnosis"),
    ("died", "die"),
    ("drank", "drink"),
    ("drawn", "draw"),
    ("drew", "draw"),
    ("driven", "drive"),
    ("drunk", "drink"),
    ("dying", "die"),
    ("eaten", "eat"),
    ("fallen", "fall"),
    ("feet", "foot"),
    ("fell", "fall"),
    ("felt", "feel"),
    ("forgotten", "forget"),
    ("found", "find"),
    ("frozen", "freeze"),
    ("gave", "give"),
    ("given", "give"),
    ("gone", "go"),
    ("got", "get"),
    ("gotten", "get"),
    ("grew", "grow"),
    ("grown", "grow"),
    ("held", "hold"),
    ("hidden", "hide"),
    ("kept", "keep"),
    ("knew", "know"),
    ("known", "know"),
    ("led", "lead"),
    ("lost", "lose"),
    ("made", "make"),
    ("meant", "mean"),
    ("men", "man"),
    ("ran", "run"),
    ("risen", "rise"),
    ("rose", "rise"),
    ("said", "say"),
    ("saw", "see"),
    ("seen", "see"),
    ("sent", "send"),
    ("shown", "show"),
    ("slept", "sleep"),
    ("spent", "spend"),
    ("spoke", "speak"),
    ("spoken", "speak"),
    ("stood", "stand"),
    ("swollen", "swell"),
    ("taken", "take"),
    ("taught", "teach"),
    ("teeth", "tooth"),
    ("thought", "think"),
    ("told", "tell"),
    ("took", "take"),
    ("undergone", "undergo"),
    ("understood", "understand"),
    ("underwent", "undergo"),
    ("went", "go"),
    ("withdrawn", "withdraw"),
    ("withdrew", "withdraw"),
    ("women", "woman"),
    ("wore", "wear"),
    ("worn", "wear"),
    ("written", "write"),
    ("wrote", "write"),
];

/// The spelling that both sides of the ocean are brought to.
pub(super) fn one(word: &str) -> String {
    if let Ok(at) = IRREGULAR.binary_search_by_key(&word, |(form, _)| form) {
        return IRREGULAR[at].1.to_owned();
    }
    let mut text = match word {
        "µg" | "μg" | "ug" | "microgram" | "micrograms" => "mcg".to_owned(),
        _ => word.to_owned(),
    };
    if text.chars().count() >= 5 {
        text = text
            .replace("ae", "e")
            .replace("oe", "e")
            .replace("yse", "yze")
            .replace("ysing", "yzing")
            .replace("aluminium", "aluminum");
        for (from, to) in [("isation", "ization"), ("ising", "izing"), ("ised", "ized"), ("ises", "izes"), ("ise", "ize")] {
            if let Some(head) = text.strip_suffix(from) {
                text = format!("{head}{to}");
                break;
            }
        }
    }
    if text.chars().count() >= 6 {
        for (from, to) in [("our", "or"), ("ours", "ors"), ("tre", "ter"), ("tres", "ters"), ("lled", "led"), ("lling", "ling")] {
            if let Some(head) = text.strip_suffix(from).filter(|_| !matches!(text.as_str(), "metre" | "litre")) {
                text = format!("{head}{to}");
                break;
            }
        }
    }
    match text.as_str() {
        "litre" => "liter".into(),
        "litres" => "liters".into(),
        "metre" => "meter".into(),
        "metres" => "meters".into(),
        _ => text,
    }
}

/// What may follow the common beginning of two words of one family.
const ENDINGS: &[&str] = &[
    "", "able", "al", "ally", "ance", "ancy", "ant", "ate", "ated", "ates", "ating", "ation", "ational", "ations", "be", "cal",
    "ce", "ced", "ces", "cing", "ction", "ctions", "cy", "de", "ded", "des", "ding", "e", "ed", "ence", "ency", "ent", "er",
    "ered", "ering", "ers", "es", "eutic", "ful", "fully", "ia", "ial", "ible", "ic", "ical", "ically", "ics", "ied", "ies",
    "ily", "iness", "ing", "ion", "ional", "ions", "ious", "is", "ist", "ists", "ity", "ium", "ive", "ively", "ization", "ize",
    "ized", "izes", "izing", "ly", "ment", "ments", "ness", "or", "ors", "ous", "ously", "ption", "ptions", "ration", "red",
    "rence", "ring", "s", "ship", "sion", "sions", "sis", "t", "ted", "tic", "ting", "tion", "tions", "ts", "ty", "um", "us",
    "ving", "y", "ying", "zation",
];

/// Whether two words are of one family: "diagnosis" and "diagnostic", "infected" and "infectious".
pub(super) fn related(a: &str, b: &str) -> bool {
    let common = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    // A long word needs a long beginning: "hyperkalaemia" is no "hypernatraemia".
    let fits = |cut: usize| {
        cut >= 4
            && 3 * cut >= a.len() + b.len()
            && a.is_char_boundary(cut)
            && b.is_char_boundary(cut)
            && [&a[cut..], &b[cut..]].iter().all(|ending| ENDINGS.binary_search(ending).is_ok())
    };
    (common.saturating_sub(2)..=common).any(fits)
}

/// Endings of medicines' names (stems of the international nonproprietary names). Such a word is right only to the letter.
const DRUG_ENDINGS: &[&str] = &[
    "afil",
    "amide",
    "artan",
    "astine",
    "azepam",
    "azine",
    "azole",
    "barbital",
    "bicin",
    "bactam",
    "caine",
    "cef",
    "cillin",
    "cycline",
    "dipine",
    "dopa",
    "dronate",
    "emide",
    "fenac",
    "fibrate",
    "floxacin",
    "gliptin",
    "gliflozin",
    "grel",
    "iazide",
    "idone",
    "ine",
    "iptyline",
    "kinase",
    "lamide",
    "lukast",
    "mab",
    "micin",
    "mide",
    "mycin",
    "nib",
    "nidazole",
    "olam",
    "olol",
    "olone",
    "oxetine",
    "parin",
    "parinux",
    "penem",
    "phylline",
    "platin",
    "prazole",
    "pril",
    "profen",
    "relix",
    "rubicin",
    "sartan",
    "semide",
    "setron",
    "solone",
    "sone",
    "statin",
    "steride",
    "tadine",
    "teplase",
    "terol",
    "thiazide",
    "tidine",
    "triptan",
    "vaptan",
    "vir",
    "virin",
    "vudine",
    "xaban",
    "xime",
    "xone",
    "zepam",
    "zolam",
    "zosin",
];
/// Everyday words that end like one.
const NOT_DRUGS: &[&str] = &[
    "airline",
    "april",
    "baseline",
    "combine",
    "decline",
    "define",
    "determine",
    "discipline",
    "examine",
    "fine",
    "genuine",
    "guideline",
    "imagine",
    "incline",
    "line",
    "machine",
    "medicine",
    "mine",
    "nine",
    "outline",
    "pipeline",
    "quarantine",
    "refine",
    "routine",
    "shine",
    "spine",
    "timeline",
    "undermine",
    "urine",
    "vaccine",
    "vine",
    "wine",
    "deadline",
    "headline",
    "online",
    "intestine",
    "canine",
    "feline",
    "supine",
    "saline",
    "prone",
    "pelvine",
    "pristine",
    "alkaline",
    "crystalline",
    "masculine",
    "feminine",
    "uterine",
    "endocrine",
    "exocrine",
    "lumbar",
];

/// Whether a word looks like a medicine's name.
pub(super) fn is_drug(word: &str) -> bool {
    word.len() >= 6 && !NOT_DRUGS.contains(&word) && DRUG_ENDINGS.iter().any(|ending| word.ends_with(ending))
}

/// Whether a word looks like the name of an organism: right only to the letter.
pub(super) fn is_organism(word: &str) -> bool {
    word.len() >= 7
        && ["coccus", "cocci", "bacter", "bacillus", "monas", "virus", "myces", "plasma", "ella"]
            .iter()
            .any(|end| word.ends_with(end))
        && !matches!(word, "virus" | "umbrella" | "patella" | "rubella")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_sorted_for_binary_search() {
        assert!(IRREGULAR.is_sorted_by_key(|(form, _)| form));
        assert!(ENDINGS.is_sorted(), "{:?}", ENDINGS.windows(2).find(|w| w[0] > w[1]));
    }

    #[test]
    fn families_are_told_from_look_alikes() {
        for (a, b) in [
            ("diagnosis", "diagnostic"),
            ("infected", "infectious"),
            ("prescribe", "prescription"),
            ("anemia", "anemic"),
            ("reduce", "reduction"),
        ] {
            assert!(related(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("hyperkalemia", "hypernatremia"),
            ("prednisone", "prednisolone"),
            ("hepatic", "hepatitis"),
            ("hydralazine", "hydroxyzine"),
            ("quinine", "quinidine"),
            ("safe", "unsafe"),
        ] {
            assert!(!related(a, b), "{a} {b}");
        }
    }

    #[test]
    fn spellings_meet() {
        for (a, b) in [
            ("haemoglobin", "hemoglobin"),
            ("tumour", "tumor"),
            ("randomised", "randomized"),
            ("oedema", "edema"),
            ("litres", "liters"),
            ("µg", "micrograms"),
        ] {
            assert_eq!(one(a), one(b));
        }
    }
}
