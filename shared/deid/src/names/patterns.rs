//! Places where a name must be, whatever word stands there: after `Name:`, in `patient="..."`, before `, MD`.

use crate::tokens::{Shape, Token};

/// Keys of a form whose value is a name.
const KEYS: &[&str] = &[
    "name",
    "patient",
    "pt",
    "actor",
    "user",
    "member",
    "provider",
    "physician",
    "doctor",
    "attending",
    "surgeon",
    "nurse",
    "author",
    "mother",
    "father",
    "spouse",
    "guardian",
    "subscriber",
    "contact",
    "signed",
    "dictated",
    "dictator",
    "transcriptionist",
    "pcp",
    "resident",
    "consultant",
    "caregiver",
    "insured",
    "proxy",
    "client",
    "cc",
    "from",
    "to",
    "attn",
    "re",
    "ordered_by",
    "seen_by",
    "family_name",
    "given_name",
    "first_name",
    "last_name",
    "surname",
    "patient_name",
    "given",
    "family",
    "display",
];

/// Titles in front of a name.
const TITLES: &[&str] = &["dr", "mr", "mrs", "ms", "miss", "prof", "mx", "sr", "fr", "rev", "nurse", "doctor"];

/// Degrees behind it.
const DEGREES: &[&str] = &[
    "md", "do", "rn", "np", "pa-c", "phd", "dds", "dpm", "fnp", "aprn", "lpn", "crna", "pharmd", "dnp", "lcsw", "facs", "facc",
    "mbbs", "msn", "bsn", "cma", "dvm",
];

/// Raises the probabilities of words in such places.
pub fn raise(text: &str, tokens: &[Token], probabilities: &mut [f32]) {
    for at in 0..tokens.len() {
        after_key(text, tokens, at, probabilities);
        after_title(text, tokens, at, probabilities);
        before_degree(text, tokens, at, probabilities);
    }
}

fn is_namelike(token: &Token) -> bool {
    token.is_word()
        && token.is_capital()
        && token.entry.lower() < 5
        && !DEGREES.contains(&&*token.folded)
        && !token.entry.is_drug()
}

/// `patient="Jane Roe"`, `Name: ROE, JANE`
fn after_key(text: &str, tokens: &[Token], at: usize, probabilities: &mut [f32]) {
    if !tokens[at].is_word() || !KEYS.contains(&&*tokens[at].folded) {
        return;
    }
    let mut next = at + 1;
    let mut has_sign = false;
    while next < tokens.len() && next < at + 5 && matches!(tokens[next].text(text), ":" | "=" | "\"" | "'" | "<" | ">" | "(") {
        has_sign |= matches!(tokens[next].text(text), ":" | "=");
        next += 1;
    }
    if !has_sign || next >= tokens.len() || text[tokens[at].end..tokens[next].start].contains('\n') {
        return;
    }
    let first = next;
    let words = tokens[first..].iter().take(7);
    let line = words.clone().position(|token| {
        token.is_first && token.start > tokens[first].start
            || matches!(token.text(text), ";" | "\"" | "|" | "<" | "(" | ":" | "=" | "/")
    });
    let count = line.unwrap_or(words.count());
    let mut marked = 0;
    for offset in 0..count {
        let token = &tokens[first + offset];
        match token.shape {
            Shape::Mark if matches!(token.text(text), "," | "." | "^" | "-") && marked > 0 => {}
            Shape::Number | Shape::Mark => break,
            _ if is_namelike(token) && (token.entry.is_name() || token.entry.lower() < 3) => {
                let index = first + offset;
                // A listed name is one here; an unlisted word needs the scorer's half consent.
                if token.entry.is_name() && token.entry.lower() < 4 || probabilities[index] > 0.1 {
                    probabilities[index] = probabilities[index].max(0.9);
                }
                marked += 1;
            }
            _ => break,
        }
        // Two words of a name and an initial: what follows is another field.
        if marked >= 4 {
            break;
        }
    }
}

/// `Dr. Roe`
fn after_title(text: &str, tokens: &[Token], at: usize, probabilities: &mut [f32]) {
    if !tokens[at].is_word() || !TITLES.contains(&&*tokens[at].folded) {
        return;
    }
    let mut next = at + 1;
    next += usize::from(next < tokens.len() && tokens[next].text(text) == "." && !tokens[next].is_spaced);
    if next < tokens.len()
        && !text[tokens[at].end..tokens[next].start].contains('\n')
        && is_namelike(&tokens[next])
        && tokens[next].folded.len() > 1
    {
        probabilities[next] = probabilities[next].max(0.9);
    }
}

/// `Jane Roe, MD`
fn before_degree(text: &str, tokens: &[Token], at: usize, probabilities: &mut [f32]) {
    let is_degree =
        tokens[at].is_word() && matches!(tokens[at].shape, Shape::Upper | Shape::Mixed) && DEGREES.contains(&&*tokens[at].folded);
    if !is_degree || at < 3 || tokens[at - 1].text(text) != "," || tokens[at].is_first {
        return;
    }
    for index in (at.saturating_sub(4)..at - 1).rev() {
        if !is_namelike(&tokens[index]) || text[tokens[index].end..tokens[at].start].contains('\n') {
            break;
        }
        if tokens[index].entry.is_name() || probabilities[index] > 0.1 {
            probabilities[index] = probabilities[index].max(0.9);
        }
    }
}
