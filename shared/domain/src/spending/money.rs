//! Amounts of money: whole millionths of a US dollar. No floating point between a price and a bill.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;

/// Millionths of a US dollar, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroDollars(u64);

/// A text that is no amount of dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount is dollars with up to six decimals, such as 0.75")]
pub struct ParseMoneyError;

impl MicroDollars {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The most that is counted: a trillion dollars. Sums of two amounts stay far from the end of the type, and an amount
    /// fits into the signed numbers of the stores.
    pub const MAX: Self = Self(1_000_000_000_000_000_000);

    /// So many millionths, [`Self::MAX`] at most.
    pub const fn new(micros: u64) -> Self {
        if micros > Self::MAX.0 { Self::MAX } else { Self(micros) }
    }

    /// So many whole dollars.
    pub const fn dollars(dollars: u32) -> Self {
        Self(dollars as u64 * 1_000_000)
    }

    /// Reads dollars as a price list or a setting has them: `0.75`, `100`.
    pub fn parse(text: &str) -> Result<Self, ParseMoneyError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.len() > 12 || fraction.len() > 6 {
            return Err(ParseMoneyError);
        }
        let whole: u64 = whole.parse().map_err(|_| ParseMoneyError)?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| ParseMoneyError)?;
        Ok(Self::new(whole * 1_000_000 + fraction))
    }

    /// The number of millionths.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// What is left after taking an amount away, if there is enough.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// What is left after taking an amount away, nothing if there is not enough.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Both together, [`Self::MAX`] at most.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self::new(self.0.saturating_add(other.0))
    }

    /// So many hundredths of it, rounded down.
    #[must_use]
    pub const fn percent(self, percent: u8) -> Self {
        Self::new((self.0 as u128 * percent as u128 / 100) as u64)
    }
}

impl Sum for MicroDollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for MicroDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dollars_are_read_exactly_or_not_at_all() {
        let read = |text: &str| MicroDollars::parse(text).map(MicroDollars::micros);
        assert_eq!(read("0.75"), Ok(750_000));
        assert_eq!(read("100"), Ok(100_000_000));
        assert_eq!(read("0.000001"), Ok(1));
        for bad in ["", ".5", "5.", "-1", "+1", "1e3", "0.0000001", "1,5", " 1", "1234567890123", "٣"] {
            assert_eq!(read(bad), Err(ParseMoneyError), "{bad:?}");
        }
    }

    #[test]
    fn the_share_of_a_cap_is_exact() {
        assert_eq!(MicroDollars::dollars(100).percent(80), MicroDollars::dollars(80));
        assert_eq!(MicroDollars::MAX.percent(100), MicroDollars::MAX);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_is_read(micros in 0_u64..1_000_000_000_000) {
            let amount = MicroDollars::new(micros);
            prop_assert_eq!(MicroDollars::parse(&amount.to_string()[1..]), Ok(amount));
        }

        #[test]
        fn sums_never_wrap(a: u64, b: u64) {
            let (a, b) = (MicroDollars::new(a), MicroDollars::new(b));
            prop_assert!(a.plus(b) >= a.max(b));
            prop_assert_eq!(a.plus(b).min(MicroDollars::MAX), a.plus(b));
        }
    }
}
