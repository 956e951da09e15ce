//! Reserve, call, settle. A [`Reservation`] is made by [`Ledger::reserve`] alone; it begins one call, which uses its
//! [`CallPermit`] up, so no call is made without money set aside and none twice with the same. What is left is [`Unsettled`],
//! which settling uses up. One that is dropped stays booked until it runs out.

use super::catalogue::day_of;
use super::store::{DayBooks, Held, Hold, Lapse, LedgerStore, Payer, Threshold};
use super::{Attempt, AttemptOutcome, LedgerRow, MicroDollars, Model, Price};
use crate::alert::{Alert, AlertSink, Severity};
use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Label, Outcome};
use crate::context::Context;
use crate::fault::{Fault, PortError};
use crate::ids::IdSource;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// How long a reservation counts that nobody settles. A function ends after 30 seconds and settles before it does; a clock
/// may be wrong by some.
const HOLD_SECONDS: i64 = 120;

/// How much of the deployment's cap may be released in a day without anybody having said what it cost, in percent. A call
/// that was cut off may have been charged: with this the real spending stays below 105 % of the cap even if every call ends
/// without a word.
const LAPSE_PERCENT: u8 = 5;

/// How many holds that ran out a call ends that found room: more would make one person wait for the crashes of others.
const LAPSES_AT_ONCE: usize = 2;

/// What must not be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// The whole deployment's for the day.
    Deployment,
    /// The department's for the day.
    Department,
    /// The person's for the day.
    Person,
    /// Not a cap: the share of the deployment's from which on only the cheaper model is paid.
    Threshold,
}

impl Cap {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Department => "department",
            Self::Person => "person",
            Self::Threshold => "threshold",
        }
    }
}

/// The caps of a day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// For everybody together.
    pub deployment: MicroDollars,
    /// For each department.
    pub department: MicroDollars,
    /// For each person.
    pub person: MicroDollars,
    /// From which share of the deployment's cap on the cheaper model answers, in percent.
    pub threshold_percent: u8,
}

impl Default for Caps {
    /// $100 a day, the cheaper model from $80, $10 a person; a department may use all of it.
    fn default() -> Self {
        let deployment = MicroDollars::dollars(100);
        Self { deployment, department: deployment, person: MicroDollars::dollars(10), threshold_percent: 80 }
    }
}

impl Caps {
    /// From how much spending on the cheaper model answers.
    pub const fn threshold(&self) -> MicroDollars {
        self.deployment.percent(self.threshold_percent)
    }

    const fn lapse_allowance(&self) -> MicroDollars {
        self.deployment.percent(LAPSE_PERCENT)
    }
}

/// Money set aside for one call to one model.
#[must_use = "money is set aside until it runs out"]
pub struct Reservation {
    unsettled: Unsettled,
    tokens: (u32, u32),
}

/// What has to be settled: a call that was begun, or was not to be.
#[must_use = "money is set aside until it runs out"]
pub struct Unsettled {
    hold: Hold,
    price: Price,
    context: Context,
}

/// The right to one call, for so many tokens. There is no other way to get one than [`Reservation::begin`].
#[derive(Debug)]
#[must_use = "a call takes it"]
pub struct CallPermit {
    model: String,
    tokens: (u32, u32),
}

impl CallPermit {
    /// Whether it pays for such a call: this model, and no more tokens than were set aside, sent and asked for.
    pub fn covers(&self, model: &str, (prompt_tokens, output_tokens): (u32, u32)) -> bool {
        self.model == model && prompt_tokens <= self.tokens.0 && output_tokens <= self.tokens.1
    }
}

impl From<Reservation> for Unsettled {
    fn from(reservation: Reservation) -> Self {
        reservation.unsettled
    }
}

impl Reservation {
    /// Begins the one call that it pays for.
    pub fn begin(self) -> (CallPermit, Unsettled) {
        (CallPermit { model: self.unsettled.hold.model.clone(), tokens: self.tokens }, self.unsettled)
    }

    /// The model that it pays for.
    pub fn model(&self) -> &str {
        &self.unsettled.hold.model
    }

    /// The most that may be spent.
    pub const fn amount(&self) -> MicroDollars {
        self.unsettled.hold.amount
    }

    /// For which request.
    pub const fn context(&self) -> &Context {
        &self.unsettled.context
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("id", &self.unsettled.hold.id).field("amount", &self.amount()).finish_non_exhaustive()
    }
}

