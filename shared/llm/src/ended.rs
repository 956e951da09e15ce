//! How a call ended, and what that costs where the provider does not say.

use crate::outcome::{Billed, CallError, Failure};
use domain::breaker::Shown;
use domain::spending::{AttemptOutcome, TokenUsage};

/// How a call ended.
pub(crate) enum Ended {
    Answered(Option<TokenUsage>),
    Truncated(Option<TokenUsage>),
    /// The text is no answer.
    Unread(Option<TokenUsage>),
    Failed(CallError),
    /// The person hung up.
    Gone,
    /// The person had hung up before anything was sent.
    Unsent,
}

impl Ended {
    /// How the provider is, if that is to be seen from it.
    pub(crate) const fn shows(&self) -> Option<Shown> {
        match self {
            Self::Answered(_) | Self::Truncated(_) | Self::Unread(_) => Some(Shown::Well),
            Self::Failed(error) => Some(error.failure.shows()),
            Self::Gone | Self::Unsent => None,
        }
    }

    /// As the ledger books it. Where the provider's word is missing, the ledger books by the outcome: all that was reserved
    /// if the call may have been charged.
    pub(crate) fn booked(&self) -> (AttemptOutcome, Option<TokenUsage>) {
        let error = match self {
            Self::Answered(usage) => return (AttemptOutcome::Answered, said(*usage)),
            Self::Truncated(usage) => return (AttemptOutcome::Truncated, said(*usage)),
            Self::Unread(usage) => return (AttemptOutcome::Malformed, said(*usage)),
            Self::Gone => return (AttemptOutcome::Cancelled, None),
            Self::Unsent => return (AttemptOutcome::NotSent, None),
            Self::Failed(error) => error,
        };
        let outcome = match error.failure {
            Failure::BadKey => AttemptOutcome::BadKey,
            Failure::Forbidden | Failure::TooLarge | Failure::Rejected => AttemptOutcome::Rejected,
            Failure::RateLimited { .. } => AttemptOutcome::RateLimited,
            Failure::Blocked => AttemptOutcome::Blocked,
            Failure::Retired => AttemptOutcome::Retired,
            Failure::Down => AttemptOutcome::Down,
            Failure::TimedOut => AttemptOutcome::TimedOut,
            Failure::Cut => AttemptOutcome::Broken,
            Failure::Malformed | Failure::Diverted => AttemptOutcome::Malformed,
        };
        match error.billed {
            Billed::Usage(usage) => (outcome, said(Some(usage))),
            Billed::Nothing if outcome.may_be_billed() => {
                (outcome, Some(TokenUsage { input: 0, cached_input: 0, output: 0, thinking: 0 }))
            }
            Billed::Nothing => (outcome, None),
            Billed::Unknown if outcome.may_be_billed() => (outcome, None),
            // An error in an answer that had begun.
            Billed::Unknown => (AttemptOutcome::Broken, None),
        }
    }
}

/// What a provider said that it counted. No request has no tokens: nothing counted is nothing said.
fn said(usage: Option<TokenUsage>) -> Option<TokenUsage> {
    usage.filter(|usage| *usage != TokenUsage::default())
}
