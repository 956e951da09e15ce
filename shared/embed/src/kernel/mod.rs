//! The innermost loops of a forward pass: sums of products of int8 numbers, one implementation for each set of
//! instructions. All give the same sums to the last bit, so a vector does not depend on the machine that made it.
//!
//! Weights are stored plus 128, as bytes without a sign, because the instruction of AVX-512 VNNI multiplies an unsigned
//! by a signed byte; the caller subtracts 128 times the sum of the row again.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod vnni;

use multiversion::multiversion;
use multiversion::target::match_target;

/// Columns of a panel: four vectors of AVX-512, so that with six rows 24 of its 32 registers hold sums.
pub const COLUMNS: usize = 64;

/// Numbers of a column that lie side by side, because one instruction multiplies and adds so many.
pub const DEPTH: usize = 4;

/// Rows that pass over a panel together, at most: each weight that is read is used so often.
pub const ROWS: usize = 6;

/// Columns of a line: one vector of AVX-512.
pub const LINE: usize = COLUMNS / 4;

/// `DEPTH` weights plus 128 of each of the panel's columns, `LINE` columns at a time. No weight is -128, so none is 0 here:
/// then two products fit into sixteen bits, which NEON needs.
pub type Step = [[u8; LINE * DEPTH]; 4];

/// Multiplies a block of rows with a panel: `sums[row][column]` becomes the sum over all steps of `weight * value`.
/// The rows are interleaved, `[step][row]`, and `sums` has one element for each.
pub type Kernel = fn(panel: &[Step], rows: &[[i8; DEPTH]], sums: &mut [[i32; COLUMNS]]);

/// The fastest kernel for this machine.
pub fn best() -> Kernel {
    vnni_or_less()
}

#[multiversion(targets("x86_64+avx2+avx512f+avx512bw+avx512vl+avx512vnni", "x86_64+avx2", "aarch64+neon"))]
fn vnni_or_less() -> Kernel {
    match_target! {
        "x86_64+avx2+avx512f+avx512bw+avx512vl+avx512vnni" => vnni::products,
        "x86_64+avx2" => avx2::products,
        "aarch64+neon" => neon::products,
        _ => portable::products,
    }
}

/// Every kernel that this machine can run.
#[cfg(test)]
pub fn all() -> Vec<Kernel> {
    #[multiversion(targets("x86_64+avx2"))]
    fn avx2_or_less() -> Kernel {
        match_target! {
            "x86_64+avx2" => avx2::products,
            _ => portable::products,
        }
    }
    vec![vnni_or_less(), avx2_or_less(), portable::products]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, number by number.
    fn sum(panel: &[Step], rows: &[[i8; DEPTH]], count: usize, row: usize, column: usize) -> i32 {
        let weights = |step: &Step, depth| i32::from(step[column / LINE][column % LINE * DEPTH + depth]);
        let steps = panel.iter().zip(rows.chunks_exact(count));
        steps.map(|(step, rows)| (0..DEPTH).map(|depth| weights(step, depth) * i32::from(rows[row][depth])).sum::<i32>()).sum()
    }

    fn check(panel: &[Step], rows: &[[i8; DEPTH]], count: usize) {
        for kernel in all() {
            let mut sums = vec![[-1; COLUMNS]; count];
            kernel(panel, rows, &mut sums);
            for (row, sums) in sums.iter().enumerate() {
                for (column, found) in sums.iter().enumerate() {
                    assert_eq!(*found, sum(panel, rows, count, row, column), "row {row}, column {column} of {count}");
                }
            }
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        for (weight, value) in [(255, 127), (255, -128), (1, -128), (1, 127)] {
            check(&vec![[[weight; LINE * DEPTH]; 4]; 384], &vec![[value; DEPTH]; 384 * 6], 6);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_kernels_give_the_sum_of_products(count in 1..=ROWS, steps in 0_usize..20, seed: u64) {
            let mut state = seed | 1;
            let mut byte = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            };
            let panel: Vec<Step> = (0..steps).map(|_| std::array::from_fn(|_| std::array::from_fn(|_| byte().max(1)))).collect();
            let rows: Vec<[i8; DEPTH]> = (0..steps * count).map(|_| std::array::from_fn(|_| byte().cast_signed())).collect();
            check(&panel, &rows, count);
        }
    }
}
