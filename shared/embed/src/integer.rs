//! Matrix products with int8 on both sides.
//!
//! The numbers of a row are scaled to whole numbers, the weights of a column were; the sums of their products are exact,
//! whatever instructions a machine has, and only scaling a sum back is float arithmetic. A few numbers of this model are
//! ten times as large as all others. They would leave the others two of the eight bits, so they may go beyond: what int8
//! cannot hold of them is multiplied apart.
#![expect(clippy::inline_always, reason = "only inlined code is compiled for the vector instructions found")]

use crate::kernel::{COLUMNS, DEPTH, Kernel, ROWS, Step};

/// Adding and subtracting 1.5 * 2^23 rounds to an integer and leaves that integer in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// What a stored weight is too large by.
const OFFSET: i32 = 128;

/// The left side of a product: rows of int8 numbers with one scale each.
#[derive(Default)]
pub struct QuantisedRows {
    count: usize,
    /// Groups of `DEPTH` numbers in a row.
    steps: usize,
    /// Block by block, `[step][row]`; the blocks are as even as they can be.
    values: Vec<[i8; DEPTH]>,
    whole: Vec<i32>,
    scales: Vec<f32>,
    /// `OFFSET` times the sum of each row.
    offsets: Vec<i32>,
    /// What did not fit: place and multiple of 256, row after row.
    outliers: Vec<(usize, i32)>,
    /// Where each row's outliers end.
    ends: Vec<usize>,
}

impl QuantisedRows {
    /// Takes rows of `depth` numbers, which is a multiple of 16. Numbers up to `clip` times a row's mean absolute value
    /// get the range of int8; the few beyond keep their rest in a list.
    #[inline(always)]
    pub fn quantise(&mut self, source: &[f32], depth: usize, clip: f32) {
        self.count = source.len() / depth;
        self.steps = depth / DEPTH;
        self.values.resize(self.count * self.steps, [0; DEPTH]);
        self.whole.resize(depth, 0);
        self.scales.clear();
        self.offsets.clear();
        self.outliers.clear();
        self.ends.clear();
        for (first, rows) in blocks(self.count) {
            let block = &mut self.values[first * self.steps..][..rows * self.steps];
            for row in 0..rows {
                let source = &source[(first + row) * depth..][..depth];
                let range = (mean(source) * clip).max(f32::MIN_POSITIVE);
                let factor = 127.0 / range;
                let mut sum = 0;
                for (whole, value) in self.whole.iter_mut().zip(source) {
                    *whole = (*value * factor + ROUND).to_bits().cast_signed() - ROUND.to_bits().cast_signed();
                    sum += *whole;
                }
                for (chunk, whole) in self.whole.as_chunks::<16>().0.iter().enumerate() {
                    let mut rests = 0;
                    for whole in whole {
                        rests |= rest(*whole);
                    }
                    if rests != 0 {
                        for (at, whole) in (chunk * 16..).zip(whole) {
                            if rest(*whole) != 0 {
                                self.outliers.push((at, rest(*whole)));
                            }
                        }
                    }
                }
                self.scales.push(range / 127.0);
                self.offsets.push(sum * OFFSET);
                self.ends.push(self.outliers.len());
                for (step, whole) in self.whole.as_chunks::<DEPTH>().0.iter().enumerate() {
                    block[step * rows + row] = whole.map(|whole| whole as i8);
                }
            }
        }
    }

    #[inline(always)]
    fn outliers(&self, row: usize) -> &[(usize, i32)] {
        let from = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.outliers[from..self.ends[row]]
    }
}

/// What int8 leaves of a number: a multiple of 256, mostly none.
#[inline(always)]
fn rest(whole: i32) -> i32 {
    whole - i32::from(whole as i8)
}

/// First row and count of each block of at most `ROWS`, as even as they can be: a block of one row would wait for each
/// of its sums.
#[inline(always)]
fn blocks(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let blocks = count.div_ceil(ROWS).max(1);
    (0..blocks).map(move |block| {
        let first = count * block / blocks;
        (first, count * (block + 1) / blocks - first)
    })
}

/// The mean absolute value, lane by lane, because the compiler may not reorder floats.
#[inline(always)]
fn mean(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0_f32; 16];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value.abs();
        }
    }
    let mut sum = 0.0;
    for value in lanes.iter().chain(rest) {
        sum += value.abs();
    }
    sum / values.len() as f32
}

/// Bytes that a processor fetches at once.
const CACHE_LINE: usize = 64;

/// Whether a product replaces what is in the output or is added to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Replace,
    Add,
}

