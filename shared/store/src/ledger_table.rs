//! Money. A day's books are one row, so that every cap is checked and booked by one conditional write: DynamoDB lets writes to
//! one row wait for each other, none is lost and none conflicts, which transactions over several rows would under load
//! (ADR 10). Each attempt has a row of its own, in another partition.
//!
//! ```text
//! pk = DAY#{day}        sk = BOOKS    booked spent lapsed   d:{tenant}/{department} p:{tenant}/{person}   r:{hold}
//!                                     m:{model} n:{model} h:{hour}   a:{threshold} t:{threshold} l:{late}
//! pk = ATTEMPTS#{day}   sk = {ULID}   see `ledger_rows.rs`
//! ```
//! `d`, `p`: booked. `m`, `h`: spent; `n`: attempts. `r`: what is reserved now. `a`: since when somebody is telling of a
//! threshold, `t`: somebody was told. Amounts are micro-dollars.
//!
//! The attempt's row is written first and is the arbiter: a settlement that was cut off between the two writes is finished by
//! whoever ends the hold when it has run out.

use crate::item::{Item, n, s};
use crate::ledger_rows::{self, hold_entry};
use crate::port_error;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use aws_types::SdkConfig;
use domain::fault::PortError;
use domain::spending::{
    ANNOUNCEMENT_CLAIM_SECONDS, AttemptOutcome, Caps, DayBooks, Grade, Held, Hold, Lapse, LedgerRow, LedgerStore, MicroDollars,
    Payer, Threshold,
};
use jiff::Timestamp;
use jiff::civil::Date;

/// The ledger table.
#[derive(Debug, Clone)]
pub struct LedgerTable {
    client: Client,
    name: String,
}

/// What a conditional write met: its new row, or the row that was in its way.
enum Written {
    Done(Item),
    InTheWay(Item),
}

impl LedgerTable {
    /// A table by name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    fn update(&self, day: Date) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.name)
            .key("pk", s(format!("DAY#{day}")))
            .key("sk", s("BOOKS"))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Puts an attempt's row. `InTheWay` holds the row that is there.
    async fn put_row(&self, row: &LedgerRow, over_lapsed: bool) -> Result<Written, PortError> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(ledger_rows::item(row)))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        put = if over_lapsed {
            put.condition_expression("attribute_not_exists(pk) OR outcome = :lapsed")
                .expression_attribute_values(":lapsed", s(AttemptOutcome::Lapsed.as_str()))
        } else {
            put.condition_expression("attribute_not_exists(pk)")
        };
        match put.send().await {
            Ok(done) => Ok(Written::Done(done.attributes.unwrap_or_default())),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let PutItemError::ConditionalCheckFailedException(refusal) = error.into_err() else {
                    return Err(PortError::Conflict { operation: "PutItem attempt" });
                };
                Ok(Written::InTheWay(refusal.item.unwrap_or_default()))
            }
            Err(error) => Err(port_error("PutItem attempt", &error)),
        }
    }

    /// Books what an attempt cost in its hold's place, if the hold is there.
    async fn end_hold(&self, row: &LedgerRow) -> Result<Written, PortError> {
        let change = difference(row.cost, row.reserved);
        let update = self
            .update(row.day)
            .update_expression(format!("REMOVE #r ADD booked :change, #p :change{}, {SPEND}", department(&row.payer, ":change")))
            .condition_expression("attribute_exists(#r)")
            .expression_attribute_names("#r", format!("r:{}", row.id))
            .expression_attribute_values(":change", n(change));
        write("UpdateItem settle", spending(named(update, &row.payer), row, row.cost, 1)).await
    }

    /// Books an attempt whose hold has already been ended, once. `before` is the row of that.
    async fn book_late(&self, row: &LedgerRow, before: &LedgerRow) -> Result<Written, PortError> {
        let change = difference(row.cost, before.cost);
        let attempts = i32::from(before.cost == MicroDollars::ZERO);
        let update = self
            .update(row.day)
            .update_expression(format!(
                "SET #l = :one ADD booked :change, #p :change{}, spent :change, #m :change, #n :attempts, #h :change",
                department(&row.payer, ":change")
            ))
            .condition_expression("attribute_not_exists(#l)")
            .expression_attribute_names("#l", format!("l:{}", row.id))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":change", n(change))
            .expression_attribute_values(":attempts", n(attempts));
        // Where it was booked before: an hour must not go below nothing.
        write("UpdateItem settle late", spending_names(named(update, &row.payer), before)).await
    }

    /// Takes a hold that ran out for spent.
    async fn keep(&self, hold: &Hold, row: &LedgerRow) -> Result<Lapse, PortError> {
        const OPERATION: &str = "UpdateItem lapse";
        let update = self
            .update(hold.day)
            .update_expression(format!("REMOVE #r ADD {SPEND}"))
            .condition_expression("attribute_exists(#r)")
            .expression_attribute_names("#r", format!("r:{}", hold.id));
        match write(OPERATION, spending(update, row, hold.amount, 1)).await? {
            Written::InTheWay(_) => return Ok(Lapse::Gone),
            Written::Done(_) => {}
        }
        let (pk, sk) = ledger_rows::key(hold.day, hold.id);
        let cost = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", pk)
            .key("sk", sk)
            .update_expression("SET cost = :cost")
            .condition_expression("outcome = :lapsed")
            .expression_attribute_values(":cost", n(hold.amount.micros()))
            .expression_attribute_values(":lapsed", s(AttemptOutcome::Lapsed.as_str()));
        match cost.send().await.map_err(|error| port_error(OPERATION, &error)) {
            // Settled late in between: then the row has the true cost.
            Ok(_) | Err(PortError::Conflict { .. }) => Ok(Lapse::Kept),
            Err(error) => Err(error),
        }
    }
}

