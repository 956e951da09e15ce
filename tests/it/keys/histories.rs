//! The histories and what must be true of them are in `tests::rotations`, of which `cargo run --release -p bench -- rotation`
//! plays many more.

use tests::rotations;

/// Histories in a run.
const HISTORIES: u32 = 500;

#[test]
fn the_key_in_use_works_whatever_happens_to_its_rotation() {
    let report = rotations::run(HISTORIES);
    assert!(report.violations.is_empty(), "{} violations:\n{}", report.violations.len(), report.violations.join("\n"));
    // A test that never gets to the hard cases proves nothing.
    let often = u64::from(HISTORIES);
    assert!(report.runs > 10 * often && report.killed > 3 * often, "{report:?}");
    assert!(report.promotions > often && report.revoked > often, "{report:?}");
}