/// An int8 matrix with one scale for each column, panel by panel: `[columns / COLUMNS][depth / DEPTH]` steps.
pub struct QuantisedMatrix {
    depth: usize,
    /// Larger than the panels by up to a cache line, so that they can begin at one.
    bytes: Vec<u8>,
    start: usize,
    scales: Vec<f32>,
}

impl QuantisedMatrix {
    /// A matrix whose columns are still to come, by `append`.
    pub fn new(depth: usize, columns: usize) -> Self {
        let bytes = vec![0; depth * columns + CACHE_LINE];
        // A vector that lies in two cache lines takes two loads. Where it cannot be told, any place is right.
        let start = bytes.as_ptr().align_offset(CACHE_LINE).min(CACHE_LINE);
        Self { depth, bytes, start, scales: Vec::with_capacity(columns) }
    }

    /// Adds the columns of a row-major `[depth, scales.len()]` matrix of two's-complement bytes, of which none is -128, to
    /// the right.
    pub fn append(&mut self, weights: &[u8], scales: &[f32]) {
        let columns = scales.len();
        assert!(columns.is_multiple_of(COLUMNS) && weights.len() == self.depth * columns);
        assert!(!weights.contains(&0x80), "a symmetric scale has no -128");
        let panels = &mut self.bytes[self.start + self.depth * self.scales.len()..][..weights.len()];
        for (at, panel) in panels.chunks_exact_mut(self.depth * COLUMNS).enumerate() {
            let rows = weights.chunks_exact(DEPTH * columns);
            for (step, rows) in panel.chunks_exact_mut(DEPTH * COLUMNS).zip(rows) {
                let row = |depth: usize| &rows[depth * columns + at * COLUMNS..][..COLUMNS];
                let rows: [&[u8]; DEPTH] = std::array::from_fn(row);
                for (column, group) in step.as_chunks_mut::<DEPTH>().0.iter_mut().enumerate() {
                    // Two's complement plus 128 is the same bits with the highest turned over.
                    *group = rows.map(|row| row[column] ^ 0x80);
                }
            }
        }
        self.scales.extend_from_slice(scales);
    }

    #[inline(always)]
    fn panels(&self) -> &[Step] {
        let bytes = &self.bytes[self.start..][..self.depth * self.scales.len()];
        bytes.as_chunks().0.as_chunks().0
    }

    /// `output = rows * self + bias`, or `output += ...`. A row of the output has one number for each column.
    #[inline(always)]
    pub fn multiply(
        &self,
        kernel: Kernel,
        rows: &QuantisedRows,
        bias: &[f32],
        sums: &mut [[i32; COLUMNS]; ROWS],
        how: Output,
        output: &mut [f32],
    ) {
        let columns = self.scales.len();
        let steps = self.depth / DEPTH;
        for (at, panel) in self.panels().chunks_exact(steps).enumerate() {
            let place = at * COLUMNS..(at + 1) * COLUMNS;
            let (scales, bias) = (&self.scales[place.clone()], &bias[place.clone()]);
            for (first, count) in blocks(rows.count) {
                kernel(panel, &rows.values[first * steps..][..count * steps], &mut sums[..count]);
                for (row, sums) in (first..).zip(&mut sums[..count]) {
                    for (place, rest) in rows.outliers(row) {
                        add_outlier(panel, *place, *rest, sums);
                    }
                    let output = &mut output[row * columns..][place.clone()];
                    let (scale, offset) = (rows.scales[row], rows.offsets[row]);
                    match how {
                        Output::Replace => {
                            for (((output, sum), column), bias) in output.iter_mut().zip(&*sums).zip(scales).zip(bias) {
                                *output = (sum - offset) as f32 * (scale * column) + bias;
                            }
                        }
                        Output::Add => {
                            for (((output, sum), column), bias) in output.iter_mut().zip(&*sums).zip(scales).zip(bias) {
                                *output += (sum - offset) as f32 * (scale * column) + bias;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Adds `rest` times the weights of one depth.
#[inline(always)]
fn add_outlier(panel: &[Step], depth: usize, rest: i32, sums: &mut [i32; COLUMNS]) {
    let shift = depth % DEPTH * 8;
    for (sums, line) in sums.as_chunks_mut::<16>().0.iter_mut().zip(&panel[depth / DEPTH]) {
        for (sum, weights) in sums.iter_mut().zip(line.as_chunks::<DEPTH>().0) {
            *sum += rest * (u32::from_le_bytes(*weights) >> shift & 255).cast_signed();
        }
    }
}
