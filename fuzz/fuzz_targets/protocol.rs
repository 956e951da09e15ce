//! Any lines that a child which a file has taken over may write.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| extract::fuzzing::hear(bytes));