/// What every booked cost adds to, besides the payer's accounts.
const SPEND: &str = "spent :cost, #m :cost, #n :attempts, #h :cost";

fn difference(new: MicroDollars, old: MicroDollars) -> i128 {
    i128::from(new.micros()) - i128::from(old.micros())
}

/// The department's part of an `ADD`.
fn department(payer: &Payer, value: &str) -> String {
    payer.department.as_ref().map(|_| format!(", #d {value}")).unwrap_or_default()
}

/// Names the payer's accounts.
fn named(update: UpdateItemFluentBuilder, payer: &Payer) -> UpdateItemFluentBuilder {
    let update = update.expression_attribute_names("#p", format!("p:{}/{}", payer.tenant, payer.person));
    match &payer.department {
        Some(department) => update.expression_attribute_names("#d", format!("d:{}/{}", payer.tenant, department.as_str())),
        None => update,
    }
}

fn spending_names(update: UpdateItemFluentBuilder, row: &LedgerRow) -> UpdateItemFluentBuilder {
    update
        .expression_attribute_names("#m", format!("m:{}", row.model))
        .expression_attribute_names("#n", format!("n:{}", row.model))
        .expression_attribute_names("#h", format!("h:{:02}", row.hour()))
}

fn spending(update: UpdateItemFluentBuilder, row: &LedgerRow, cost: MicroDollars, attempts: u32) -> UpdateItemFluentBuilder {
    spending_names(update, row)
        .expression_attribute_values(":cost", n(cost.micros()))
        .expression_attribute_values(":attempts", n(attempts))
}

async fn write(operation: &'static str, update: UpdateItemFluentBuilder) -> Result<Written, PortError> {
    match update.send().await {
        Ok(done) => Ok(Written::Done(done.attributes.unwrap_or_default())),
        Err(error) => refused(operation, error),
    }
}

fn refused(operation: &'static str, error: SdkError<UpdateItemError, HttpResponse>) -> Result<Written, PortError> {
    match error {
        SdkError::ServiceError(refusal) if refusal.err().is_conditional_check_failed_exception() => {
            let UpdateItemError::ConditionalCheckFailedException(refusal) = refusal.into_err() else {
                return Err(PortError::Conflict { operation });
            };
            Ok(Written::InTheWay(refusal.item.unwrap_or_default()))
        }
        other => Err(port_error(operation, &other)),
    }
}

fn books(operation: &'static str, day: Date, item: &Item) -> Result<DayBooks, PortError> {
    ledger_rows::books(day, item).ok_or(PortError::Unexpected { operation, code: "row".into() })
}

#[async_trait]
impl LedgerStore for LedgerTable {
    async fn hold(&self, hold: &Hold, caps: &Caps) -> Result<Held, PortError> {
        const OPERATION: &str = "UpdateItem hold";
        let room = |cap: MicroDollars| cap.checked_sub(hold.amount);
        let rooms = (room(caps.deployment), room(caps.person), room(caps.department));
        let (Some(deployment), Some(person), Some(of_department)) = rooms else {
            return Ok(Held::Refused(self.books(hold.day).await?));
        };
        let mut fits = "attribute_not_exists(#r) AND (attribute_not_exists(booked) OR booked <= :deployment) \
                        AND (attribute_not_exists(#p) OR #p <= :person)"
            .to_owned();
        let mut update = named(self.update(hold.day), &hold.payer);
        if hold.payer.department.is_some() {
            fits += " AND (attribute_not_exists(#d) OR #d <= :department)";
            update = update.expression_attribute_values(":department", n(of_department.micros()));
        }
        if hold.grade == Grade::Usual {
            // Nothing is below a threshold of nothing, not even a day without spending.
            let absent = if caps.threshold() == MicroDollars::ZERO { "" } else { "attribute_not_exists(spent) OR " };
            fits = format!("{fits} AND ({absent}spent < :threshold)");
            update = update.expression_attribute_values(":threshold", n(caps.threshold().micros()));
        }
        let update = update
            .update_expression(format!("SET #r = :entry ADD booked :amount, #p :amount{}", department(&hold.payer, ":amount")))
            .condition_expression(fits)
            .expression_attribute_names("#r", format!("r:{}", hold.id))
            .expression_attribute_values(":entry", s(hold_entry(hold)))
            .expression_attribute_values(":amount", n(hold.amount.micros()))
            .expression_attribute_values(":deployment", n(deployment.micros()))
            .expression_attribute_values(":person", n(person.micros()));
        match write(OPERATION, update).await? {
            Written::Done(item) => Ok(Held::Taken(books(OPERATION, hold.day, &item)?)),
            Written::InTheWay(item) => {
                let books = books(OPERATION, hold.day, &item)?;
                // An SDK retry of a write that had landed: the id is this hold's alone.
                let landed = item.contains_key(&format!("r:{}", hold.id));
                Ok(if landed { Held::Taken(books) } else { Held::Refused(books) })
            }
        }
    }

