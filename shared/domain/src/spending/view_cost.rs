//! The operators' use case: what a day has cost so far, and what it will come to.

use super::catalogue::day_of;
use super::{Caps, DayBooks, LedgerStore, MicroDollars, ModelSpending};
use crate::audit::{AuditEvent, AuditLog, Entity, EventType, Label, Outcome};
use crate::context::{Act, Context, NotAllowed};
use crate::fault::{Fault, PortError};
use crate::ids::IdSource;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// How many days before today say how a day goes. A week: weekends are not like other days.
const PAST_DAYS: i32 = 7;

/// What a day has cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// Which day, UTC.
    pub day: Date,
    /// Settled, by everybody.
    pub spent: MicroDollars,
    /// Reserved now.
    pub reserved: MicroDollars,
    /// Given back although nobody said what it cost.
    pub lapsed: MicroDollars,
    /// What must not be passed.
    pub caps: Caps,
    /// What the day will come to, if nothing stops it.
    pub forecast: MicroDollars,
    /// By model, the dearest first.
    pub models: Vec<(String, ModelSpending)>,
    /// Spent and reserved by department of the operator's tenant, the dearest first.
    pub departments: Vec<(String, MicroDollars)>,
    /// Likewise by person, as a pseudonym.
    pub people: Vec<(String, MicroDollars)>,
    /// Settled by hour, UTC.
    pub hours: [MicroDollars; 24],
}

/// Why it is not shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewCostError {
    /// The caller's roles do not allow it.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ViewCostError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotAllowed(_) => Fault::Denied,
            Self::Port(error) => error.fault(),
        }
    }
}

/// The use case with its ports.
pub struct ViewCost<'a> {
    /// Where money is counted.
    pub store: &'a dyn LedgerStore,
    /// What must not be passed.
    pub caps: &'a Caps,
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
}

impl ViewCost<'_> {
    /// Today's cost. That it was looked at is recorded before it is shown.
    pub async fn run(&self, context: &Context) -> Result<Cost, ViewCostError> {
        context.allow(Act::ViewCost)?;
        let today = day_of(context.now);
        let books = self.store.books(today).await?;
        let mut past = Vec::new();
        for back in 1..=PAST_DAYS {
            let day = today.saturating_sub(Span::new().days(back));
            past.push(self.store.books(day).await?.hours);
        }
        let label = Label::parse("cost");
        let label = label.map_err(|_| PortError::Unexpected { operation: "view cost", code: "label".into() })?;
        let event = AuditEvent::new(self.ids, context, EventType::CostViewed, Entity::Limit(label), Outcome::Success);
        self.audit.append(&event).await?;
        Ok(self.cost(context, today, &books, &past))
    }

    fn cost(&self, context: &Context, day: Date, books: &DayBooks, past: &[[MicroDollars; 24]]) -> Cost {
        let mut models: Vec<_> = books.models.iter().map(|(model, spending)| (model.clone(), *spending)).collect();
        models.sort_by_key(|(_, spending)| std::cmp::Reverse(spending.spent));
        let departments = books.departments.iter().filter(|((tenant, _), _)| *tenant == context.tenant);
        let people = books.people.iter().filter(|((tenant, _), _)| *tenant == context.tenant);
        Cost {
            day,
            spent: books.spent,
            reserved: books.reserved(),
            lapsed: books.lapsed,
            caps: *self.caps,
            forecast: forecast(books.spent, past, context.now),
            models,
            departments: dearest_first(departments.map(|((_, department), booked)| (department.as_str().to_owned(), *booked))),
            people: dearest_first(people.map(|((_, person), booked)| (person.as_str().to_owned(), *booked))),
            hours: books.hours,
        }
    }
}

fn dearest_first(accounts: impl Iterator<Item = (String, MicroDollars)>) -> Vec<(String, MicroDollars)> {
    let mut accounts: Vec<_> = accounts.collect();
    accounts.sort_by_key(|(_, booked)| std::cmp::Reverse(*booked));
    accounts
}

/// What a day will come to: what is spent, divided by the share of a day that the past days had spent by this time. Without
/// past spending: by the share of the day that is over.
pub fn forecast(spent: MicroDollars, past: &[[MicroDollars; 24]], now: Timestamp) -> MicroDollars {
    let time = now.to_zoned(TimeZone::UTC);
    let hour = usize::try_from(time.hour()).unwrap_or(0);
    // Thousandths of the hour that are over; a beginning hour has begun.
    let of_hour = ((i128::from(time.minute()) * 60 + i128::from(time.second())) * 1_000 / 3_600).max(1);
    let total = |hours: &[MicroDollars]| hours.iter().map(|amount| i128::from(amount.micros())).sum::<i128>() * 1_000;
    let by_now: i128 = past.iter().map(|day| total(&day[..hour]) + i128::from(day[hour].micros()) * of_hour).sum();
    let whole: i128 = past.iter().map(|day| total(day)).sum();
    let (share, of) = if by_now > 0 { (by_now, whole) } else { (i128::try_from(hour).unwrap_or(0) * 1_000 + of_hour, 24_000) };
    let micros = i128::from(spent.micros()) * of / share;
    MicroDollars::new(u64::try_from(micros).unwrap_or(u64::MAX)).max(spent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_forecast_follows_the_days_before() {
        let dollars = MicroDollars::dollars;
        // Without days before: a quarter of the day is over.
        assert_eq!(forecast(dollars(10), &[], at("2026-11-22T06:00:00Z")).micros() / 1_000_000, 39);
        assert_eq!(forecast(dollars(10), &[], at("2026-11-22T12:00:00Z")).micros() / 1_000_000, 19);
        // Days on which everything is spent between 8 and 10: at 9 half of it is, at 20 all.
        let mut busy = [MicroDollars::ZERO; 24];
        (busy[8], busy[9]) = (dollars(30), dollars(30));
        let half = forecast(dollars(10), &[busy; 7], at("2026-11-22T09:00:00Z"));
        assert_eq!(half.micros() / 100_000, 199, "{half}");
        assert_eq!(forecast(dollars(10), &[busy; 7], at("2026-11-22T20:00:00Z")), dollars(10));
        assert_eq!(forecast(MicroDollars::ZERO, &[busy; 7], at("2026-11-22T00:00:00Z")), MicroDollars::ZERO);
    }
}
