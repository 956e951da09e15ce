//! A measured quantity over many runs: the median says what is usual, the minimum what it costs undisturbed.

use std::fmt;

/// Values of one quantity, in any order.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// How many values.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The middle value, the upper of two; 0 without values.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }

    /// The value that so many of a hundred do not exceed, by nearest rank; 0 without values.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(0.0)
    }

    /// The smallest value; 0 without values.
    pub fn min(&self) -> f64 {
        self.0.iter().copied().reduce(f64::min).unwrap_or(0.0)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, min) = (self.median(), self.min());
        let decimals = if median < 10.0 { 2 } else { 1 };
        f.pad(&format!("{median:.decimals$} ({min:.decimals$})"))
    }
}

/// Columns as wide as their widest cell; the first to the left, the rest to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| rows.iter().filter_map(|r| r.get(column)).map(|c: &String| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(at, cell)| match at {
            0 => format!("{cell:<0$}", widths[0]),
            _ => format!("{cell:>0$}", widths[at]),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_minimum_do_not_depend_on_the_order() {
        let mut sample = Sample::default();
        assert_eq!((sample.median(), sample.min()), (0.0, 0.0));
        for value in [3.0, 1.0, 20.0] {
            sample.add(value);
        }
        assert_eq!((sample.median(), sample.min()), (3.0, 1.0));
        assert_eq!(sample.to_string(), "3.00 (1.00)");
        let of = |percent| sample.percentile(percent).to_string();
        assert_eq!([0, 33, 34, 99, 100].map(of), ["1", "1", "3", "20", "20"]);
    }
}
