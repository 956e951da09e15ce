//! Why a document could not be read, in words that carry nothing of its content.

use domain::documents::pages::Reason;
use serde::{Deserialize, Serialize};

/// A document that could not be read. Neither `Display` nor `Debug` holds anything from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", reason.advice())]
pub struct ExtractError {
    /// What the API shows.
    pub reason: Reason,
    /// Which of our checks said so: for the log.
    pub detail: Detail,
}

/// The check that refused a document. The names are stable: operators search logs for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// There are no bytes.
    NoBytes,
    /// There are bytes, but not one character to index.
    NoText,
    /// The bytes are not what the name promises.
    NotAsNamed,
    /// The bytes are no text in any encoding, and no format that is known.
    NotText,
    /// The file is larger than `Limits::bytes_max`.
    Bytes,
    /// The text is longer than `Limits::text_bytes_max`.
    TextBytes,
    /// The archive unpacks to many times its size.
    Expansion,
    /// There are more blocks than `Limits::blocks_max`.
    Blocks,
    /// There are more pages than `Limits::pages_max`.
    Pages,
    /// There is no page, or none that can be read.
    NoPages,
    /// A password is needed.
    Password,
    /// The pages are pictures, or their letters cannot be decoded.
    Pictures,
    /// The parser returned an error.
    Parser,
    /// The parser panicked.
    Panicked,
    /// The child asked for more memory than `Limits::memory_bytes`.
    Memory,
    /// The child ran out of stack: something is nested too deep.
    Stack,
    /// The child was ended by a signal that none of the limits explains.
    Crashed,
    /// The child used up its processor time.
    Processor,
    /// The child used up its time on the wall.
    Wall,
    /// The child could not be started.
    Start,
    /// The child's answer is not in the protocol.
    Protocol,
}

impl ExtractError {
    pub(crate) const fn new(reason: Reason, detail: Detail) -> Self {
        Self { reason, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_advice_and_survives_the_wire() {
        let error = ExtractError::new(Reason::Encrypted, Detail::Password);
        assert_eq!(error.to_string(), Reason::Encrypted.advice());
        let wire = serde_json::to_string(&error).unwrap();
        assert_eq!(wire, r#"{"reason":"encrypted","detail":"password"}"#);
        assert_eq!(serde_json::from_str::<ExtractError>(&wire).unwrap(), error);
    }
}