/// Why there is no reservation.
#[derive(Debug, thiserror::Error)]
pub enum ReserveBudgetError {
    /// There is no room.
    #[error("the budget has no room: {}", .cap.as_str())]
    Refused {
        /// Below which cap.
        cap: Cap,
    },
    /// The model has no price today: it has ended, or has not begun.
    #[error("the model has no price today")]
    NoPrice,
    /// The store failed. No money is spent that cannot be counted.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ReserveBudgetError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Refused { .. } | Self::NoPrice => Fault::Conflict,
            Self::Port(error) => error.fault(),
        }
    }
}

/// What a call cost.
#[derive(Debug)]
#[must_use]
pub struct Settled {
    /// What is booked.
    pub cost: MicroDollars,
    /// Whether the provider charged more than was thought possible. Somebody has to look at the bound.
    pub over_bound: bool,
    /// Why somebody could not be told of a threshold, if they had to be. The next call tries again.
    pub untold: Option<PortError>,
}

/// The money of a deployment.
#[derive(Clone)]
pub struct Ledger {
    /// Where it is counted.
    pub store: Arc<dyn LedgerStore>,
    /// What must not be passed.
    pub caps: Caps,
    /// Who is told.
    pub alerts: Arc<dyn AlertSink>,
    /// The audit trail.
    pub audit: Arc<dyn AuditLog>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
}

impl Ledger {
    /// Sets aside what a call costs at most: `prompt_tokens` sent (counted, or [`super::prompt_tokens_at_most`]) and
    /// `output_tokens` asked for, thinking included. Counts for the UTC day of `now`.
    ///
    /// `Refused { cap: Threshold }` means: ask for the cheaper model. The other caps mean: no model.
    pub async fn reserve(
        &self,
        context: &Context,
        model: &Model,
        (prompt_tokens, output_tokens): (u32, u32),
        now: Timestamp,
    ) -> Result<Reservation, ReserveBudgetError> {
        let price = *model.price_at(now).ok_or(ReserveBudgetError::NoPrice)?;
        let amount = price.at_most(prompt_tokens, output_tokens.min(model.output_tokens_max));
        let hold = Hold {
            id: self.ids.next(now),
            day: day_of(now),
            amount,
            payer: Payer::of(context),
            grade: model.grade,
            provider: model.provider,
            model: model.id.clone(),
            price_version: model.price_version(&price),
            request_id: context.request_id.clone(),
            expires: now.saturating_add(SignedDuration::from_secs(HOLD_SECONDS)).unwrap_or(now),
        };
        let taken = |hold| {
            let unsettled = Unsettled { hold, price, context: context.clone() };
            Ok(Reservation { unsettled, tokens: (prompt_tokens, output_tokens) })
        };
        let books = match self.store.hold(&hold, &self.caps).await? {
            Held::Taken(books) => {
                // Each call ends a few that ran out, so that they do not gather where room is never short.
                let _ = self.lapse(&books, LAPSES_AT_ONCE, now).await;
                return taken(hold);
            }
            Held::Refused(books) => books,
        };
        // What ran out is given back when somebody needs the room, and then tried once more.
        let books = if self.lapse(&books, usize::MAX, now).await? {
            match self.store.hold(&hold, &self.caps).await? {
                Held::Taken(_) => return taken(hold),
                Held::Refused(books) => books,
            }
        } else {
            books
        };
        let cap = books.refuses(&hold, &self.caps);
        let cap = cap.ok_or(PortError::Unexpected { operation: "hold", code: "refused without a reason".into() })?;
        let reached = match cap {
            // A day that is full of calls under way has not stopped: their room comes back.
            Cap::Deployment if books.spent.plus(hold.amount) > self.caps.deployment => Some(Threshold::Stop),
            Cap::Deployment => books.reached(&self.caps),
            Cap::Threshold => Some(Threshold::Cheaper),
            Cap::Department | Cap::Person => None,
        };
        // A message that fails is tried again by the next call: nobody's question waits for it.
        let _ = self.tell(context, hold.day, &books, reached, now).await;
        Err(ReserveBudgetError::Refused { cap })
    }

    /// Books what a call cost in the reservation's place. Without the provider's word that is nothing if it cannot have been
    /// charged, and all that was reserved if it can.
    pub async fn settle(&self, call: impl Into<Unsettled>, attempt: Attempt) -> Result<Settled, PortError> {
        let Unsettled { hold, price, context } = call.into();
        let cost = match &attempt.usage {
            Some(usage) => price.cost(usage),
            None if attempt.outcome.may_be_billed() => hold.amount,
            None => MicroDollars::ZERO,
        };
        let row = row(&hold, &attempt, cost);
        let books = self.store.settle(&hold, &row).await?;
        let reached = books.reached(&self.caps);
        let untold = self.tell(&context, hold.day, &books, reached, attempt.ended).await.err();
        Ok(Settled { cost, over_bound: cost > hold.amount, untold })
    }

