//! Any bytes that are named `a.pdf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| extract::fuzzing::read(bytes, "a.pdf"));
