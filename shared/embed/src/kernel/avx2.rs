//! AVX2 has no exact product of bytes, so they are widened: `vpmaddwd` multiplies 16 numbers of two bytes and adds them
//! in pairs.

use super::{COLUMNS, DEPTH, LINE, Step};
use std::arch::x86_64::{
    __m128i, __m256i, _mm_set1_epi32, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16, _mm256_madd_epi16,
    _mm256_setzero_si256,
};

/// Rows at a time: of 16 registers twelve hold sums.
const TILE: usize = 3;

/// See [`super::Kernel`].
#[target_feature(enable = "avx2")]
pub fn products(panel: &[Step], rows: &[[i8; DEPTH]], sums: &mut [[i32; COLUMNS]]) {
    let count = sums.len();
    for first in (0..count).step_by(TILE) {
        let sums = &mut sums[first..count.min(first + TILE)];
        match sums.len() {
            1 => tile::<1>(panel, rows, count, first, sums),
            2 => tile::<2>(panel, rows, count, first, sums),
            _ => tile::<TILE>(panel, rows, count, first, sums),
        }
    }
}

#[target_feature(enable = "avx2")]
fn tile<const R: usize>(panel: &[Step], rows: &[[i8; DEPTH]], count: usize, first: usize, sums: &mut [[i32; COLUMNS]]) {
    for line in 0..COLUMNS / LINE {
        // Four vectors of four columns each, every column in two halves.
        let mut totals = [[_mm256_setzero_si256(); 4]; R];
        for (weights, values) in panel.iter().zip(rows.chunks_exact(count)) {
            let values: &[[i8; DEPTH]; R] = &values[first..].as_chunks().0[0];
            let values = values.map(|values| _mm256_cvtepi8_epi16(_mm_set1_epi32(pulp::cast(values))));
            let weights: [__m128i; 4] = pulp::cast(weights[line]);
            for (part, weights) in weights.into_iter().enumerate() {
                let weights = _mm256_cvtepu8_epi16(weights);
                for (totals, values) in totals.iter_mut().zip(values) {
                    totals[part] = _mm256_add_epi32(totals[part], _mm256_madd_epi16(weights, values));
                }
            }
        }
        for (sums, totals) in sums.iter_mut().zip(totals) {
            let halves: [[i32; 2]; LINE] = pulp::cast::<[__m256i; 4], _>(totals);
            for (sum, [left, right]) in sums[line * LINE..][..LINE].iter_mut().zip(halves) {
                *sum = left + right;
            }
        }
    }
}