    async fn settle(&self, hold: &Hold, row: &LedgerRow) -> Result<DayBooks, PortError> {
        const OPERATION: &str = "UpdateItem settle";
        let lapsed = match self.put_row(row, true).await? {
            Written::Done(before) => ledger_rows::row(&before),
            Written::InTheWay(_) => None,
        };
        let item = match (self.end_hold(row).await?, lapsed) {
            (Written::InTheWay(_), Some(before)) => match self.book_late(row, &before).await? {
                Written::Done(item) | Written::InTheWay(item) => item,
            },
            (Written::Done(item) | Written::InTheWay(item), _) => item,
        };
        books(OPERATION, hold.day, &item)
    }

    async fn lapse(&self, hold: &Hold, row: &LedgerRow, allowance: MicroDollars) -> Result<Lapse, PortError> {
        const OPERATION: &str = "UpdateItem lapse";
        if let Written::InTheWay(item) = self.put_row(row, false).await? {
            let there = ledger_rows::row(&item).ok_or(PortError::Unexpected { operation: OPERATION, code: "row".into() })?;
            if there.outcome != AttemptOutcome::Lapsed {
                self.end_hold(&there).await?;
                return Ok(Lapse::Gone);
            }
        }
        let Some(left) = allowance.checked_sub(hold.amount) else { return self.keep(hold, row).await };
        let key = format!("r:{}", hold.id);
        let update = named(self.update(hold.day), &hold.payer)
            .update_expression(format!(
                "REMOVE #r ADD booked :back, #p :back{}, lapsed :amount",
                department(&hold.payer, ":back")
            ))
            .condition_expression("attribute_exists(#r) AND (attribute_not_exists(lapsed) OR lapsed <= :left)")
            .expression_attribute_names("#r", &key)
            .expression_attribute_values(":back", n(difference(MicroDollars::ZERO, hold.amount)))
            .expression_attribute_values(":amount", n(hold.amount.micros()))
            .expression_attribute_values(":left", n(left.micros()));
        match write(OPERATION, update).await? {
            Written::Done(_) => Ok(Lapse::Released),
            Written::InTheWay(item) if item.contains_key(&key) => self.keep(hold, row).await,
            Written::InTheWay(_) => Ok(Lapse::Gone),
        }
    }

    async fn claim_announcement(&self, day: Date, threshold: Threshold, now: Timestamp) -> Result<bool, PortError> {
        let update = self
            .update(day)
            .update_expression("SET #a = :now")
            .condition_expression("attribute_not_exists(#t) AND (attribute_not_exists(#a) OR #a < :before)")
            .expression_attribute_names("#a", format!("a:{}", threshold.as_str()))
            .expression_attribute_names("#t", format!("t:{}", threshold.as_str()))
            .expression_attribute_values(":now", n(now.as_second()))
            .expression_attribute_values(":before", n(now.as_second() - ANNOUNCEMENT_CLAIM_SECONDS));
        Ok(matches!(write("UpdateItem claim announcement", update).await?, Written::Done(_)))
    }

    async fn announced(&self, day: Date, threshold: Threshold) -> Result<(), PortError> {
        let update = self
            .update(day)
            .update_expression("SET #t = :one")
            .expression_attribute_names("#t", format!("t:{}", threshold.as_str()))
            .expression_attribute_values(":one", n(1));
        write("UpdateItem announced", update).await.map(|_| ())
    }

    async fn books(&self, day: Date) -> Result<DayBooks, PortError> {
        const OPERATION: &str = "GetItem books";
        let get = self.client.get_item().table_name(&self.name).key("pk", s(format!("DAY#{day}"))).key("sk", s("BOOKS"));
        let got = get.consistent_read(true).send().await.map_err(|error| port_error(OPERATION, &error))?;
        books(OPERATION, day, &got.item.unwrap_or_default())
    }

    async fn rows(&self, day: Date) -> Result<Vec<LedgerRow>, PortError> {
        const OPERATION: &str = "Query attempts";
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(format!("ATTEMPTS#{day}")))
            .into_paginator()
            .send();
        let mut rows = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| port_error(OPERATION, &error))?;
            for item in page.items() {
                rows.push(ledger_rows::row(item).ok_or(PortError::Unexpected { operation: OPERATION, code: "row".into() })?);
            }
        }
        Ok(rows)
    }
}
