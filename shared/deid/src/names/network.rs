//! A small named-entity recogniser: spaCy's `en_core_web_sm` 3.8 (MIT), its entity component only, run in Rust.
//!
//! Each token is four hash embeddings (norm, first character, last three, shape) mixed to 96 numbers, which four residual
//! convolutions over the neighbours refine; a greedy transition parser then opens, continues and closes entities.

use super::product::Matrix;
use crate::tables::{LoadTablesError, Tables};
use std::collections::HashMap;

/// Width of a token's vector.
const WIDTH: usize = 96;
/// Alternatives of which a layer keeps the greatest.
const PIECES: usize = 3;
/// Convolutions; so many rows of zeroes stand before, between and after sentences, as in training.
const DEPTH: usize = 4;
/// Width of the parser's state.
const STATE: usize = 64;
/// Rows of each embedding table and the seed of its hash.
const EMBEDDINGS: [(&str, usize, u32); 4] =
    [("embed.0.e", 5000, 8), ("embed.1.e", 1000, 9), ("embed.2.e", 2500, 10), ("embed.3.e", 2500, 11)];
/// Tokens of one pass: bounds the working memory to a few megabytes.
const BATCH: usize = 512;

/// What the recogniser calls a stretch of tokens, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// Nothing.
    Outside,
    /// A person.
    Person,
    /// A town, a country, a mountain.
    Place,
    /// An organisation, a facility.
    Organisation,
    /// Anything else.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Begin(u8),
    In(u8),
    Last(u8),
    Unit(u8),
    Out,
    /// For training only.
    Never,
}

struct Layer {
    weights: Matrix,
    bias: Vec<f32>,
    gain: Vec<f32>,
    shift: Vec<f32>,
}

/// The recogniser.
pub struct Network {
    embeddings: Vec<Vec<f32>>,
    mix: Layer,
    windows: Vec<Layer>,
    narrow: Matrix,
    narrow_bias: Vec<f32>,
    /// `[3 features][STATE * 2]` outputs of `STATE` inputs each.
    state: Matrix,
    state_bias: Vec<f32>,
    state_pad: Vec<f32>,
    actions: Vec<f32>,
    action_bias: Vec<f32>,
    moves: Vec<Move>,
    entities: Vec<Entity>,
}

impl Network {
    /// Takes the weights.
    pub fn load(tables: &Tables) -> Result<Self, LoadTablesError> {
        let layer = |weights, bias, gain, shift, inputs: usize| -> Result<Layer, LoadTablesError> {
            Ok(Layer {
                weights: Matrix::from_rows(&tables.floats(weights, &[WIDTH, PIECES, inputs])?, inputs),
                bias: tables.floats(bias, &[WIDTH, PIECES])?,
                gain: tables.floats(gain, &[WIDTH])?,
                shift: tables.floats(shift, &[WIDTH])?,
            })
        };
        let mut labels: Vec<&str> = Vec::new();
        let mut moves = Vec::new();
        for line in tables.text("moves")?.lines() {
            let (kind, label) = line.split_once(' ').unwrap_or((line, ""));
            let at = labels.iter().position(|known| *known == label).unwrap_or_else(|| {
                labels.push(label);
                labels.len() - 1
            });
            let at = u8::try_from(at).map_err(|_| LoadTablesError::Tensor { name: "moves" })?;
            moves.push(match (kind, label) {
                ("1", _) => Move::Begin(at),
                ("2", _) => Move::In(at),
                ("3", _) => Move::Last(at),
                ("4", "") => Move::Never,
                ("4", _) => Move::Unit(at),
                _ => Move::Out,
            });
        }
        let entities = labels.iter().map(|label| match *label {
            "PERSON" => Entity::Person,
            "GPE" | "LOC" => Entity::Place,
            "ORG" | "FAC" => Entity::Organisation,
            _ => Entity::Other,
        });
        let state = tables.floats("state.w", &[3, STATE, 2, STATE])?;
        Ok(Self {
            embeddings: EMBEDDINGS
                .iter()
                .map(|(name, rows, _)| tables.floats(name, &[*rows, WIDTH]))
                .collect::<Result<_, _>>()?,
            mix: layer("mix.w", "mix.b", "mix.norm.g", "mix.norm.b", 4 * WIDTH)?,
            windows: vec![
                layer("window.0.w", "window.0.b", "window.0.norm.g", "window.0.norm.b", 3 * WIDTH)?,
                layer("window.1.w", "window.1.b", "window.1.norm.g", "window.1.norm.b", 3 * WIDTH)?,
                layer("window.2.w", "window.2.b", "window.2.norm.g", "window.2.norm.b", 3 * WIDTH)?,
                layer("window.3.w", "window.3.b", "window.3.norm.g", "window.3.norm.b", 3 * WIDTH)?,
            ],
            narrow: Matrix::from_rows(&tables.floats("narrow.w", &[STATE, WIDTH])?, WIDTH),
            narrow_bias: tables.floats("narrow.b", &[STATE])?,
            state: Matrix::from_rows(&state, STATE),
            state_bias: tables.floats("state.b", &[STATE, 2])?,
            state_pad: tables.floats("state.pad", &[1, 3, STATE, 2])?,
            actions: tables.floats("actions.w", &[moves.len(), STATE])?,
            action_bias: tables.floats("actions.b", &[moves.len()])?,
            moves,
            entities: entities.collect(),
        })
    }

