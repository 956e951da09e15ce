//! Codes that their own shape gives away, and, last, a net for what looks like a number of somebody: a code that is replaced
//! without need costs little, one that leaves is out for good. Codes of medicine itself (ICD, CPT, LOINC, NDC) pass.

use super::numbers::{digits, is_aadhaar, is_card, is_cpf, is_dea, is_iban, is_nhs, is_npi, is_ssn, is_vin};
use super::{CERTAIN, Finds, GUESSED, KEYED, SHAPED, after, before, left, pattern, right};
use crate::label::Label;
use regex::Regex;
use std::ops::Range;

/// Patterns.
pub struct Codes {
    udi: Regex,
    card: Regex,
    iban: Regex,
    dea: Regex,
    vin: Regex,
    mbi: Regex,
    national: Regex,
    shapes: Vec<(Regex, Label)>,
    net: Regex,
    zip: Regex,
    state_zip: Regex,
    medical: Regex,
}

impl Codes {
    pub fn new() -> Self {
        let shapes = [
            (r"(?-u)\b(?:MR|MRN|PT)[-#]?\d{5,}(?:-\d+)?\b", Label::Mrn),
            (r"(?-u)\b(?:ENC|ACC|CSN|FIN|VIS|ORD|SPEC|CASE|REQ)[-#]?\d{5,}\b|\b[SV]\d{2}-\d{4,}\b", Label::OtherId),
            (r"(?-u)\b(?:ACCT|ACT|AC)[-#]?\d{5,}\b", Label::Account),
            (
                r"(?-u)\b(?:GRP|MEM|SUB|POL|HPN)[-#]?\d{4,}\b|\b[HWU]\d{9,10}\b|\b\d{9}[A-Z]\d?\b|\b[A-Z]{3}\d{9}\b",
                Label::HealthPlan,
            ),
            (r"(?-u)\b(?:MDT|BSX|BSC|ABT|STJ|SJM|BIO|MED)-?\d{6,}\b|\b[A-Z]{3}\d{6,7}[A-Z]\b|\bSN[ -]?\d{6,}\b", Label::Device),
        ];
        Self {
            udi: pattern(r"(?-u)\(01\)\d{14}(?:\(\d{2}\)[A-Za-z0-9-]{1,20})*"),
            card: pattern(r"(?-u)\b\d(?:[ -]?\d){12,18}\b"),
            iban: pattern(r"(?-u)\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
            dea: pattern(r"(?-u)\b[A-Z][A-Z9]\d{7}\b"),
            vin: pattern(r"(?-u)\b[A-Z0-9]{17}\b"),
            mbi: pattern(
                r"(?-u)\b[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}\b",
            ),
            national: pattern(r"(?-u)\b\d{3}\.\d{3}\.\d{3}-\d{2}\b|\b\d{4} ?\d{4} ?\d{4}\b|\b\d{3} ?\d{3} ?\d{4}\b"),
            shapes: shapes.map(|(source, label)| (pattern(source), label)).into(),
            net: pattern(r"(?-u)\b[A-Za-z]{0,6}[-#]?\d[A-Za-z0-9]*(?:[-/][A-Za-z0-9]+)*\b"),
            zip: pattern(
                r#"(?i-u)\b(?:zip|zip ?code|postal ?code|postcode)["']?(?:[ :=#]|is|was|of|code|"){0,4}(\d{5}(?:-\d{4})?)\b"#,
            ),
            state_zip: pattern(
                r"(?-u)\b(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY]|A[AEP])(?:,? {1,2}|\^)(\d{5}(?:-\d{4})?)\b",
            ),
            medical: pattern(
                r"(?i-u)^(?:[A-TV-Z]\d[0-9AB](?:\.[0-9A-Z]{1,4})?|\d{1,5}-\d|\d{4,5}-\d{3,4}-\d{1,2}|NCT\d{8}|PMC?\d+|HLA-[A-Z0-9:*-]*|COVID-?\d+|SARS-[A-Z0-9-]*|ISBN[0-9-]*|CPT\d*|ICD[A-Z0-9-]*|RFC\d+|UTF-?\d+|ISO-?\d+|HL7[A-Z0-9-]*|[A-F0-9]{8}-[A-F0-9]{4}-[A-F0-9]{4}-[A-F0-9]{4}-[A-F0-9]{12})$",
            ),
        }
    }

    pub fn find(&self, text: &str, finds: &mut Finds) {
        for found in self.udi.find_iter(text) {
            finds.add(found.range(), Label::Device, CERTAIN + 3);
        }
        self.checked(text, finds);
        for (regex, label) in &self.shapes {
            for found in regex.find_iter(text) {
                finds.add(found.range(), *label, SHAPED);
            }
        }
        for regex in [&self.zip, &self.state_zip] {
            for captures in regex.captures_iter(text) {
                if let Some(zip) = captures.get(1) {
                    finds.add(zip.range(), Label::Location, KEYED + 5);
                }
            }
        }
        for found in self.net.find_iter(text) {
            self.catch(text, found.range(), finds);
        }
    }

    /// What a checksum or an alphabet of its own proves.
    fn checked(&self, text: &str, finds: &mut Finds) {
        for found in self.card.find_iter(text) {
            if is_card(&digits(found.as_str())) && !matches!(before(text, found.start()), Some('.' | '-' | ')')) {
                finds.add(found.range(), Label::Account, CERTAIN - 2);
            }
        }
        for found in self.iban.find_iter(text) {
            if is_iban(found.as_str()) {
                finds.add(found.range(), Label::Account, CERTAIN);
            }
        }
        for found in self.dea.find_iter(text) {
            if is_dea(&digits(&found.as_str()[2..])) {
                finds.add(found.range(), Label::License, CERTAIN - 6);
            }
        }
        for found in self.vin.find_iter(text).filter(|found| is_vin(found.as_str())) {
            finds.add(found.range(), Label::Vehicle, CERTAIN - 6);
        }
        for found in self.mbi.find_iter(text) {
            finds.add(found.range(), Label::HealthPlan, KEYED + 5);
        }
        for found in self.national.find_iter(text) {
            let digits = digits(found.as_str());
            if is_cpf(&digits)
                || is_nhs(&digits) && left(text, found.start(), 12).contains("nhs")
                || is_aadhaar(&digits) && !matches!(before(text, found.start()), Some('-' | '.'))
            {
                finds.add(found.range(), Label::OtherId, CERTAIN - 4);
            }
        }
    }

    /// The net.
    fn catch(&self, text: &str, range: Range<usize>, finds: &mut Finds) {
        let value = &text[range.clone()];
        let numerals = value.bytes().filter(u8::is_ascii_digit).count();
        let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
        let parts = value.split(['-', '/']).count();
        let is_enough = numerals >= 6
            || numerals >= 4 && letters > 0 && letters + numerals >= 7 && value.bytes().all(|byte| !byte.is_ascii_lowercase());
        if !is_enough || self.medical.is_match(value) || is_measure(text, &range) {
            return;
        }
        // Chains of short numbers are ranges, ratios and lists.
        let longest = value.split(['-', '/']).map(str::len).max().unwrap_or_default();
        if parts > 1 && longest < 4 {
            return;
        }
        let is_linked = |c: Option<char>| matches!(c, Some('.' | '@' | '_' | ','));
        if is_linked(before(text, range.start)) && text[..range.start].ends_with('@') || before(text, range.start) == Some('.') {
            return;
        }
        let is_hex = letters > 0 && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) && value.len() >= 8;
        if is_hex {
            return;
        }
        let (label, weight) = guess(text, &range, value);
        finds.add(range, label, weight);
    }
}

