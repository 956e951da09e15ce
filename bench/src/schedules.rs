//! The index under everything that S3, SQS and Lambda do: random schedules, the same code as the test, many more of them.

use crate::machine;
use anyhow::{Result, ensure};
use std::time::Instant;
use tests::schedules;

/// Schedules in a run.
const SCHEDULES: u32 = 50_000;

/// Prints the figure; fails if anything was not as it must be.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    let begun = Instant::now();
    let report = schedules::run(SCHEDULES);
    println!(
        "{} schedules in {:.0} s: {} deliveries to three indexers, {} store calls failed or lost their answer, {} packs written, \
         {} objects swept, {} searches checked against every manifest that there was",
        report.schedules,
        begun.elapsed().as_secs_f64(),
        report.deliveries,
        report.failures,
        report.packs,
        report.swept,
        report.searches,
    );
    println!("violations: {}", report.violations.len());
    ensure!(report.violations.is_empty(), "the first violation:\n{}", report.violations[0]);
    Ok(())
}
