//! What the check accepts and what it rejects, one line each.

use super::*;
use crate::retrieval::Embedding;
use proptest::prelude::*;
use std::sync::LazyLock;

/// All texts mean the same: the check has to decide by the words.
struct Indifferent;

impl Embedder for Indifferent {
    fn model_id(&self) -> &'static str {
        "indifferent"
    }

    fn dimensions(&self) -> usize {
        1
    }

    fn embed(&self, _: &str) -> Embedding {
        Embedding(vec![1.0])
    }
}

fn check(sentence: &str, cited: &[&str]) -> Result<Support, Unsupported> {
    static CHECKER: LazyLock<SupportChecker> = LazyLock::new(SupportChecker::default);
    CHECKER.check(sentence, cited, &Indifferent)
}

const FLUIDS: &str = "If the systolic pressure is below 90 mmHg, give at least 30 mL/kg of crystalloid within 3 hours.";
const OPIOID: &str =
    "Give naloxone 400 micrograms IV when the respiratory rate is below 8 per minute; never give it to a patient who is awake.";
const DOSES: &str =
    "Give morphine 5 mg by mouth or codeine 30 mg by mouth every 4 hours. Do not give codeine to children under 12 years.";
const STUDY: &str =
    "Mortality was higher in patients treated with aspirin than in patients treated with warfarin (12.5% vs 7.3%).";
const GENETIC: &str = "Acute kidney injury (AKI) may cause swelling of the legs and can lead to death if it is not treated.";
const STOP: &str = "Stop warfarin 5 days before surgery unless the patient has a mechanical valve.";
const DATES: &str = "The policy was approved on Tuesday 3 March 2026 and visitors may come from 10:00 to 20:00.";

#[test]
fn faithful_rewordings_are_accepted() {
    for (sentence, cited) in [
        ("Give at least 30 mL per kg of crystalloid within three hours if the systolic pressure is under 90 mmHg.", FLUIDS),
        ("When the systolic pressure is less than 90 mmHg, at least 30 mL/kg crystalloid is given within 180 minutes.", FLUIDS),
        ("Naloxone 0.4 mg intravenously is given when the breathing rate is below 8 per minute.", OPIOID),
        ("Naloxone must never be given to a patient who is awake.", OPIOID),
        ("Codeine 30 mg orally or morphine 5 mg orally is administered every four hours.", DOSES),
        ("Do not administer codeine to children younger than 12 years.", DOSES),
        ("Codeine 30 mg PO q4h.", DOSES),
        ("Patients treated with aspirin had a higher mortality than patients treated with warfarin.", STUDY),
        ("AKI can cause oedema of the legs.", GENETIC),
        ("Acute renal injury may cause swelling of the legs.", GENETIC),
        ("Warfarin is stopped 5 days before an operation unless the patient has a mechanical valve.", STOP),
        ("According to the policy, visitors may come from 10:00 to 20:00.", DATES),
    ] {
        assert_eq!(check(sentence, &[cited]), Ok(Support::Reworded), "{sentence}");
    }
}

