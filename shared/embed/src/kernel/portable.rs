//! For every other machine: plain Rust, which the others are held equal to.

use super::{COLUMNS, DEPTH, LINE, Step};

/// See [`super::Kernel`].
pub fn products(panel: &[Step], rows: &[[i8; DEPTH]], sums: &mut [[i32; COLUMNS]]) {
    let count = sums.len();
    for (row, sums) in sums.iter_mut().enumerate() {
        for (line, sums) in sums.as_chunks_mut::<LINE>().0.iter_mut().enumerate() {
            let mut totals = [0; LINE];
            for (weights, values) in panel.iter().zip(rows.chunks_exact(count)) {
                let values = values[row].map(i32::from);
                for (total, weights) in totals.iter_mut().zip(weights[line].as_chunks::<DEPTH>().0) {
                    for (weight, value) in weights.iter().zip(values) {
                        *total += i32::from(*weight) * value;
                    }
                }
            }
            *sums = totals;
        }
    }
}
