//! What leaves when patients are asked about: the same code as the test, many more questions.

use crate::machine;
use anyhow::{Context as _, Result, ensure};
use std::time::Instant;

/// Questions in a run; `CASES` says another number.
const CASES: usize = 50_000;

/// Prints the figure; fails if anything has left or come through.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    let cases = match std::env::var("CASES") {
        Ok(said) => said.parse().context("CASES is a number")?,
        Err(_) => CASES,
    };
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(tests::egress::run(cases))?;
    println!(
        "{} questions in {:.0} s: {} requests of {:.1} MB captured; {} answers name the patient again; {} documents gave orders",
        report.cases,
        begun.elapsed().as_secs_f64(),
        report.requests,
        report.bytes as f64 / 1e6,
        report.restored,
        report.injected,
    );
    println!("identifiers that left, orders and links that came through: {}", report.leaks.len());
    ensure!(report.leaks.is_empty(), "the first one:\n{}", report.leaks[0]);
    Ok(())
}
