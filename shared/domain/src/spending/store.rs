//! The port to where money is counted, and what a day's books say. The rule of what fits is here ([`DayBooks::refuses`]); a
//! store decides it in one conditional write.

use super::ledger::{Cap, Caps};
use super::{Grade, LedgerRow, MicroDollars, Provider};
use crate::context::{Context, Department};
use crate::fault::PortError;
use crate::ids::{RequestId, SubjectId, TenantId};
use crate::text::hexadecimal;
use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use ulid::Ulid;

/// A person as money knows them: not who it is, but always the same. The audit trail knows the person of a request id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Spender(String);

impl Spender {
    /// What stands for a subject: 64 bits of a hash, so that a day's row stays small. Two of 10,000 people share one with a
    /// chance of 3 in a million million, and would share a cap.
    pub fn of(tenant: &TenantId, subject: &SubjectId) -> Self {
        let mut hasher = Sha256::new();
        for part in ["clinchat spender", tenant.as_str(), subject.as_str()] {
            hasher.update(part);
            hasher.update([0]);
        }
        Self(hexadecimal(&hasher.finalize()[..8]))
    }

    /// Reads a stored one.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Spender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose money it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// The tenant.
    pub tenant: TenantId,
    /// The department, if the person is in one.
    pub department: Option<Department>,
    /// The person.
    pub person: Spender,
}

impl Payer {
    /// Who pays for a request.
    pub fn of(context: &Context) -> Self {
        Self {
            tenant: context.tenant.clone(),
            department: context.actor.department.clone(),
            person: Spender::of(&context.tenant, &context.actor.subject),
        }
    }
}

/// Money set aside for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id, and later the row's.
    pub id: Ulid,
    /// The day it counts for.
    pub day: Date,
    /// The most that the call can cost.
    pub amount: MicroDollars,
    /// Whose.
    pub payer: Payer,
    /// What the model is used for.
    pub grade: Grade,
    /// Who is called.
    pub provider: Provider,
    /// Which model.
    pub model: String,
    /// Which price.
    pub price_version: String,
    /// For which request.
    pub request_id: RequestId,
    /// When it stops counting unless it is settled before.
    pub expires: Timestamp,
}

/// A share of the deployment's cap at which somebody is told, once a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// From here on the cheaper model answers.
    Cheaper,
    /// From here on no model is paid.
    Stop,
}

impl Threshold {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cheaper => "cheaper",
            Self::Stop => "stop",
        }
    }
}

/// What one model cost on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelSpending {
    /// Settled.
    pub spent: MicroDollars,
    /// Attempts.
    pub attempts: u64,
}

/// A day's books.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayBooks {
    /// Spent and reserved: what the caps are held against.
    pub booked: MicroDollars,
    /// Settled.
    pub spent: MicroDollars,
    /// Released because nobody settled it: the provider may have charged it all the same.
    pub lapsed: MicroDollars,
    /// Spent and reserved by department.
    pub departments: BTreeMap<(TenantId, Department), MicroDollars>,
    /// Spent and reserved by person.
    pub people: BTreeMap<(TenantId, Spender), MicroDollars>,
    /// Settled by model.
    pub models: BTreeMap<String, ModelSpending>,
    /// Settled by hour of the day, UTC, of the end of the call (of the last hour for one that ends on the next day).
    pub hours: [MicroDollars; 24],
    /// What is reserved now.
    pub holds: Vec<Hold>,
    /// Thresholds that somebody was told of.
    pub announced: Vec<Threshold>,
}

impl DayBooks {
    /// Which cap leaves no room for a hold, if one does.
    pub fn refuses(&self, hold: &Hold, caps: &Caps) -> Option<Cap> {
        let full = |booked: MicroDollars, cap: MicroDollars| booked.plus(hold.amount) > cap;
        let payer = &hold.payer;
        let person = self.people.get(&(payer.tenant.clone(), payer.person.clone())).copied().unwrap_or_default();
        let department = payer
            .department
            .as_ref()
            .map(|department| self.departments.get(&(payer.tenant.clone(), department.clone())).copied().unwrap_or_default());
        if full(self.booked, caps.deployment) {
            Some(Cap::Deployment)
        } else if department.is_some_and(|booked| full(booked, caps.department)) {
            Some(Cap::Department)
        } else if full(person, caps.person) {
            Some(Cap::Person)
        } else if hold.grade == Grade::Usual && self.spent >= caps.threshold() {
            Some(Cap::Threshold)
        } else {
            None
        }
    }

    /// What is reserved now.
    pub fn reserved(&self) -> MicroDollars {
        self.holds.iter().map(|hold| hold.amount).sum()
    }

    /// Which threshold the spending has reached. The stop is reached when a call is refused, not at a sum: the last cents
    /// are hardly ever spent to the micro-dollar.
    pub fn reached(&self, caps: &Caps) -> Option<Threshold> {
        if self.spent >= caps.deployment {
            Some(Threshold::Stop)
        } else if self.spent >= caps.threshold() {
            Some(Threshold::Cheaper)
        } else {
            None
        }
    }
}

/// The answer to a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// It is booked; the day's books with it.
    Taken(DayBooks),
    /// It does not fit; the day's books as they were.
    Refused(DayBooks),
}

/// What became of a hold that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// Its room is free again.
    Released,
    /// It stays booked in full: too much was released that day.
    Kept,
    /// It was settled in the meantime, or another lapse was first.
    Gone,
}

/// Where money is counted. Every method decides in one conditional write.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Books a hold if [`DayBooks::refuses`] has nothing against it. The same hold twice is one.
    async fn hold(&self, hold: &Hold, caps: &Caps) -> Result<Held, PortError>;

    /// Keeps the row, and books its cost instead of the hold. The same row twice is one. If the hold has lapsed, the cost is
    /// booked all the same.
    async fn settle(&self, hold: &Hold, row: &LedgerRow) -> Result<DayBooks, PortError>;

    /// Ends a hold that ran out: keeps the row and releases the room, as long as no more than `allowance` is released in the
    /// day; beyond that the whole amount is booked as spent.
    async fn lapse(&self, hold: &Hold, row: &LedgerRow, allowance: MicroDollars) -> Result<Lapse, PortError>;

    /// Claims the telling of a threshold for a minute. False if somebody was told or is being told.
    async fn claim_announcement(&self, day: Date, threshold: Threshold, now: Timestamp) -> Result<bool, PortError>;

    /// Says that somebody was told.
    async fn announced(&self, day: Date, threshold: Threshold) -> Result<(), PortError>;

    /// A day's books; empty ones if nothing was booked.
    async fn books(&self, day: Date) -> Result<DayBooks, PortError>;

    /// A day's rows in the order of their ids.
    async fn rows(&self, day: Date) -> Result<Vec<LedgerRow>, PortError>;
}

/// How long the telling of a threshold is one caller's. Who dies between claim and message is followed by the next.
pub const ANNOUNCEMENT_CLAIM_SECONDS: i64 = 60;
