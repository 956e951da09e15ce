//! Money in memory: the ledger's promise, kept by one lock.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::fault::PortError;
use domain::spending::{
    ANNOUNCEMENT_CLAIM_SECONDS, AttemptOutcome, Caps, DayBooks, Held, Hold, Lapse, LedgerRow, LedgerStore, MicroDollars, Payer,
    Threshold,
};
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ulid::Ulid;

#[derive(Default)]
struct Books {
    days: BTreeMap<Date, DayBooks>,
    rows: BTreeMap<(Date, Ulid), LedgerRow>,
    claims: BTreeMap<(Date, Threshold), Timestamp>,
    most: MicroDollars,
}

/// The ledger in memory. A clone is the same ledger.
#[derive(Clone, Default)]
pub struct MemoryLedger {
    books: Arc<Mutex<Books>>,
    outage: Outage,
}

impl MemoryLedger {
    /// A ledger whose calls fail when this outage says so.
    pub fn with_outage(outage: Outage) -> Self {
        Self { outage, ..Self::default() }
    }

    /// The most that was ever spent and reserved together on one day.
    pub fn most_booked(&self) -> MicroDollars {
        self.lock().most
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn day(&mut self, day: Date) -> &mut DayBooks {
        self.days.entry(day).or_default()
    }

    fn noted(&mut self, day: Date) -> DayBooks {
        let books = self.day(day).clone();
        self.most = self.most.max(books.booked);
        books
    }
}

/// Adds to what a payer and everybody has booked, or takes away.
fn book(day: &mut DayBooks, payer: &Payer, change: impl Fn(MicroDollars) -> MicroDollars) {
    day.booked = change(day.booked);
    let person = day.people.entry((payer.tenant.clone(), payer.person.clone())).or_default();
    *person = change(*person);
    if let Some(department) = &payer.department {
        let department = day.departments.entry((payer.tenant.clone(), department.clone())).or_default();
        *department = change(*department);
    }
}

/// Takes the hold out of the books. False if it is not there any more.
fn take(day: &mut DayBooks, hold: &Hold) -> bool {
    let before = day.holds.len();
    day.holds.retain(|held| held.id != hold.id);
    if day.holds.len() == before {
        return false;
    }
    book(day, &hold.payer, |booked| booked.saturating_sub(hold.amount));
    true
}

fn spend(day: &mut DayBooks, row: &LedgerRow, amount: MicroDollars) {
    book(day, &row.payer, |booked| booked.plus(amount));
    day.spent = day.spent.plus(amount);
    let model = day.models.entry(row.model.clone()).or_default();
    model.spent = model.spent.plus(amount);
    model.attempts += 1;
    let hour = &mut day.hours[row.hour()];
    *hour = hour.plus(amount);
}

/// Takes back what was booked for an attempt that nobody had spoken of.
fn unspend(day: &mut DayBooks, row: &LedgerRow) {
    book(day, &row.payer, |booked| booked.saturating_sub(row.cost));
    day.spent = day.spent.saturating_sub(row.cost);
    let model = day.models.entry(row.model.clone()).or_default();
    model.spent = model.spent.saturating_sub(row.cost);
    model.attempts -= 1;
    let hour = &mut day.hours[row.hour()];
    *hour = hour.saturating_sub(row.cost);
}

#[async_trait]
impl LedgerStore for MemoryLedger {
    async fn hold(&self, hold: &Hold, caps: &Caps) -> Result<Held, PortError> {
        let answer = self.outage.call("hold").await?;
        let verdict = {
            let mut books = self.lock();
            let day = books.day(hold.day);
            if day.holds.iter().any(|held| held.id == hold.id) {
                Held::Taken(day.clone())
            } else if day.refuses(hold, caps).is_some() {
                Held::Refused(day.clone())
            } else {
                book(day, &hold.payer, |booked| booked.plus(hold.amount));
                day.holds.push(hold.clone());
                Held::Taken(books.noted(hold.day))
            }
        };
        answer.with(verdict)
    }

    async fn settle(&self, hold: &Hold, row: &LedgerRow) -> Result<DayBooks, PortError> {
        let answer = self.outage.call("settle").await?;
        let day = {
            let mut books = self.lock();
            let key = (row.day, row.id);
            let before = books.rows.get(&key).cloned();
            if before.as_ref().is_none_or(|row| row.outcome == AttemptOutcome::Lapsed) {
                let day = books.day(hold.day);
                take(day, hold);
                spend(day, row, row.cost);
                if let Some(kept) = before.filter(|row| row.cost > MicroDollars::ZERO) {
                    unspend(day, &kept);
                }
                books.rows.insert(key, row.clone());
            }
            books.noted(hold.day)
        };
        answer.with(day)
    }

    async fn lapse(&self, hold: &Hold, row: &LedgerRow, allowance: MicroDollars) -> Result<Lapse, PortError> {
        let answer = self.outage.call("lapse").await?;
        let lapse = {
            let mut books = self.lock();
            let day = books.day(hold.day);
            if !take(day, hold) {
                Lapse::Gone
            } else if day.lapsed.plus(hold.amount) <= allowance {
                day.lapsed = day.lapsed.plus(hold.amount);
                books.rows.insert((row.day, row.id), row.clone());
                Lapse::Released
            } else {
                spend(day, row, hold.amount);
                books.rows.insert((row.day, row.id), LedgerRow { cost: hold.amount, ..row.clone() });
                Lapse::Kept
            }
        };
        answer.with(lapse)
    }

    async fn claim_announcement(&self, day: Date, threshold: Threshold, now: Timestamp) -> Result<bool, PortError> {
        let answer = self.outage.call("claim").await?;
        let claimed = {
            let mut books = self.lock();
            let told = books.day(day).announced.contains(&threshold);
            let last = books.claims.get(&(day, threshold)).copied();
            let free = last.is_none_or(|last| now.as_second() - last.as_second() > ANNOUNCEMENT_CLAIM_SECONDS);
            if !told && free {
                books.claims.insert((day, threshold), now);
            }
            !told && free
        };
        answer.with(claimed)
    }

    async fn announced(&self, day: Date, threshold: Threshold) -> Result<(), PortError> {
        let answer = self.outage.call("announced").await?;
        {
            let mut books = self.lock();
            let day = books.day(day);
            if !day.announced.contains(&threshold) {
                day.announced.push(threshold);
            }
        }
        answer.with(())
    }

    async fn books(&self, day: Date) -> Result<DayBooks, PortError> {
        let answer = self.outage.call("books").await?;
        let books = self.lock().day(day).clone();
        answer.with(books)
    }

    async fn rows(&self, day: Date) -> Result<Vec<LedgerRow>, PortError> {
        let answer = self.outage.call("rows").await?;
        let rows = self.lock().rows.iter().filter(|((of, _), _)| *of == day).map(|(_, row)| row.clone()).collect();
        answer.with(rows)
    }
}
