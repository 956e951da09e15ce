//! What can go wrong between a provider and us.

use serde::{Deserialize, Serialize};

/// One way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A status with the provider's usual error body; `retry-after` in seconds where there is one.
    Status(u16, Option<u32>),
    /// The key is refused, as this provider does it.
    BadKey,
    /// The model is gone.
    Retired,
    /// A redirect to another host.
    Redirect,
    /// The connection ends before a byte of the answer.
    ClosedBefore,
    /// It ends in the middle of the body.
    ClosedWithin,
    /// The head comes, then nothing.
    Stalled,
    /// Nothing comes at all.
    Silent,
    /// A byte at a time, slowly, for ever.
    Drip,
    /// A byte at a time, fast.
    OneByteChunks,
    /// Three bytes at a time: characters are cut.
    SplitCharacters,
    /// CR, LF and CR LF by turns.
    MixedLineEnds,
    /// The end marker does not come.
    MissingEnd,
    /// The counts come twice.
    DuplicateUsage,
    /// The counts do not come.
    NoUsage,
    /// A line of ten megabytes.
    HugeLine,
    /// Events without content, a hundred thousand of them.
    EmptyEvents,
    /// What should be JSON is cut.
    MalformedJson,
    /// Bytes that are no UTF-8.
    NotText,
    /// What should be HTTP is not.
    NotHttp,
    /// An error object in an answer of status 200.
    ErrorWithin,
    /// The prompt is blocked.
    PromptBlocked,
    /// The answer is stopped by safety rules.
    SafetyStop,
    /// The answer is stopped for a reason nobody knows.
    OddStop,
    /// The answer is stopped at its bound.
    Truncated,
    /// The model wants a tool called.
    ToolCall,
    /// The model writes prose instead of JSON.
    Prose,
    /// Everything comes but the end. Not in the list: nothing is wrong with what came, and the other side has to hang up.
    Endless,
    /// A pause before each event; when each was written is kept. Not in the list: nothing is wrong.
    Paced,
}

impl Fault {
    /// One of each, the statuses of the list among them.
    pub fn all() -> Vec<Self> {
        let statuses = [400, 403, 404, 408, 413, 422, 424, 429, 498, 499, 500, 502, 503, 504, 529];
        let mut all: Vec<Self> = statuses.map(|code| Self::Status(code, (code == 429).then_some(7))).to_vec();
        all.extend([
            Self::Status(429, None),
            Self::BadKey,
            Self::Retired,
            Self::Redirect,
            Self::ClosedBefore,
            Self::ClosedWithin,
            Self::Stalled,
            Self::Silent,
            Self::Drip,
            Self::OneByteChunks,
            Self::SplitCharacters,
            Self::MixedLineEnds,
            Self::MissingEnd,
            Self::DuplicateUsage,
            Self::NoUsage,
            Self::HugeLine,
            Self::EmptyEvents,
            Self::MalformedJson,
            Self::NotText,
            Self::NotHttp,
            Self::ErrorWithin,
            Self::PromptBlocked,
            Self::SafetyStop,
            Self::OddStop,
            Self::Truncated,
            Self::ToolCall,
            Self::Prose,
        ]);
        all
    }
}
