//! The index under everything that S3, SQS and Lambda do: the schedules and what must be true are in `tests::schedules`, which
//! `cargo run --release -p bench -- schedules` runs many more of.

use tests::schedules;

/// Schedules in a run. Each takes some milliseconds in a debug build.
const SCHEDULES: u32 = 1_000;

#[test]
fn the_index_is_safe_under_every_schedule() {
    let report = schedules::run(SCHEDULES);
    assert!(report.violations.is_empty(), "{} violations:\n{}", report.violations.len(), report.violations.join("\n"));
    // A test that never gets to the hard cases proves nothing.
    let often = u64::from(SCHEDULES);
    assert!(report.deliveries > 5 * often && report.searches > 10 * often, "{report:?}");
    assert!(report.packs > often && report.failures > often && report.swept > often / 20, "{report:?}");
}
