//! The rotation of a key under everything that schedules, operators, Secrets Manager and Lambda do: random histories, the same code
//! as the test, many more of them.

use crate::machine;
use anyhow::{Result, ensure};
use std::time::Instant;
use tests::rotations;

/// Histories in a run.
const HISTORIES: u32 = 20_000;

/// Prints the figure; fails if anything was not as it must be.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    let begun = Instant::now();
    let report = rotations::run(HISTORIES);
    println!(
        "{} histories in {:.0} s: {} runs, two to twenty at once, {} of them cut off on the way; {} promotions and ways back, {} keys \
         used and then refused by the provider",
        report.histories,
        begun.elapsed().as_secs_f64(),
        report.runs,
        report.killed,
        report.promotions,
        report.revoked,
    );
    println!("violations: {}", report.violations.len());
    ensure!(report.violations.is_empty(), "the first violation:\n{}", report.violations[0]);
    Ok(())
}