/// What an unknown code most likely is, by the nearest word that names a kind of number in the sentence before it.
fn guess(text: &str, range: &Range<usize>, value: &str) -> (Label, u8) {
    const HINTS: [(&str, Label); 22] = [
        ("mrn", Label::Mrn),
        ("record", Label::Mrn),
        ("chart", Label::Mrn),
        ("account", Label::Account),
        ("acct", Label::Account),
        ("member", Label::HealthPlan),
        ("policy", Label::HealthPlan),
        ("insurance", Label::HealthPlan),
        ("beneficiary", Label::HealthPlan),
        ("plan", Label::HealthPlan),
        ("npi", Label::License),
        ("licen", Label::License),
        ("serial", Label::Device),
        ("device", Label::Device),
        ("pacemaker", Label::Device),
        ("implant", Label::Device),
        ("plate", Label::Vehicle),
        ("vehicle", Label::Vehicle),
        ("phone", Label::Phone),
        ("encounter", Label::OtherId),
        ("accession", Label::OtherId),
        ("/patients/", Label::Mrn),
    ];
    let near = left(text, range.start, 70);
    let near = near.rsplit(['\n', ';']).next().unwrap_or_default();
    let hint = HINTS.iter().filter_map(|(word, label)| Some((near.rfind(word)?, *label))).max_by_key(|(at, _)| *at);
    if let Some((_, label)) = hint {
        return (label, GUESSED + 8);
    }
    // "Pt: Jane Roe / 32058685 / 1.2.1960": the number in a header of name and birthday.
    let is_header = ["pt", "patient", "name"].iter().any(|key| near.trim_start().starts_with(key))
        && near.trim_end().ends_with(['/', '|', ',', '(']);
    if is_header {
        return (Label::Mrn, GUESSED + 8);
    }
    let plain = digits(value);
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        if is_npi(&plain) && near.contains("dr") {
            return (Label::License, GUESSED + 8);
        }
        if is_ssn(&plain) && near.contains("ss") {
            return (Label::Ssn, GUESSED + 8);
        }
    }
    (Label::OtherId, GUESSED)
}

/// A quantity: a unit follows, or money or a comparison stands before it.
fn is_measure(text: &str, range: &Range<usize>) -> bool {
    const UNITS: [&str; 24] = [
        "mg",
        "mcg",
        "ml",
        "units",
        "unit",
        "iu",
        "cells",
        "copies",
        "ms",
        "bytes",
        "kb",
        "mb",
        "patients",
        "people",
        "participants",
        "women",
        "men",
        "cases",
        "deaths",
        "persons",
        "individuals",
        "per",
        "u/l",
        "steps",
    ];
    let next = right(text, range.end, 14);
    let word = next.trim_start().split(|c: char| !c.is_alphanumeric() && c != '/').next().unwrap_or_default().to_owned();
    let near = left(text, range.start, 12);
    UNITS.contains(&word.as_str())
        || next.starts_with('%')
        || matches!(before(text, range.start), Some('$' | '€' | '£' | '<' | '>' | '.' | ','))
        || near.ends_with("size=")
        || near.ends_with("bytes=")
        || after(text, range.end) == Some('.') && right(text, range.end, 2).ends_with(|c: char| c.is_ascii_digit())
}
