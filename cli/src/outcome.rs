//! How a run ends: the exit codes, once.

use crate::display::{Screen, StdoutClosed};
use std::process::ExitCode;

/// The table that `--help` shows and README.md repeats.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done; a question was answered
  1  something went wrong: the message says what; of several files or documents at least one failed
  2  the command line is wrong
  3  a question was refused: the documents do not answer it
  4  extract: the document cannot be read; standard error has the reason and what to do
  5  audit: the trail or the proof is not what was sealed, or a request has no row; the result says which";

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it.
    Done,
    /// Not all of it; what failed has been said.
    Failed,
    /// The documents do not answer the question.
    Refused,
    /// The document cannot be read.
    Unreadable,
    /// The audit trail or a proof is not what was sealed, or a request has no row in it.
    Unsound,
}

impl Outcome {
    /// The exit code. 2 is the parser's.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Refused => 3,
            Self::Unreadable => 4,
            Self::Unsound => 5,
        }
    }
}

/// Says what went wrong, if anything, and turns it into an exit code.
pub fn exit_code(result: anyhow::Result<Outcome>, screen: &mut Screen) -> ExitCode {
    let result = result.and_then(|outcome| screen.flush().map(|()| outcome));
    let outcome = result.unwrap_or_else(|error| {
        // Whoever reads our output has seen enough (`| head`): no failure of ours.
        if error.is::<StdoutClosed>() {
            return Outcome::Done;
        }
        screen.error(&error);
        Outcome::Failed
    });
    ExitCode::from(outcome.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table_and_none_is_the_parsers() {
        for outcome in [Outcome::Done, Outcome::Failed, Outcome::Refused, Outcome::Unreadable, Outcome::Unsound] {
            assert_ne!(outcome.code(), 2);
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", outcome.code())));
        }
    }
}
