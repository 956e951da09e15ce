//! Matrix products of the recogniser, in safe Rust over `pulp`'s run-time choice of vector instructions.
#![expect(clippy::inline_always, reason = "only inlined code is compiled for the vector instructions found")]

use pulp::{Arch, Simd, WithSimd};

/// Rows of the left side that one tile holds: with two vectors each, twelve accumulators of the sixteen registers of AVX2.
const ROWS: usize = 6;

/// A right side `[inputs, outputs]`, stored as the tiles read it: `[panel][input][width]`.
pub struct Matrix {
    inputs: usize,
    outputs: usize,
    width: usize,
    panels: Vec<f32>,
}

impl Matrix {
    /// From rows of outputs, `[outputs, inputs]`. Outputs are filled up with zeroes to whole panels.
    pub fn from_rows(weights: &[f32], inputs: usize) -> Self {
        struct Width;
        impl WithSimd for Width {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> usize {
                2 * S::F32_LANES
            }
        }
        let width = Arch::new().dispatch(Width);
        let outputs = weights.len() / inputs;
        let mut panels = vec![0.0; outputs.div_ceil(width) * width * inputs];
        for (panel, values) in panels.chunks_exact_mut(width * inputs).enumerate() {
            for (lane, row) in weights.chunks_exact(inputs).skip(panel * width).take(width).enumerate() {
                for (step, weight) in values.chunks_exact_mut(width).zip(row) {
                    step[lane] = *weight;
                }
            }
        }
        Self { inputs, outputs, width, panels }
    }

    /// `product = rows * self`, both row-major and without gaps.
    pub fn multiply(&self, rows: &[f32], product: &mut Vec<f32>) {
        product.clear();
        product.resize(rows.len() / self.inputs * self.outputs, 0.0);
        Arch::new().dispatch(Product { matrix: self, rows, output: product });
    }
}

struct Product<'a> {
    matrix: &'a Matrix,
    rows: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { matrix, rows, output } = self;
        let mut steps = vec![0.0; ROWS * matrix.inputs];
        for (block, product) in output.chunks_mut(ROWS * matrix.outputs).enumerate() {
            let present = product.len() / matrix.outputs;
            // A missing row repeats the last one: cheaper than a branch, and its sums are never written.
            let sources: [&[f32]; ROWS] =
                std::array::from_fn(|row| &rows[(block * ROWS + row.min(present - 1)) * matrix.inputs..][..matrix.inputs]);
            for (at, step) in steps.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
                for (value, source) in step.iter_mut().zip(&sources) {
                    *value = source[at];
                }
            }
            for (panel, weights) in matrix.panels.chunks_exact(matrix.width * matrix.inputs).enumerate() {
                let sums = tile(simd, weights, &steps);
                let first = panel * matrix.width;
                let count = matrix.width.min(matrix.outputs - first);
                for (row, sums) in sums.iter().enumerate().take(present) {
                    let sums: &[f32] = pulp::bytemuck::cast_slice(sums);
                    product[row * matrix.outputs + first..][..count].copy_from_slice(&sums[..count]);
                }
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd>(simd: S, weights: &[f32], steps: &[f32]) -> [[S::f32s; 2]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); 2]; ROWS];
    let vectors = S::as_simd_f32s(weights).0.as_chunks::<2>().0;
    for (vectors, step) in vectors.iter().zip(steps.as_chunks::<ROWS>().0) {
        let mut row = 0;
        while row < ROWS {
            let value = simd.splat_f32s(step[row]);
            sums[row][0] = simd.mul_add_e_f32s(value, vectors[0], sums[row][0]);
            sums[row][1] = simd.mul_add_e_f32s(value, vectors[1], sums[row][1]);
            row += 1;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let (inputs, outputs, count) = (7, 45, 13);
        let weights: Vec<f32> = (0..inputs * outputs).map(|at| ((at * 37 % 101) as f32 - 50.0) / 16.0).collect();
        let rows: Vec<f32> = (0..inputs * count).map(|at| ((at * 53 % 89) as f32 - 44.0) / 16.0).collect();
        let mut product = Vec::new();
        Matrix::from_rows(&weights, inputs).multiply(&rows, &mut product);
        for row in 0..count {
            for output in 0..outputs {
                let expected: f32 = (0..inputs).map(|at| rows[row * inputs + at] * weights[output * inputs + at]).sum();
                assert!((product[row * outputs + output] - expected).abs() < 1e-3);
            }
        }
    }
}
