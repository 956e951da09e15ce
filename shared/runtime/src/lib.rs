//! What every function does around its use case: read its settings once, talk to AWS through one HTTP client, write log
//! lines and metrics without content, and tell the queue what to deliver again.

pub mod aws;
pub mod batch;
pub mod env;
pub mod ids;
pub mod metered;
pub mod redact;
pub mod telemetry;
