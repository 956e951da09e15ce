//! The forward pass of a BERT encoder over one text, and the pooling of its token vectors into one.
#![expect(clippy::inline_always, reason = "only inlined code is compiled for the vector instructions found")]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::activation::{gelu, layer_norm, softmax, sum_of_squares};
use crate::integer::{Output, QuantisedRows};
use crate::kernel::{COLUMNS, Kernel, ROWS};
use crate::product::{PANEL, Panel, Right, Rows, accumulate};
use crate::weights::{INTERMEDIATE, Layer, Norm, Weights};
use crate::{DIMENSIONS, Vector};

/// Up to so many times the mean absolute value of a token's numbers they get the range of int8. Of the 384 numbers of a
/// state one or two are beyond; a lower limit means a finer scale, but more numbers that are multiplied apart.
const CLIP: f32 = 6.0;

/// The same behind GELU, where most numbers are next to nothing.
const CLIP_GELU: f32 = 12.0;

/// Attention heads; each sees `HEAD` of the dimensions.
const HEADS: usize = 12;

/// Dimensions of a head.
const HEAD: usize = DIMENSIONS / HEADS;

/// Query, key and value of a token lie side by side.
const ATTENTION: usize = 3 * DIMENSIONS;

/// The pass as one operation, so that all of it is compiled for the vector instructions that the machine turns out to
/// have: AVX-512 or AVX2 with FMA on x86, NEON on Arm, plain code elsewhere.
pub struct Forward<'a> {
    pub weights: &'a Weights,
    pub kernel: Kernel,
    /// At least one token.
    pub tokens: &'a [u32],
    /// Ranges of the tokens whose vectors are asked for.
    pub parts: &'a [Range<usize>],
}

/// Buffers of one pass, in numbers: `tokens * 3456` and `tokens^2`, at most 4 MB for 256 tokens.
struct Scratch {
    kernel: Kernel,
    quantised: QuantisedRows,
    sums: [[i32; COLUMNS]; ROWS],
    rows: Rows,
    panel: Panel,
    /// Query, key and value: `[token][ATTENTION]`.
    attention: Vec<f32>,
    /// `[token][tokens rounded up to PANEL]`, of one head.
    scores: Vec<f32>,
    /// Weighted values: `[token][DIMENSIONS]`.
    context: Vec<f32>,
    /// `[token][INTERMEDIATE]`.
    intermediate: Vec<f32>,
}

impl WithSimd for Forward<'_> {
    type Output = Vec<Vector>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<Vector> {
        let count = self.tokens.len();
        let mut scratch = Scratch {
            kernel: self.kernel,
            quantised: QuantisedRows::default(),
            sums: [[0; COLUMNS]; ROWS],
            rows: Rows::default(),
            panel: Panel::new(),
            attention: vec![0.0; count * ATTENTION],
            scores: Vec::new(),
            context: Vec::new(),
            intermediate: vec![0.0; count * INTERMEDIATE],
        };
        let mut hidden = embeddings(self.weights, self.tokens);
        for layer in &self.weights.layers {
            attend(simd, layer, count, &mut hidden, &mut scratch);
            feed_forward(layer, &mut hidden, &mut scratch);
        }
        let part = |part: &Range<usize>| pool(&hidden[part.start * DIMENSIONS..part.end * DIMENSIONS]);
        self.parts.iter().map(part).collect()
    }
}

/// The input of the first block: `[token][DIMENSIONS]`.
#[inline(always)]
fn embeddings(weights: &Weights, tokens: &[u32]) -> Vec<f32> {
    let mut hidden = vec![0.0; tokens.len() * DIMENSIONS];
    for ((position, token), row) in tokens.iter().enumerate().zip(hidden.chunks_exact_mut(DIMENSIONS)) {
        weights.words.add_row(*token as usize, row);
        add(row, &weights.segment);
        weights.positions.add_row(position, row);
    }
    normalise(&mut hidden, &weights.norm);
    hidden
}