    /// The entity of each token of each sentence.
    pub fn recognise(&self, sentences: &[Vec<&str>]) -> Vec<Vec<Entity>> {
        let mut found = Vec::with_capacity(sentences.len());
        let mut vectors: HashMap<&str, Vec<f32>> = HashMap::new();
        let mut from = 0;
        while from < sentences.len() {
            let mut tokens = 0;
            let count = sentences[from..].iter().take_while(|sentence| {
                let fits = tokens == 0 || tokens + sentence.len() <= BATCH;
                tokens += sentence.len();
                fits
            });
            let count = count.count();
            self.batch(&sentences[from..from + count], &mut vectors, &mut found);
            from += count;
        }
        found
    }

    fn batch<'a>(&self, sentences: &[Vec<&'a str>], vectors: &mut HashMap<&'a str, Vec<f32>>, found: &mut Vec<Vec<Entity>>) {
        self.embed(sentences, vectors);
        let tokens: usize = sentences.iter().map(Vec::len).sum();
        let rows = tokens + DEPTH * (sentences.len() + 1);
        let mut values = vec![0.0; rows * WIDTH];
        let mut at = DEPTH;
        for sentence in sentences {
            for token in sentence {
                values[at * WIDTH..][..WIDTH].copy_from_slice(&vectors[token]);
                at += 1;
            }
            at += DEPTH;
        }
        let (mut wide, mut product) = (vec![0.0; rows * 3 * WIDTH], Vec::new());
        for layer in &self.windows {
            for (row, wide) in wide.chunks_exact_mut(3 * WIDTH).enumerate() {
                wide.fill(0.0);
                let first = row.saturating_sub(1);
                let source = &values[first * WIDTH..(row + 2).min(rows) * WIDTH];
                wide[if row == 0 { WIDTH } else { 0 }..][..source.len()].copy_from_slice(source);
            }
            layer.weights.multiply(&wide, &mut product);
            for (value, product) in values.chunks_exact_mut(WIDTH).zip(product.chunks_exact(WIDTH * PIECES)) {
                let fresh = layer.finish(product);
                value.iter_mut().zip(&fresh).for_each(|(value, fresh)| *value += fresh);
            }
        }
        let mut narrow = Vec::new();
        self.narrow.multiply(&values, &mut narrow);
        for row in narrow.chunks_exact_mut(STATE) {
            row.iter_mut().zip(&self.narrow_bias).for_each(|(value, bias)| *value += bias);
        }
        self.state.multiply(&narrow, &mut product);
        let mut at = DEPTH;
        for sentence in sentences {
            let features = &product[at * 6 * STATE..(at + sentence.len()) * 6 * STATE];
            found.push(self.parse(features, sentence.len()));
            at += sentence.len() + DEPTH;
        }
    }

    /// Mixes the embeddings of every word not seen yet: most words of a document come again.
    fn embed<'a>(&self, sentences: &[Vec<&'a str>], vectors: &mut HashMap<&'a str, Vec<f32>>) {
        // Keeps the memory of a long document bounded.
        if vectors.len() > 20_000 {
            vectors.clear();
        }
        let mut fresh: Vec<&str> = sentences.iter().flatten().copied().filter(|word| !vectors.contains_key(word)).collect();
        fresh.sort_unstable();
        fresh.dedup();
        let mut inputs = vec![0.0; fresh.len() * 4 * WIDTH];
        for (word, input) in fresh.iter().zip(inputs.chunks_exact_mut(4 * WIDTH)) {
            for ((feature, input), (table, (_, rows, seed))) in
                features(word).iter().zip(input.chunks_exact_mut(WIDTH)).zip(self.embeddings.iter().zip(EMBEDDINGS))
            {
                for row in hash_rows(murmur64(feature.as_bytes()), seed) {
                    let row = &table[row as usize % rows * WIDTH..][..WIDTH];
                    input.iter_mut().zip(row).for_each(|(value, part)| *value += part);
                }
            }
        }
        let mut product = Vec::new();
        self.mix.weights.multiply(&inputs, &mut product);
        for (word, product) in fresh.into_iter().zip(product.chunks_exact(WIDTH * PIECES)) {
            vectors.insert(word, self.mix.finish(product).to_vec());
        }
    }

    /// Reads a sentence from left to right and takes the best allowed move for each token.
    fn parse(&self, features: &[f32], count: usize) -> Vec<Entity> {
        let mut found = vec![Entity::Outside; count];
        let mut open: Option<(usize, u8)> = None;
        let pad = |feature: usize| &self.state_pad[feature * 2 * STATE..][..2 * STATE];
        let part = |token: usize, feature: usize| &features[token * 6 * STATE + feature * 2 * STATE..][..2 * STATE];
        for token in 0..count {
            let start = open.map_or_else(|| pad(1), |(start, _)| part(start, 1));
            let previous = if open.is_some() { part(token - 1, 2) } else { pad(2) };
            let mut state = [0.0; STATE];
            for (at, value) in state.iter_mut().enumerate() {
                let piece = |at: usize| part(token, 0)[at] + start[at] + previous[at] + self.state_bias[at];
                *value = piece(2 * at).max(piece(2 * at + 1));
            }
            let is_end = token + 1 == count;
            let mut best = (f32::NEG_INFINITY, Move::Out);
            for (at, action) in self.moves.iter().enumerate() {
                let is_allowed = match (*action, open) {
                    (Move::Begin(_), None) => !is_end,
                    (Move::In(label), Some((_, current))) => label == current && !is_end,
                    (Move::Last(label), Some((_, current))) => label == current,
                    (Move::Unit(_) | Move::Out, None) => true,
                    _ => false,
                };
                if is_allowed {
                    let weights = &self.actions[at * STATE..][..STATE];
                    let score =
                        self.action_bias[at] + weights.iter().zip(&state).map(|(weight, value)| weight * value).sum::<f32>();
                    if score > best.0 {
                        best = (score, *action);
                    }
                }
            }
            match best.1 {
                Move::Begin(label) => open = Some((token, label)),
                Move::In(_) | Move::Never | Move::Out => {}
                Move::Last(label) => {
                    let start = open.take().map_or(token, |(start, _)| start);
                    found[start..=token].fill(self.entities[usize::from(label)]);
                }
                Move::Unit(label) => found[token] = self.entities[usize::from(label)],
            }
        }
        found
    }
}

