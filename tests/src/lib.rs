//! What the whole-system tests of `it/` and the figures of `bench` both run: the same code, so that a figure counts what a
//! test checks.

pub mod bedrock_double;
pub mod cases;
pub mod egress;
pub mod google_double;
pub mod hospital;
pub mod injections;
pub mod llm_double;
pub mod rotations;
pub mod runtime_api;
pub mod schedules;
pub mod sealing;
pub mod tampering;
