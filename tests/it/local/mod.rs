//! Against the template as it is deployed into a local AWS, with IAM enforced.

mod bad_input;
mod conversations;
mod delivery;
mod harness;
mod iam;
mod isolation;
mod journey;
mod keys;
mod models;
mod money;
mod pdf;
mod privacy;
mod race;
mod roles;
mod samples;
mod sealing;
mod trail;
