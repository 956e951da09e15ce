//! What medicine named after people, and what only looks like a name: diseases, signs, scores, instruments, headings.

use crate::tokens::{Shape, Token};

/// Words that make the name before them a thing: "Parkinson's disease", "Wells score", "Foley catheter".
const THINGS: &[&str] = &[
    "disease", "syndrome", "sign", "signs", "score", "scores", "scale", "scales", "criteria", "criterion", "test", "tests", "palsy", "phenomenon", "phenomena", "maneuver", "manoeuvre", "triad",
    "pentad", "tetrad", "classification", "staging", "stage", "stages", "index", "formula", "equation", "rule", "rules", "method", "procedure", "operation", "technique", "approach", "incision", "point", "line",
    "lines", "catheter", "catheters", "monitor", "tube", "drain", "needle", "clamp", "retractor", "forceps", "curve", "curves", "law", "trial", "trials", "study", "lymphoma", "tumor", "tumour", "sarcoma",
    "thyroiditis", "encephalopathy", "encephalitis", "chorea", "ataxia", "dystrophy", "anemia", "anaemia", "esophagus", "oesophagus", "fracture", "fractures", "contracture", "deformity", "hernia", "cyst", "node",
    "nodes", "nodule", "nodules", "cell", "cells", "bodies", "body", "gland", "glands", "duct", "canal", "ligament", "tendon", "reflex", "respirations", "respiration", "breathing", "murmur", "position", "stain",
    "ulcer", "ulcers", "granulomatosis", "arteritis", "vasculitis", "purpura", "nephropathy", "neuropathy", "neuralgia", "migraine", "angina", "aphasia", "area", "lesion", "lesions", "pouch", "repair", "reconstruction",
    "anastomosis", "bypass", "fundoplication", "prosthesis", "implant", "pump", "bag", "mask", "airway", "blade", "collar", "splint", "brace", "boot", "frame", "diagram", "plot", "diet", "protocol", "guideline",
    "guidelines", "regimen", "questionnaire", "inventory", "scoring", "grade", "grading", "system", "theorem", "correction", "coefficient", "virus", "fever", "cirrhosis", "hepatitis", "esotropia", "vaccine", "booster", "shot", "solution",
    "lactate", "dressing", "bandage", "stockings", "exercises", "waves", "wave", "fibers", "membrane", "space", "angle", "fossa", "plexus", "artery", "vein", "valve", "shunt", "loop", "macula", "ring", "rings", "spots", "spot", "nails", "sinus",
    "foundation", "college", "society", "association", "academy", "institute", "nomogram", "calculator", "tool", "risk", "assessment", "examination", "model", "register", "block", "hook", "wire", "pin", "nail", "plate", "screw", "stent", "balloon",
    "lamp", "chart", "hallpike", "meier", "stokes", "carre", "barre", "hodgkin", "danlos", "gastaut", "johnson", "pick", "sachs", "chiari", "pugh", "gleason", "mutation", "gene", "oncogene", "antigen", "receptor", "bacillus",
];

/// Keys of forms that are names as well when nobody shouts.
const KEYS: &[&str] = &["vin", "dea", "npi", "mrn", "dob", "ssn", "pid", "hosp", "er", "icu", "id", "pt", "rn", "md", "do", "pa", "np", "pcp", "cc", "hpi", "pmh", "ros", "sn", "lot", "udi", "dx", "rx", "hx", "tx", "sx", "fx", "info", "warn", "error", "debug", "get", "post", "put"];

/// Whether the words from here on make a thing of what stands before them.
pub fn is_after_people(text: &str, tokens: &[Token], mut at: usize) -> bool {
    // "Charcot-Marie-Tooth disease", "Parkinson's or Lewy body disease": a few words on is still the same thing.
    for step in 0..4 {
        let Some(token) = tokens.get(at) else { return false };
        if token.is_word() && THINGS.contains(&&*token.folded) {
            return true;
        }
        let is_link = matches!(token.text(text), "'s" | "'" | "-" | "/") || matches!(&*token.folded, "and" | "or" | "type" | "grade" | "stage");
        let is_partner = token.is_word() && token.is_capital() && token.entry.is_eponym();
        if token.is_first && step > 0 || !(is_link || is_partner) {
            return false;
        }
        at += 1;
    }
    false
}

/// Lowers the probabilities of such words.
pub fn lower(text: &str, tokens: &[Token], probabilities: &mut [f32]) {
    for at in 0..tokens.len() {
        if probabilities[at] < 0.05 || !tokens[at].is_word() {
            continue;
        }
        let token = &tokens[at];
        let is_thing = is_after_people(text, tokens, at + 1) && (token.entry.is_eponym() || token.entry.capital() > 1 || probabilities[at] < 0.9);
        let is_abbreviation = token.shape == Shape::Upper && token.end - token.start <= 5 && !token.entry.is_name() && probabilities[at] < 0.98;
        let is_drug = token.entry.is_drug() && token.entry.first() == 0 && token.entry.last() < 3 && probabilities[at] < 0.97;
        let is_key = token.shape == Shape::Upper && KEYS.contains(&&*token.folded);
        let is_heading = tokens.get(at + 1).is_some_and(|next| next.text(text) == ":") && token.entry.lower() >= 3;
        if is_thing || is_abbreviation || is_drug || is_heading || is_key {
            probabilities[at] = probabilities[at].min(0.04);
        }
    }
}