impl Layer {
    /// The greatest piece of each output, normalised.
    fn finish(&self, product: &[f32]) -> [f32; WIDTH] {
        let mut values = [0.0; WIDTH];
        for (value, (product, bias)) in
            values.iter_mut().zip(product.as_chunks::<PIECES>().0.iter().zip(self.bias.as_chunks::<PIECES>().0))
        {
            *value = (product[0] + bias[0]).max(product[1] + bias[1]).max(product[2] + bias[2]);
        }
        let mean = values.iter().sum::<f32>() / WIDTH as f32;
        let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / WIDTH as f32;
        let scale = (variance + 1e-8).sqrt().recip();
        for (value, (gain, shift)) in values.iter_mut().zip(self.gain.iter().zip(&self.shift)) {
            *value = (*value - mean) * scale * gain + shift;
        }
        values
    }
}

/// Norm, first character, last three characters, shape.
fn features(word: &str) -> [String; 4] {
    let norm = match word.to_lowercase().as_str() {
        "n't" => "not".to_owned(),
        "'m" => "am".to_owned(),
        "'re" => "are".to_owned(),
        "'ll" => "will".to_owned(),
        "'ve" => "have".to_owned(),
        lower => lower.to_owned(),
    };
    let tail = word.chars().count().saturating_sub(3);
    [norm, word.chars().take(1).collect(), word.chars().skip(tail).collect(), word_shape(word)]
}

/// `Xxxxx`, `dd`, `X.`: no class more than four times in a row.
fn word_shape(word: &str) -> String {
    if word.chars().nth(99).is_some() {
        return "LONG".to_owned();
    }
    let (mut shape, mut last, mut run) = (String::new(), '\0', 0);
    for c in word.chars() {
        let class = match c {
            c if c.is_alphabetic() && c.is_uppercase() => 'X',
            c if c.is_alphabetic() => 'x',
            c if c.is_numeric() => 'd',
            c => c,
        };
        run = if class == last { run + 1 } else { 0 };
        last = class;
        if run < 4 {
            shape.push(class);
        }
    }
    shape
}

/// `MurmurHash64A` with seed 1, by which the model knows a string.
fn murmur64(bytes: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = 1 ^ (bytes.len() as u64).wrapping_mul(M);
    let (blocks, rest) = bytes.as_chunks::<8>();
    for block in blocks {
        let mut key = u64::from_le_bytes(*block).wrapping_mul(M);
        key = (key ^ key >> 47).wrapping_mul(M);
        hash = (hash ^ key).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}

/// Four rows of a table for one key: the 128-bit `MurmurHash3` of its eight bytes.
fn hash_rows(key: u64, seed: u32) -> [u32; 4] {
    const fn mix(mut value: u64) -> u64 {
        value = (value ^ value >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        value = (value ^ value >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        value ^ value >> 33
    }
    let seed = u64::from(seed);
    let mut one = key.wrapping_mul(0x87c3_7b91_1142_53d5).rotate_left(31).wrapping_mul(0x4cf5_ad43_2745_937f) ^ seed ^ 8;
    let mut two = seed ^ 8;
    one = one.wrapping_add(two);
    two = two.wrapping_add(one);
    (one, two) = (mix(one), mix(two));
    one = one.wrapping_add(two);
    two = two.wrapping_add(one);
    [one as u32, (one >> 32) as u32, two as u32, (two >> 32) as u32]
}
