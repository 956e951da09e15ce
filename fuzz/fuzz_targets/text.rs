//! Any bytes without a telling name, as text, and as comma separated values.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for name in ["a", "a.txt", "a.csv"] {
        extract::fuzzing::read(bytes, name);
    }
});
