//! A ledger whose every settled attempt becomes one metrics record: no call is paid for that CloudWatch does not see.

use crate::telemetry;
use async_trait::async_trait;
use domain::fault::PortError;
use domain::spending::{Caps, DayBooks, Held, Hold, Lapse, LedgerRow, LedgerStore, MicroDollars, Threshold};
use jiff::Timestamp;
use jiff::civil::Date;

/// A store of money, metered.
pub struct Metered<S> {
    function: &'static str,
    store: S,
}

impl<S> Metered<S> {
    /// Meters what a function spends.
    pub const fn new(function: &'static str, store: S) -> Self {
        Self { function, store }
    }
}

#[async_trait]
impl<S: LedgerStore> LedgerStore for Metered<S> {
    async fn hold(&self, hold: &Hold, caps: &Caps) -> Result<Held, PortError> {
        self.store.hold(hold, caps).await
    }

    async fn settle(&self, hold: &Hold, row: &LedgerRow) -> Result<DayBooks, PortError> {
        let settled = self.store.settle(hold, row).await;
        // The provider was called whether or not it could be booked.
        telemetry::model_call(self.function, row);
        if row.cost > row.reserved {
            telemetry::alert(self.function, "OverBound", 1.0);
        }
        settled
    }

    async fn lapse(&self, hold: &Hold, row: &LedgerRow, allowance: MicroDollars) -> Result<Lapse, PortError> {
        let lapse = self.store.lapse(hold, row, allowance).await?;
        if lapse != Lapse::Gone {
            telemetry::alert(self.function, "LapsedReservations", 1.0);
        }
        Ok(lapse)
    }

    async fn claim_announcement(&self, day: Date, threshold: Threshold, now: Timestamp) -> Result<bool, PortError> {
        self.store.claim_announcement(day, threshold, now).await
    }

    async fn announced(&self, day: Date, threshold: Threshold) -> Result<(), PortError> {
        self.store.announced(day, threshold).await
    }

    async fn books(&self, day: Date) -> Result<DayBooks, PortError> {
        self.store.books(day).await
    }

    async fn rows(&self, day: Date) -> Result<Vec<LedgerRow>, PortError> {
        self.store.rows(day).await
    }
}
