//! Any bytes that are named `a.html`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| extract::fuzzing::read(bytes, "a.html"));
