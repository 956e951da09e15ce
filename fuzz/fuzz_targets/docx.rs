//! Any bytes that are named `a.docx`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| extract::fuzzing::read(bytes, "a.docx"));
