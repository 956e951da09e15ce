//! NEON: products of bytes fill sixteen bits, two of them fit there together, and pairs are added into 32 bits.

use super::{COLUMNS, DEPTH, LINE, Step};
use std::arch::aarch64::{int8x8_t, int32x4_t, vdup_n_s8, vdupq_n_s32, veor_s8, vmlal_s8, vmull_s8, vpadalq_s16};

/// Columns of a vector of eight bytes, and vectors of a line.
const PAIR: usize = 8 / DEPTH;
const PAIRS: usize = LINE / PAIR;

/// See [`super::Kernel`].
#[target_feature(enable = "neon")]
pub fn products(panel: &[Step], rows: &[[i8; DEPTH]], sums: &mut [[i32; COLUMNS]]) {
    let count = sums.len();
    for first in (0..count).step_by(2) {
        let sums = &mut sums[first..count.min(first + 2)];
        match sums.len() {
            1 => tile::<1>(panel, rows, count, first, sums),
            _ => tile::<2>(panel, rows, count, first, sums),
        }
    }
}

#[target_feature(enable = "neon")]
fn tile<const R: usize>(panel: &[Step], rows: &[[i8; DEPTH]], count: usize, first: usize, sums: &mut [[i32; COLUMNS]]) {
    let sign = vdup_n_s8(i8::MIN);
    let values = |step: usize| -> [int8x8_t; R] {
        std::array::from_fn(|row| {
            let group = rows[step * count + first + row];
            pulp::cast([group, group])
        })
    };
    for line in 0..COLUMNS / LINE {
        let mut totals = [[vdupq_n_s32(0); PAIRS]; R];
        let (pairs, last) = panel.as_chunks::<2>();
        for (at, steps) in pairs.iter().enumerate() {
            let [one, two] = [values(at * 2), values(at * 2 + 1)];
            let weights: [[int8x8_t; PAIRS]; 2] = [pulp::cast(steps[0][line]), pulp::cast(steps[1][line])];
            for pair in 0..PAIRS {
                let [a, b] = weights.map(|weights| veor_s8(weights[pair], sign));
                for row in 0..R {
                    let products = vmlal_s8(vmull_s8(a, one[row]), b, two[row]);
                    totals[row][pair] = vpadalq_s16(totals[row][pair], products);
                }
            }
        }
        for step in last {
            let values = values(panel.len() - 1);
            let weights: [int8x8_t; PAIRS] = pulp::cast(step[line]);
            for pair in 0..PAIRS {
                for row in 0..R {
                    let products = vmull_s8(veor_s8(weights[pair], sign), values[row]);
                    totals[row][pair] = vpadalq_s16(totals[row][pair], products);
                }
            }
        }
        for (sums, totals) in sums.iter_mut().zip(totals) {
            let halves: [[i32; 2]; LINE] = pulp::cast::<[int32x4_t; PAIRS], _>(totals);
            for (sum, [left, right]) in sums[line * LINE..][..LINE].iter_mut().zip(halves) {
                *sum = left + right;
            }
        }
    }
    // With its sign a weight is 128 too small.
    for (row, sums) in sums.iter_mut().enumerate() {
        let values = rows.chunks_exact(count).flat_map(|rows| rows[first + row]);
        let offset = 128 * values.map(i32::from).sum::<i32>();
        for sum in sums {
            *sum += offset;
        }
    }
}
