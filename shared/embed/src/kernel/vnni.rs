//! AVX-512 VNNI: `vpdpbusd` multiplies 64 bytes and adds them in fours. Twice the loads and four times the products of
//! the float instructions.

use super::{COLUMNS, DEPTH, LINE, ROWS, Step};
use std::arch::x86_64::{__m512i, _mm512_dpbusd_epi32, _mm512_set1_epi32, _mm512_setzero_si512};

/// See [`super::Kernel`].
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn products(panel: &[Step], rows: &[[i8; DEPTH]], sums: &mut [[i32; COLUMNS]]) {
    match sums.len() {
        1 => block::<1>(panel, rows, sums),
        2 => block::<2>(panel, rows, sums),
        3 => block::<3>(panel, rows, sums),
        4 => block::<4>(panel, rows, sums),
        5 => block::<5>(panel, rows, sums),
        count => {
            assert_eq!(count, ROWS, "a block has at most so many rows");
            block::<ROWS>(panel, rows, sums);
        }
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
fn block<const R: usize>(panel: &[Step], rows: &[[i8; DEPTH]], sums: &mut [[i32; COLUMNS]]) {
    let mut totals = [[_mm512_setzero_si512(); 4]; R];
    for (weights, values) in panel.iter().zip(rows.as_chunks::<R>().0) {
        let weights: [__m512i; 4] = pulp::cast(*weights);
        for (totals, values) in totals.iter_mut().zip(values) {
            let values = _mm512_set1_epi32(pulp::cast(*values));
            for (total, weights) in totals.iter_mut().zip(weights) {
                *total = _mm512_dpbusd_epi32(*total, weights, values);
            }
        }
    }
    for (sums, totals) in sums.iter_mut().zip(totals) {
        let totals: [[i32; LINE]; 4] = pulp::cast(totals);
        sums.as_chunks_mut::<LINE>().0.copy_from_slice(&totals);
    }
}
