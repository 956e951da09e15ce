//! The histories and what must be true of them are in `tests::rotations`, of which `cargo run --release -p bench -- rotation`
//! plays many more.

use tests::rotations;

/// Histories in a run; `CLINCHAT_HISTORIES=20000` without a release build.
const HISTORIES: u32 = 500;

#[test]
fn the_key_in_use_works_whatever_happens_to_its_rotation() {
    let histories = std::env::var("CLINCHAT_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(HISTORIES);
    let report = rotations::run(histories);
    println!(
        "{histories} histories: {} runs, {} cut off, {} promotions, {} keys used and revoked, {} violations",
        report.runs,
        report.killed,
        report.promotions,
        report.revoked,
        report.violations.len()
    );
    assert!(report.violations.is_empty(), "{} violations:\n{}", report.violations.len(), report.violations.join("\n"));
    // A test that never gets to the hard cases proves nothing.
    let often = u64::from(histories);
    assert!(report.runs > 10 * often && report.killed > 3 * often, "{report:?}");
    assert!(report.promotions > often && report.revoked > often, "{report:?}");
}
