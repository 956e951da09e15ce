//! Which sentences the neural recogniser reads, and in which pieces. Most of a note cannot hold a name; leaving that out is
//! what makes the recogniser affordable.

use super::network::{Entity, Network};
use crate::tokens::{Shape, Token};

/// Longer stretches without a stop are cut: lists and broken text.
const TOKENS_MAX: usize = 80;

/// The recogniser's word on each token.
pub fn recognise(text: &str, tokens: &[Token], network: &Network) -> Vec<Entity> {
    let mut found = vec![Entity::Outside; tokens.len()];
    let (mut sentences, mut places) = (Vec::new(), Vec::new());
    let mut start = 0;
    for end in 1..=tokens.len() {
        let is_over = end == tokens.len() || tokens[end].is_first || end - start >= TOKENS_MAX;
        if !is_over {
            continue;
        }
        if tokens[start..end].iter().any(may_be_name) {
            let (words, of) = words(text, tokens, start, end);
            sentences.push(words);
            places.push(of);
        }
        start = end;
    }
    for (entities, of) in network.recognise(&sentences).into_iter().zip(places) {
        for (entity, token) in entities.into_iter().zip(of) {
            if entity != Entity::Outside || found[token] == Entity::Outside {
                found[token] = entity;
            }
        }
    }
    found
}

/// A capital that no sentence's beginning, word of the trade or abbreviation explains.
fn may_be_name(token: &Token) -> bool {
    let is_written = matches!(token.shape, Shape::Capital | Shape::Mixed) || token.shape == Shape::Upper && token.entry.is_name();
    let is_plain = token.entry.lower() >= 4 && (token.is_first || !token.entry.is_name());
    is_written && !is_plain && (!token.is_first || token.entry.is_name() || token.entry.lower() < 2)
}

/// The words of a sentence as the recogniser was trained to see them: stops stay with abbreviations and initials, hyphens
/// stand alone. With each word the token it came from.
fn words<'a>(text: &'a str, tokens: &[Token], start: usize, end: usize) -> (Vec<&'a str>, Vec<usize>) {
    let (mut words, mut of) = (Vec::with_capacity(end - start), Vec::with_capacity(end - start));
    let mut at = start;
    while at < end {
        let token = &tokens[at];
        let next_is_stop = at + 1 < end && tokens[at + 1].text(text) == "." && !tokens[at + 1].is_spaced;
        let keeps_stop = token.shape == Shape::Initial
            || matches!(
                &*token.folded,
                "dr" | "mr" | "mrs" | "ms" | "st" | "jr" | "sr" | "prof" | "vs" | "inc" | "co" | "mt" | "rev" | "gen"
            );
        if next_is_stop && keeps_stop && token.is_word() {
            words.push(&text[token.start..tokens[at + 1].end]);
            of.push(at);
            at += 2;
            continue;
        }
        let word = token.text(text);
        if token.is_word() && word.contains('-') {
            for (part, mark) in
                word.split_inclusive('-').map(|part| part.strip_suffix('-').map_or((part, false), |part| (part, true)))
            {
                if !part.is_empty() {
                    words.push(part);
                    of.push(at);
                }
                if mark {
                    words.push("-");
                    of.push(at);
                }
            }
        } else {
            words.push(word);
            of.push(at);
        }
        at += 1;
    }
    (words, of)
}
