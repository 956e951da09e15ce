//! Any bytes that are named `a.md`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| extract::fuzzing::read(bytes, "a.md"));
