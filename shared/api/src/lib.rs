//! HTTP, the same way in every function that answers it: who asks, what they sent, and problem+json when it goes wrong.

mod caller;
mod problem;
mod refusal;
mod request;
mod serve;

pub use caller::{context, request_id};
pub use problem::{Kind, Problem, json, text};
pub use refusal::recorded;
pub use request::{decode, object, path_parameter, query_parameter, route};
pub use serve::{Line, Reply, Streamed, serve};

/// Largest request body in bytes. A question of 4,000 characters with its filters is under 20 KB in any script.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
