//! Any bytes that are named `a.pdf`, in the second parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| extract::fuzzing::read_again(bytes));
