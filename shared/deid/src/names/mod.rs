//! People's names: a scorer over tokens that weighs how a word is written, what the lists know of it, its neighbours, and
//! what a small neural recogniser says; around it certain patterns (`Name:`, `Dr.`), and guards for what medicine named after people.

pub mod chain;
pub mod features;
mod guards;
pub mod network;
mod patterns;
mod product;
mod sentences;

pub use guards::is_after_people;
pub use sentences::recognise;

use crate::tokens::Token;
use chain::Chain;
use features::Scene;
use network::{Entity, Network};
use std::ops::Range;

/// The trained weights; `examples/train_names.rs` wrote them.
const WEIGHTS: &[u8] = include_bytes!("weights.bin");

/// Finds names.
pub struct Names {
    chain: Chain,
}

/// A stretch of tokens that is a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Which tokens.
    pub tokens: Range<usize>,
    /// How sure, at its surest token.
    pub probability: f32,
}

impl Default for Names {
    fn default() -> Self {
        Self::new()
    }
}

impl Names {
    /// Reads the weights.
    pub fn new() -> Self {
        Self { chain: Chain::from_bytes(WEIGHTS).unwrap_or_else(Chain::zero) }
    }

    /// Finds names of at least this probability.
    pub fn find(&self, text: &str, tokens: &[Token], network: Option<&Network>, threshold: f32) -> Vec<Named> {
        let entities = network.map_or_else(|| vec![Entity::Outside; tokens.len()], |network| recognise(text, tokens, network));
        let scene = Scene::new(text, tokens, &entities);
        let mut features = Vec::new();
        let potentials = self.chain.potentials(&scene, &mut features);
        let mut probabilities = self.chain.marginals(&potentials).0;
        patterns::raise(text, tokens, &mut probabilities);
        guards::lower(text, tokens, &mut probabilities);
        join(text, tokens, &probabilities, threshold)
    }
}

/// Tokens that belong together: neighbours, initials with their stops, and `Last, First`.
fn join(text: &str, tokens: &[Token], probabilities: &[f32], threshold: f32) -> Vec<Named> {
    let is_part = |at: usize| tokens[at].is_word() && probabilities[at] >= threshold;
    let mut found: Vec<Named> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !is_part(at) {
            at += 1;
            continue;
        }
        let (mut end, mut probability) = (at + 1, probabilities[at]);
        while end < tokens.len() {
            let gap = &text[tokens[end - 1].end..tokens[end].start];
            if gap.contains('\n') || gap.len() > 2 {
                break;
            }
            let mark = tokens[end].text(text);
            let next = end + 1;
            let joins_next = next < tokens.len() && is_part(next) && !text[tokens[end].end..tokens[next].start].contains('\n');
            if is_part(end) {
                probability = probability.max(probabilities[end]);
                end += 1;
            } else if mark == "." && tokens[end - 1].end - tokens[end - 1].start <= 2 && joins_next
                || mark == "," && joins_next && end == at + 1 && tokens[next].is_spaced
                || mark == "-" && joins_next
            {
                end += 1;
            } else {
                break;
            }
        }
        found.push(Named { tokens: at..end, probability });
        at = end;
    }
    found
}
