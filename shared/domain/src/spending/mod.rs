//! Money that cannot overrun. Before a call its most expensive outcome is reserved by one conditional write that checks every
//! cap; after it, what it really cost is booked in the reservation's place. Amounts are whole micro-dollars.
//!
//! ```text
//! Catalogue -> Model -> price_at(now)          what a call may cost at most, and what it did cost
//! Ledger::reserve -> Reservation               the only way to get one
//! Reservation::begin -> CallPermit, Unsettled  a provider's client uses up the permit: one reservation, one call
//! Ledger::settle(unsettled, attempt)           books what it cost in its place
//! ```

mod attempt;
mod catalogue;
mod ledger;
mod money;
mod store;
mod usage;
mod view_cost;

pub use attempt::{Attempt, AttemptOutcome, LedgerRow, Sent};
pub use catalogue::{Catalogue, Grade, Model, ParseCatalogueError, Provider, ThinkingLevel};
pub use ledger::{CallPermit, Cap, Caps, Ledger, Reservation, ReserveBudgetError, Settled, Unsettled};
pub use money::{MicroDollars, ParseMoneyError};
pub use store::{ANNOUNCEMENT_CLAIM_SECONDS, DayBooks, Held, Hold, Lapse, LedgerStore, ModelSpending, Payer, Spender, Threshold};
pub use usage::{Price, TokenUsage, prompt_tokens_at_most};
pub use view_cost::{Cost, ViewCost, ViewCostError, forecast};
