//! How a call to a provider ends: every way that is known, in one list, whatever the provider calls it. What to do next
//! follows from the class alone, so a new provider brings a table of its own codes and no rules.

use domain::breaker::Shown;
use domain::spending::TokenUsage;
use std::time::Duration;

/// Why a call brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The key is wrong, expired or revoked. Gemini says 400, others 401.
    BadKey,
    /// The key is right and may not do this: region, billing, permission.
    Forbidden,
    /// Too much, too soon; the provider may say for how long.
    RateLimited {
        /// As the provider said.
        retry_after: Option<Duration>,
    },
    /// The provider's safety rules keep the question or the answer back. Another model is not asked for what one refused.
    Blocked,
    /// The model is not there any more.
    Retired,
    /// The request is too long for the model.
    TooLarge,
    /// The provider does not understand the request: a mistake of ours.
    Rejected,
    /// The provider has a fault or cannot be reached.
    Down,
    /// It took longer than it may, or stood still.
    TimedOut,
    /// The answer ended before its end.
    Cut,
    /// What came is not the provider's format, or over its bounds.
    Malformed,
    /// The model wrote something else than what was asked for: a tool call, another language, a recitation, no JSON.
    Diverted,
}

/// What a failure asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same provider with another key.
    OtherKey,
    /// Another provider.
    OtherProvider,
    /// No provider: the answer is quoted from the passages.
    Quote,
}

impl Failure {
    /// The stable name: in log lines, metrics and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadKey => "bad_key",
            Self::Forbidden => "forbidden",
            Self::RateLimited { .. } => "rate_limited",
            Self::Blocked => "blocked",
            Self::Retired => "retired",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::Down => "down",
            Self::TimedOut => "timed_out",
            Self::Cut => "cut",
            Self::Malformed => "malformed",
            Self::Diverted => "diverted",
        }
    }

    /// What to do about it. Nothing is sent twice to the same provider with the same key: its answer would be late, and a
    /// call that was cut off may have been paid for.
    pub const fn next(self) -> Next {
        match self {
            Self::BadKey | Self::Forbidden => Next::OtherKey,
            Self::Blocked => Next::Quote,
            _ => Next::OtherProvider,
        }
    }

    /// What it says of the provider as a whole, so that the next caller need not find out again.
    pub const fn shows(self) -> Shown {
        match self {
            Self::RateLimited { retry_after: Some(pause) } => Shown::Busy(pause),
            Self::RateLimited { retry_after: None } | Self::Down | Self::TimedOut | Self::Cut | Self::Malformed => Shown::Unwell,
            _ => Shown::Well,
        }
    }
}

/// What a failed call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Billed {
    /// The provider refused before any work, or was never reached.
    Nothing,
    /// It said what it counted.
    Usage(TokenUsage),
    /// Nobody knows: the whole reservation is taken as spent.
    Unknown,
}

/// A call that brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the provider's answer is {}", .failure.as_str())]
pub struct CallError {
    /// Why.
    pub failure: Failure,
    /// What it costs.
    pub billed: Billed,
}

impl CallError {
    /// A failure that costs nothing.
    pub const fn free(failure: Failure) -> Self {
        Self { failure, billed: Billed::Nothing }
    }

    /// A request that the provider did not answer with 200. It has done no work for what it refuses; where it gave up
    /// on work that it had begun - time, what was generated and then not accepted - nobody knows.
    pub const fn refused(status: u16, failure: Failure) -> Self {
        let has_worked = matches!(failure, Failure::TimedOut | Failure::Diverted | Failure::Blocked) || status == 504;
        if has_worked { Self::unknown(failure) } else { Self::free(failure) }
    }

    /// A failure after which only the provider knows the cost.
    pub const fn unknown(failure: Failure) -> Self {
        Self { failure, billed: Billed::Unknown }
    }

    /// A failure after the provider has counted, or has not.
    pub fn counted(failure: Failure, usage: Option<TokenUsage>) -> Self {
        Self { failure, billed: usage.map_or(Billed::Unknown, Billed::Usage) }
    }
}

/// What a status says on its own, where the body adds nothing.
pub const fn of_status(status: u16, retry_after: Option<Duration>) -> Failure {
    match status {
        401 => Failure::BadKey,
        402 | 403 => Failure::Forbidden,
        404 | 410 => Failure::Retired,
        408 => Failure::TimedOut,
        413 => Failure::TooLarge,
        429 => Failure::RateLimited { retry_after },
        // 498 is Groq's "no capacity of the flexible tier", 529 what others say when overloaded.
        498 | 500..=599 => Failure::Down,
        400..=499 => Failure::Rejected,
        // No redirect is followed: keys go to the host that was configured and to no other.
        _ => Failure::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_one_class() {
        for (status, expected) in [
            (302, "malformed"),
            (400, "rejected"),
            (401, "bad_key"),
            (403, "forbidden"),
            (404, "retired"),
            (408, "timed_out"),
            (413, "too_large"),
            (422, "rejected"),
            (429, "rate_limited"),
            (498, "down"),
            (499, "rejected"),
            (500, "down"),
            (503, "down"),
            (504, "down"),
            (529, "down"),
        ] {
            assert_eq!(of_status(status, None).as_str(), expected, "{status}");
        }
    }

    #[test]
    fn another_provider_is_not_asked_for_what_one_refused() {
        assert_eq!(Failure::Blocked.next(), Next::Quote);
        assert_eq!(Failure::Down.next(), Next::OtherProvider);
        assert_eq!(Failure::BadKey.shows(), Shown::Well, "our own mistakes close nobody else's way");
        assert_eq!(Failure::Rejected.shows(), Shown::Well);
    }
}