    /// Ends the holds that ran out, so many at most. Says whether there is more room now.
    async fn lapse(&self, books: &DayBooks, most: usize, now: Timestamp) -> Result<bool, PortError> {
        let mut released = false;
        for hold in books.holds.iter().filter(|hold| hold.expires <= now).take(most) {
            let attempt = Attempt { outcome: AttemptOutcome::Lapsed, usage: None, latency_ms: 0, sent: None, ended: now };
            let row = row(hold, &attempt, MicroDollars::ZERO);
            let lapse = self.store.lapse(hold, &row, self.caps.lapse_allowance()).await?;
            released |= matches!(lapse, Lapse::Released | Lapse::Gone);
        }
        Ok(released)
    }

    /// Tells of a threshold, once a day, and of the one below it if that was passed unseen.
    async fn tell(
        &self,
        context: &Context,
        day: jiff::civil::Date,
        books: &DayBooks,
        reached: Option<Threshold>,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let due = [Threshold::Cheaper, Threshold::Stop].into_iter();
        for threshold in due.filter(|t| Some(*t) <= reached && !books.announced.contains(t)) {
            // A stop by one large reservation far below the threshold is no reason to speak of the threshold.
            if threshold == Threshold::Cheaper && books.spent < self.caps.threshold() {
                continue;
            }
            if self.store.claim_announcement(day, threshold, now).await? {
                self.audit.append(&self.event(context, threshold, books)?).await?;
                self.alerts.publish(&self.alert(threshold, day, books, now)).await?;
                self.store.announced(day, threshold).await?;
            }
        }
        Ok(())
    }

    fn figures(&self, books: &DayBooks) -> BTreeMap<&'static str, AuditValue> {
        BTreeMap::from([
            ("spent_micro_dollars", AuditValue::Count(books.spent.micros())),
            ("booked_micro_dollars", AuditValue::Count(books.booked.micros())),
            ("cap_micro_dollars", AuditValue::Count(self.caps.deployment.micros())),
            ("threshold_percent", AuditValue::Count(self.caps.threshold_percent.into())),
        ])
    }

    fn event(&self, context: &Context, threshold: Threshold, books: &DayBooks) -> Result<AuditEvent, PortError> {
        let event_type = match threshold {
            Threshold::Cheaper => EventType::BudgetThreshold,
            Threshold::Stop => EventType::BudgetStop,
        };
        let label = Label::parse("budget:deployment/day");
        let label = label.map_err(|_| PortError::Unexpected { operation: "tell of a threshold", code: "label".into() })?;
        let entity = Entity::Limit(label);
        let event = AuditEvent::new(self.ids.as_ref(), context, event_type, entity, Outcome::Success);
        Ok(self.figures(books).into_iter().fold(event, |event, (name, value)| event.with(name, value)))
    }

    fn alert(&self, threshold: Threshold, day: jiff::civil::Date, books: &DayBooks, now: Timestamp) -> Alert {
        let (kind, severity, headline) = match threshold {
            Threshold::Cheaper => (
                "budget_threshold",
                Severity::Warning,
                "The day's spending has reached the threshold. The cheaper model answers from now on.",
            ),
            Threshold::Stop => (
                "budget_stop",
                Severity::Critical,
                "The day's budget is used up. Answers are quoted from the documents until midnight UTC.",
            ),
        };
        Alert {
            kind: kind.to_owned(),
            severity,
            headline: headline.to_owned(),
            facts: self.figures(books),
            runbook: "docs/runbook.md#budget".to_owned(),
            dedupe_key: format!("{kind}/{day}"),
            at: now,
        }
    }
}

fn row(hold: &Hold, attempt: &Attempt, cost: MicroDollars) -> LedgerRow {
    LedgerRow {
        id: hold.id,
        day: hold.day,
        ended: attempt.ended,
        payer: hold.payer.clone(),
        request_id: hold.request_id.clone(),
        provider: hold.provider,
        model: hold.model.clone(),
        price_version: hold.price_version.clone(),
        reserved: hold.amount,
        usage: attempt.usage,
        cost,
        outcome: attempt.outcome,
        latency_ms: attempt.latency_ms,
        sent: attempt.sent.clone(),
    }
}
