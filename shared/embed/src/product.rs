//! Matrix products of floats, for attention, in safe Rust over `pulp`'s run-time choice of vector instructions.
//!
//! One panel of the right side at a time is brought into a scratch buffer that stays in the first-level cache while every
//! block of rows passes over it. Multiplication and addition are fused on every machine, so that all give the same sums.
#![expect(clippy::inline_always, reason = "only inlined code is compiled for the vector instructions found")]

use std::ops::Range;

use pulp::Simd;

/// Rows of the left side that one tile holds in registers. Six rows of two vectors are twelve accumulators: with two
/// weights and one broadcast that fills the 16 registers of AVX2, the smallest set that has to be fast.
const ROWS: usize = 6;

/// Depth of one pass. 192 steps of the widest panel (32 numbers) are 24 KiB: inside any first-level cache of 32 KiB.
const DEPTH: usize = 192;

/// Columns of the widest panel: two vectors of AVX-512. Those of AVX2 (16) and NEON (8) divide it. Strides of outputs are
/// multiples of it.
pub const PANEL: usize = 32;

/// The left side of a product, rearranged so that one step of a tile reads `ROWS` neighbouring numbers.
#[derive(Default)]
pub struct Rows {
    count: usize,
    depth: usize,
    /// `[block][depth][ROWS]`; the last block repeats its last row where there are no more.
    values: Vec<f32>,
}

impl Rows {
    /// Takes `count` rows of `depth` numbers, each starting `stride` after the one before.
    #[inline(always)]
    pub fn pack(&mut self, source: &[f32], stride: usize, count: usize, depth: usize) {
        (self.count, self.depth) = (count, depth);
        self.values.clear();
        self.values.resize(count.div_ceil(ROWS) * ROWS * depth, 0.0);
        for (block, values) in self.values.chunks_exact_mut(ROWS * depth).enumerate() {
            let present = ROWS.min(count - block * ROWS);
            // A missing row repeats the last one: cheaper than a branch, and its sums are never written.
            let rows: [&[f32]; ROWS] = std::array::from_fn(|row| {
                let row = block * ROWS + row.min(present - 1);
                &source[row * stride..][..depth]
            });
            // Step by step. Row by row was measured to become scatter instructions, which took a third of a query.
            for (index, step) in values.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
                for (value, row) in step.iter_mut().zip(&rows) {
                    *value = row[index];
                }
            }
        }
    }
}

/// The right side of a product, which hands out its columns one panel at a time.
///
/// A trait and not a closure: a closure cannot be told to inline, and outside the caller it would be compiled for the
/// smallest instruction set. That was measured: it doubled the time of a query.
pub trait Right {
    /// Writes `width` columns from `first` on, for a range of depths, as `[depth][width]`.
    fn fill(&self, depth: Range<usize>, first: usize, width: usize, panel: &mut [f32]);

    /// The factors of the columns from `first` on, at least one panel of them.
    fn scales(&self, first: usize) -> &[f32];
}

/// The scratch panel, allocated once for a forward pass.
pub struct Panel(Vec<f32>);

impl Panel {
    pub fn new() -> Self {
        Self(vec![0.0; DEPTH * PANEL])
    }
}

/// `output[row][column] += scale[column] * sum over depth of rows[row][depth] * right[depth][column]`.
///
/// A row of the output is `stride` numbers, of which the first `columns` rounded up to the panel width are written.
#[inline(always)]
pub fn accumulate<S: Simd>(
    simd: S,
    rows: &Rows,
    right: &impl Right,
    columns: usize,
    panel: &mut Panel,
    output: &mut [f32],
    stride: usize,
) {
    let width = 2 * S::F32_LANES;
    for first in (0..columns).step_by(width) {
        let scales = S::as_simd_f32s(&right.scales(first)[..width]).0;
        for start in (0..rows.depth).step_by(DEPTH) {
            let depth = start..rows.depth.min(start + DEPTH);
            let panel = &mut panel.0[..depth.len() * width];
            right.fill(depth.clone(), first, width, panel);
            let weights = S::as_simd_f32s(panel).0.as_chunks::<2>().0;
            for (block, values) in rows.values.chunks_exact(ROWS * rows.depth).enumerate() {
                let steps = &values.as_chunks::<ROWS>().0[depth.clone()];
                let sums = tile(simd, steps, weights);
                for (row, sums) in sums.iter().enumerate().take(rows.count - block * ROWS) {
                    let output = &mut output[(block * ROWS + row) * stride + first..][..width];
                    let output = S::as_mut_simd_f32s(output).0;
                    output[0] = simd.mul_add_f32s(sums[0], scales[0], output[0]);
                    output[1] = simd.mul_add_f32s(sums[1], scales[1], output[1]);
                }
            }
        }
    }
}

/// Sums of `ROWS` rows times two vectors of columns.
#[inline(always)]
fn tile<S: Simd>(simd: S, steps: &[[f32; ROWS]], weights: &[[S::f32s; 2]]) -> [[S::f32s; 2]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); 2]; ROWS];
    for (values, weights) in steps.iter().zip(weights) {
        for (sums, value) in sums.iter_mut().zip(values) {
            let value = simd.splat_f32s(*value);
            sums[0] = simd.mul_add_f32s(value, weights[0], sums[0]);
            sums[1] = simd.mul_add_f32s(value, weights[1], sums[1]);
        }
    }
    sums
}
