//! The sealed trail under everything that somebody who can write the archive could do to it: see `tests/src/tampering.rs`.

use tests::tampering::{CLASSES, false_alarms, mutate};

#[test]
fn every_mutation_of_a_sealed_trail_is_found_with_the_first_bad_row() {
    assert!(CLASSES.len() >= 14);
    for tried in mutate(100) {
        assert_eq!((tried.tried, tried.found, tried.exact), (100, 100, 100), "{tried:?}");
    }
}

#[test]
fn no_untouched_trail_is_called_unsound() {
    assert_eq!(false_alarms(1_000), 0);
}