#[test]
fn each_kind_of_corruption_is_rejected_by_name() {
    use Unsupported as U;
    for (sentence, cited, reason) in [
        ("Give at least 20 mL/kg of crystalloid within 3 hours.", FLUIDS, U::Number),
        ("Give at least 30 mL of crystalloid within 3 hours.", FLUIDS, U::Unit),
        ("Give at least 30 mL/kg of crystalloid within 3 days.", FLUIDS, U::Unit),
        ("Give at most 30 mL/kg of crystalloid within 3 hours.", FLUIDS, U::Comparator),
        (
            "If the systolic pressure is above 90 mmHg, give at least 30 mL/kg of crystalloid within 3 hours.",
            FLUIDS,
            U::Comparator,
        ),
        (
            "If the diastolic pressure is below 90 mmHg, give at least 30 mL/kg of crystalloid within 3 hours.",
            FLUIDS,
            U::Contrast,
        ),
        ("Give naloxone 400 mg IV when the respiratory rate is below 8 per minute.", OPIOID, U::Unit),
        ("Give naltrexone 400 micrograms IV when the respiratory rate is below 8 per minute.", OPIOID, U::Name),
        ("Give it to a patient who is awake.", OPIOID, U::Negation),
        ("Do not give naloxone 400 micrograms IV when the respiratory rate is below 8 per minute.", OPIOID, U::Negation),
        ("Give morphine 30 mg by mouth or codeine 5 mg by mouth every 4 hours.", DOSES, U::Number),
        ("Give codeine to children under 12 years.", DOSES, U::Negation),
        ("Do not give morphine to children under 12 years.", DOSES, U::Name),
        ("Mortality was lower in patients treated with aspirin than in patients treated with warfarin.", STUDY, U::Contrast),
        ("Mortality was higher in patients treated with warfarin than in patients treated with aspirin.", STUDY, U::Contrast),
        ("Acute kidney injury causes swelling of the legs.", GENETIC, U::Modality),
        ("Acute liver injury may cause swelling of the legs.", GENETIC, U::Content),
        ("Stop warfarin 5 days after surgery unless the patient has a mechanical valve.", STOP, U::Contrast),
        ("Start warfarin 5 days before surgery unless the patient has a mechanical valve.", STOP, U::Contrast),
        ("Stop warfarin 5 days before surgery.", STOP, U::Condition),
        ("The policy was approved on Wednesday 3 March 2026.", DATES, U::Date),
        ("The policy was approved on Tuesday 3 March 2025.", DATES, U::Date),
        ("Visitors may come from 10:00 to 21:00.", DATES, U::Date),
        ("Visitors must come from 10:00 to 20:00.", DATES, U::Modality),
        ("Visitors may come from 10:00 to 20:00, and they bring flowers for the nurses.", DATES, U::Content),
    ] {
        assert_eq!(check(sentence, &[cited]), Err(reason), "{sentence}");
    }
}

#[test]
fn a_part_of_a_sentence_is_no_quote() {
    assert_eq!(check("give codeine to children under 12 years", &[DOSES]), Err(Unsupported::Negation));
    assert_eq!(
        check("Do not give codeine to children under 12 years", &["Do not give codeine to children under 12 years."]),
        Ok(Support::Quoted)
    );
}

#[test]
fn a_row_is_a_quote_only_under_its_own_header() {
    let (header, row) = ("Area | Times | Visitors", "General wards | 10:00 to 20:00 | 2");
    assert_eq!(check("General wards – Times: 10:00 to 20:00; Visitors: 2", &[header, row]), Ok(Support::Quoted));
    assert_ne!(check("General wards – Times: 2; Visitors: 10:00 to 20:00", &[header, row]), Ok(Support::Quoted));
}

#[test]
fn nothing_cited_supports_nothing() {
    assert_eq!(check("Anything.", &[]), Err(Unsupported::Nothing));
    assert_eq!(check("Anything.", &["  "]), Err(Unsupported::Nothing));
    assert_eq!(check("", &["Some text."]), Err(Unsupported::Content));
}

proptest! {
    #[test]
    fn what_is_quoted_to_the_letter_is_always_accepted(text in "\\PC{1,120}", other in "\\PC{0,60}") {
        prop_assume!(text.chars().any(char::is_alphanumeric));
        prop_assert_eq!(check(&text, &[&other, &text]), Ok(Support::Quoted));
        prop_assert_eq!(check(&super::super::quote::readable(&text), &[&text]), Ok(Support::Quoted));
    }

    #[test]
    fn no_text_makes_it_fail(sentence in "\\PC{0,80}", cited in prop::collection::vec("\\PC{0,80}", 0..3)) {
        let cited: Vec<&str> = cited.iter().map(String::as_str).collect();
        let _ = check(&sentence, &cited);
    }
}
