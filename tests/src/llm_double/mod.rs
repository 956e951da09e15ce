//! A double of the language models' providers: a real server on a real socket that speaks Gemini's and `OpenAI`'s formats to the
//! byte, keeps every byte that it gets, and fails in every way that was ever seen, on demand.
//!
//! `server` has the sockets, `wire` the formats, `fault` what can go wrong, `mind` what is answered. In a process of its own
//! (`llm-double`) it is told what to do at `/double/behaviour` and shows what it got at `/double/requests`.

mod fault;
mod mind;
mod server;
mod wire;

pub use fault::Fault;
pub use mind::Mind;
pub use server::{LlmDouble, Recorded};
pub use wire::{Format, USAGE};

use serde::{Deserialize, Serialize};

/// How the double answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Behaviour {
    /// What it says.
    #[serde(default)]
    pub mind: Mind,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// Keys that it refuses; any other is good.
    #[serde(default)]
    pub bad_keys: Vec<String>,
}

impl Behaviour {
    /// Answers well.
    pub fn well() -> Self {
        Self::default()
    }

    /// Goes wrong in one way.
    pub fn failing(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// Answers in one way.
    pub fn of(mind: Mind) -> Self {
        Self { mind, ..Self::default() }
    }
}
