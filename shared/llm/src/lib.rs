//! Language models outside the process. Order of reading: `gateway` (what happens to a question), `gate` (what of it may
//! leave), `prompt`, `provider` (the port), `wire` (the formats over `http` and `sse`), `outcome` (how a call ends), `answer` and
//! `supports` (what a model's text is turned into); `canary` tries a key, `minting` has Google make one.

pub mod answer;
pub mod canary;
mod ended;
pub mod gate;
pub mod gateway;
pub mod http;
pub mod minting;
pub mod outcome;
pub mod prompt;
pub mod provider;
mod reading;
pub mod sse;
pub mod supports;
pub mod wire;

pub use canary::ProviderCanary;
pub use gate::{Covered, Gate, ParseCoveredError};
pub use gateway::{Gateway, Route};
pub use http::{Address, HttpClient, MakeClientError, Patience};
pub use minting::GoogleKeys;
pub use outcome::{Billed, CallError, Failure};
pub use provider::{Form, Message, ModelRequest, ProviderClient, Reply, Sealed};
pub use wire::HttpProvider;
