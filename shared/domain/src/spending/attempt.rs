//! How a call ended, and the row that the ledger keeps of it: figures, codes and hashes, no content.

use super::{MicroDollars, Payer, Provider, TokenUsage};
use crate::ids::RequestId;
use crate::phi::IdentifierKind;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use ulid::Ulid;

/// How a call to a provider ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// With a whole answer.
    Answered,
    /// With an answer that was cut off at its length.
    Truncated,
    /// The provider would not: safety, block list, personal data.
    Blocked,
    /// With an answer that could not be read.
    Malformed,
    /// The key was not accepted.
    BadKey,
    /// Too many calls for the provider.
    RateLimited,
    /// There is no such model any more.
    Retired,
    /// The provider did not take the request as it was.
    Rejected,
    /// The provider answered that it is down or overloaded.
    Down,
    /// The connection broke, or an error came inside the stream, after the request was sent.
    Broken,
    /// No end within the time.
    TimedOut,
    /// The person hung up.
    Cancelled,
    /// The request never left.
    NotSent,
    /// Nobody said how it ended; the reservation ran out.
    Lapsed,
}

impl AttemptOutcome {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Answered,
        Self::Truncated,
        Self::Blocked,
        Self::Malformed,
        Self::BadKey,
        Self::RateLimited,
        Self::Retired,
        Self::Rejected,
        Self::Down,
        Self::Broken,
        Self::TimedOut,
        Self::Cancelled,
        Self::NotSent,
        Self::Lapsed,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Truncated => "truncated",
            Self::Blocked => "blocked",
            Self::Malformed => "malformed",
            Self::BadKey => "bad_key",
            Self::RateLimited => "rate_limited",
            Self::Retired => "retired",
            Self::Rejected => "rejected",
            Self::Down => "down",
            Self::Broken => "broken",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::NotSent => "not_sent",
            Self::Lapsed => "lapsed",
        }
    }

    /// Reads a stable name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// Whether tokens may have been paid for although the provider did not say how many. It generates nothing for a request
    /// that it refused with an error of its own.
    pub const fn may_be_billed(self) -> bool {
        match self {
            Self::Answered
            | Self::Truncated
            | Self::Blocked
            | Self::Malformed
            | Self::Broken
            | Self::TimedOut
            | Self::Cancelled
            | Self::Lapsed => true,
            Self::BadKey | Self::RateLimited | Self::Retired | Self::Rejected | Self::Down | Self::NotSent => false,
        }
    }
}

/// What was sent to a provider: enough to prove later what it was, nothing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// SHA-256 of the body's bytes.
    pub sha256: [u8; 32],
    /// Their number.
    pub bytes: u64,
    /// How many identifiers were taken out of it, by kind.
    pub redactions: BTreeMap<IdentifierKind, u32>,
}

/// What is known of a call once it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What the provider says was used; nothing if it did not say.
    pub usage: Option<TokenUsage>,
    /// From sending to the end.
    pub latency_ms: u32,
    /// What was sent, if anything was.
    pub sent: Option<Sent>,
    /// When it ended.
    pub ended: Timestamp,
}

/// One attempt, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The reservation's id.
    pub id: Ulid,
    /// The day it counts for: that of the reservation.
    pub day: Date,
    /// When it ended.
    pub ended: Timestamp,
    /// Whose account.
    pub payer: Payer,
    /// Which request; the same id is in the audit trail, which knows the person.
    pub request_id: RequestId,
    /// Who was called.
    pub provider: Provider,
    /// Which model.
    pub model: String,
    /// Which price, as `model@from`.
    pub price_version: String,
    /// What was reserved.
    pub reserved: MicroDollars,
    /// What was used, if the provider said so.
    pub usage: Option<TokenUsage>,
    /// What is booked.
    pub cost: MicroDollars,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// From sending to the end.
    pub latency_ms: u32,
    /// What was sent.
    pub sent: Option<Sent>,
}

impl LedgerRow {
    /// The hour, UTC, that the cost is shown under: that of the end, or the day's last for a call that ended after it.
    pub fn hour(&self) -> usize {
        let ended = self.ended.to_zoned(TimeZone::UTC);
        if ended.date() > self.day { 23 } else { usize::try_from(ended.hour()).unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_names_of_their_own() {
        for outcome in AttemptOutcome::ALL {
            assert_eq!(AttemptOutcome::parse(outcome.as_str()), Some(outcome));
        }
        assert_eq!(AttemptOutcome::parse("fine"), None);
    }
}