/// Self-attention with its residual: every token gathers from every other.
#[inline(always)]
fn attend<S: Simd>(simd: S, layer: &Layer, count: usize, hidden: &mut [f32], scratch: &mut Scratch) {
    let Scratch { kernel, quantised, sums, rows, panel, attention, scores, context, .. } = scratch;
    quantised.quantise(hidden, DIMENSIONS, CLIP);
    let linear = &layer.attention_input;
    linear.matrix.multiply(*kernel, quantised, &linear.bias, sums, Output::Replace, attention);

    context.clear();
    context.resize(count * DIMENSIONS, 0.0);
    let stride = count.next_multiple_of(PANEL);
    for head in (0..DIMENSIONS).step_by(HEAD) {
        scores.clear();
        scores.resize(count * stride, 0.0);
        rows.pack(&attention[head..], ATTENTION, count, HEAD);
        let keys = Keys { attention, offset: DIMENSIONS + head, count };
        accumulate(simd, rows, &keys, count, panel, scores, stride);
        for row in scores.chunks_exact_mut(stride) {
            softmax(&mut row[..count]);
        }

        rows.pack(scores, stride, count, count);
        let values = Values { attention, offset: 2 * DIMENSIONS + head };
        accumulate(simd, rows, &values, HEAD, panel, &mut context[head..], DIMENSIONS);
    }

    quantised.quantise(context, DIMENSIONS, CLIP);
    let linear = &layer.attention_output;
    linear.matrix.multiply(*kernel, quantised, &linear.bias, sums, Output::Add, hidden);
    normalise(hidden, &layer.attention_norm);
}

/// The keys of one head, transposed: depth is a dimension of the head, a column is a token.
struct Keys<'a> {
    attention: &'a [f32],
    offset: usize,
    count: usize,
}

/// One over the root of the dimensions of a head (32), which keeps the softmax from saturating.
const SCORE_SCALES: [f32; PANEL] = [0.176_776_7; PANEL];

impl Right for Keys<'_> {
    #[inline(always)]
    fn fill(&self, depth: Range<usize>, first: usize, width: usize, panel: &mut [f32]) {
        panel.fill(0.0);
        for (column, token) in (first..self.count.min(first + width)).enumerate() {
            let key = &self.attention[token * ATTENTION + self.offset..][depth.clone()];
            for (step, value) in panel.chunks_exact_mut(width).zip(key) {
                step[column] = *value;
            }
        }
    }

    #[inline(always)]
    fn scales(&self, _: usize) -> &[f32] {
        &SCORE_SCALES
    }
}

/// The values of one head: depth is a token, a column is a dimension of the head.
struct Values<'a> {
    attention: &'a [f32],
    offset: usize,
}

impl Right for Values<'_> {
    #[inline(always)]
    fn fill(&self, depth: Range<usize>, first: usize, width: usize, panel: &mut [f32]) {
        for (step, token) in panel.chunks_exact_mut(width).zip(depth) {
            step.copy_from_slice(&self.attention[token * ATTENTION + self.offset + first..][..width]);
        }
    }

    #[inline(always)]
    fn scales(&self, _: usize) -> &[f32] {
        &[1.0; PANEL]
    }
}

/// The feed-forward part with its residual: every token for itself.
#[inline(always)]
fn feed_forward(layer: &Layer, hidden: &mut [f32], scratch: &mut Scratch) {
    let Scratch { kernel, quantised, sums, intermediate, .. } = scratch;
    quantised.quantise(hidden, DIMENSIONS, CLIP);
    let linear = &layer.intermediate;
    linear.matrix.multiply(*kernel, quantised, &linear.bias, sums, Output::Replace, intermediate);
    gelu(intermediate);
    quantised.quantise(intermediate, INTERMEDIATE, CLIP_GELU);
    let linear = &layer.output;
    linear.matrix.multiply(*kernel, quantised, &linear.bias, sums, Output::Add, hidden);
    normalise(hidden, &layer.output_norm);
}

#[inline(always)]
fn normalise(hidden: &mut [f32], norm: &Norm) {
    for row in hidden.chunks_exact_mut(DIMENSIONS) {
        layer_norm(row, &norm.weight, &norm.bias);
    }
}

#[inline(always)]
fn add(row: &mut [f32], other: &[f32]) {
    for (value, other) in row.iter_mut().zip(other) {
        *value += other;
    }
}

/// The mean of the token vectors, scaled to length one.
#[inline(always)]
fn pool(hidden: &[f32]) -> Vector {
    let mut vector = [0.0; DIMENSIONS];
    for row in hidden.chunks_exact(DIMENSIONS) {
        add(&mut vector, row);
    }
    // The mean and the sum have the same direction, so the count of tokens drops out.
    let factor = 1.0 / sum_of_squares(&vector).sqrt();
    for value in &mut vector {
        *value *= factor;
    }
    vector
}
