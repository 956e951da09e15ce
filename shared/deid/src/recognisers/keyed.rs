//! Numbers and codes that the words in front of them name: "MRN", "member ID", "serial number", `acct=`.

use super::numbers::{digits, is_npi};
use super::{Finds, KEYED, pattern};
use crate::label::Label;
use regex::Regex;
use std::ops::Range;

/// What may stand between the name of a number and the number.
const FILL: &str = r#"(?:[ \t:=#>\[("'^.\\*]|(?:number|numbers|num|no|nr|ids?|identifier|code|card|is|was|are|reads|of|for|on file|ending in|it's|its|the|shows|value|patient|pt|using|with)\b|-[ \t])"#;
const VALUE: &str = r"([A-Z0-9]+(?:[-./][A-Z0-9]+)*)";

struct Rule {
    regex: Regex,
    label: Label,
    digits_min: usize,
}

/// Rules, in order of their claim.
pub struct Keyed {
    rules: Vec<Rule>,
    social: Regex,
    social_bare: Regex,
}

impl Keyed {
    pub fn new() -> Self {
        let rules = [
            (
                Label::Mrn,
                4,
                r"mrns?|m\.r\.n\.?|medical[ _]?record(?:s)?|med(?:ical)? rec|mr ?(?:#|no)|chart ?(?:#|no|number|id)|patients?[ _]?(?:id|no|number|#|identifier)|pt ?(?:id|#|no)|hospital (?:number|no|id)|unit (?:number|no)|record (?:number|no|id|#)|emr ?(?:id|#|number)|ehr ?(?:id|#|number)|epi id|empi|uhid|urn",
            ),
            (
                Label::HealthPlan,
                4,
                r"(?:health )?plan (?:beneficiary|member|id|number|no)|beneficiary|member(?:ship)?|subscriber|policy(?: ?holder)?|insurance|insured(?:'s)? id|medicare|medicaid|mbi|hicn?|group (?:number|no|id|#)|grp|payer id|payor id|coverage id|bcbs|aetna|cigna|humana|unitedhealthcare|uhc|tricare",
            ),
            (
                Label::Account,
                4,
                r"accounts?|acct|a/c|billing (?:number|id|no)|guarantor|invoice|iban|routing|credit ?card|debit ?card|card|har|bank",
            ),
            (
                Label::License,
                4,
                r"npi|dea|driver'?s? ?(?:licen[cs]e|lic)|licen[cs]es?|lic|d\.?l\.?|dln|state id|(?:rn|md|np|pa|do|medical|nursing|pharmacist|board|professional) (?:licen[cs]e|lic|cert(?:ificate|ification)?)|certificate|cert|registration (?:number|no)|upin",
            ),
            (
                Label::Device,
                4,
                r"serial|s/n|sn|ser|device(?: (?:id|identifier|serial))?|udi|di|imei|imsi|lot|model|implant(?: id)?|mac(?: address)?|pacemaker|icd|pump|glucometer|cgm|monitor id|asset",
            ),
            (
                Label::Vehicle,
                2,
                r"vin|(?:license |licence |number |vehicle )?plates?|tag|vehicle(?: identification| registration| id)?",
            ),
            (
                Label::OtherId,
                4,
                r"accession|encounters?|visit|specimen|sample|case|claim|order|requisition|prescription|rx|referral|study|csn|fin|har|confirmation|ticket|badge|employee|staff|student|passport|trial|subject|participant|enrollment|registry|donor|authorization|auth|tracking|reference|ref|file|folder|document|doc|episode|admission|booking|appointment id|resource|patient|job|barcode|wristband|room key|locker|nhs|national id|id",
            ),
        ];
        let rules = rules.map(|(label, digits_min, keys)| Rule {
            regex: pattern(&format!(r#"(?i-u)(?:\b|_)(?:{keys})(?:[ _]?(?:number|num|no\.?|nr|id|code|#))?s?["']?{FILL}{{1,7}}{VALUE}|(?:\b|_)(?:{keys})[/_-]()((?:[A-Z0-9]+[-.])*[A-Z0-9]+)"#)),
            label,
            digits_min,
        });
        Self {
            rules: rules.into(),
            social: pattern(&format!(
                r#"(?i-u)\b(?:ssns?|social(?: security)?|soc sec|ss ?#)(?:[ _]?(?:number|num|no\.?|#))?["']?{FILL}{{0,7}}(\d{{3}}[-. ]?\d{{2}}[-. ]?\d{{4}}|\*{{0,5}}-?\d{{4}}|[x*]{{3}}-?[x*]{{2}}-?\d{{4}})\b"#
            )),
            social_bare: pattern(r"(?-u)\b\d{3}[- ]\d{2}[- ]\d{4}\b"),
        }
    }

    pub fn find(&self, text: &str, finds: &mut Finds) {
        for captures in self.social.captures_iter(text) {
            if let Some(value) = captures.get(1) {
                finds.add(value.range(), Label::Ssn, KEYED + 6);
            }
        }
        for found in self.social_bare.find_iter(text) {
            finds.add(found.range(), Label::Ssn, KEYED + 4);
        }
        for (at, rule) in self.rules.iter().enumerate() {
            let mut from = 0;
            while let Some(captures) = rule.regex.captures_at(text, from) {
                let whole = captures.get_match();
                let value = captures.get(1).or_else(|| captures.get(3));
                // The next search begins inside this find: its value may be the next one's key.
                from = whole.start() + text[whole.start()..].char_indices().nth(2).map_or(whole.len(), |(bytes, _)| bytes);
                if let Some(range) = value.and_then(|value| trimmed(text, value.range(), rule.digits_min)) {
                    let range = if rule.label == Label::Device { with_prefix(text, range) } else { range };
                    finds.add(
                        range.clone(),
                        label(rule.label, &text[range.clone()], text, range.start),
                        KEYED + 3 - u8::from(at > 4) * 3,
                    );
                    from = from.max(range.start);
                }
                if from > text.len() {
                    break;
                }
            }
        }
    }
}

/// The value without what follows it, if it is a code at all.
fn trimmed(text: &str, range: Range<usize>, digits_min: usize) -> Option<Range<usize>> {
    // `resource=encounter/8841`: the path in front names the kind once more.
    let lead = text[range.clone()]
        .rfind('/')
        .filter(|at| text[range.start..range.start + at].bytes().all(|byte| !byte.is_ascii_digit()))
        .map_or(0, |at| at + 1);
    let range = range.start + lead..range.end;
    let value = &text[range.clone()];
    let count = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    // A word with a number in it, such as "COVID-19", is no code; nor is a date or a decimal.
    let is_word = letters > 7 && count < 5;
    let is_dose = value.split(['.', '/']).count() > 1 && letters == 0 && value.len() < 6;
    let mixed_min = if digits_min > 2 && letters > 0 && count == 3 && value.len() >= 5 { 3 } else { digits_min };
    let is_measured = letters > 0
        && value.trim_start_matches(|c: char| c.is_ascii_digit()).bytes().all(|byte| byte.is_ascii_lowercase())
        && letters < 4;
    (count >= mixed_min && value.len() >= 4 && !is_word && !is_dose && !is_measured).then_some(range)
}

/// `SN 53562577`: the letters belong to the number as it stands on the device.
fn with_prefix(text: &str, range: Range<usize>) -> Range<usize> {
    let has_prefix = text[..range.start].ends_with("SN ") && !text[..range.start - 3].ends_with(char::is_alphanumeric);
    if has_prefix { range.start - 3..range.end } else { range }
}

/// A number with a checksum of its own is that, whatever the word before it.
fn label(keyed: Label, value: &str, text: &str, at: usize) -> Label {
    let plain = digits(value);
    let bare = value.bytes().all(|byte| byte.is_ascii_digit());
    if bare && is_npi(&plain) && super::left(text, at, 30).contains("npi") { Label::License } else { keyed }
}
