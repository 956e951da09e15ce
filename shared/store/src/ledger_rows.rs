//! The ledger's rows and what is in a day's books, to and from attributes.
//!
//! ```text
//! pk = ATTEMPTS#{day}   sk = {ULID}   ended tenant department person request_id provider model price_version reserved cost
//!                                     input cached_input output thinking outcome latency_ms sha256 bytes redactions
//! ```

use crate::item::{Item, n, number, s, text};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::context::Department;
use domain::ids::{RequestId, TenantId};
use domain::phi::IdentifierKind;
use domain::spending::{
    AttemptOutcome, DayBooks, Grade, Hold, LedgerRow, MicroDollars, Payer, Provider, Sent, Spender, Threshold, TokenUsage,
};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ulid::Ulid;

/// A hold as it lies in the books: short names, because every write of the row carries all of them.
#[derive(Serialize, Deserialize)]
struct HoldEntry<'a> {
    a: MicroDollars,
    x: i64,
    t: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<&'a str>,
    p: &'a str,
    c: bool,
    v: &'a str,
    m: &'a str,
    f: &'a str,
    q: &'a str,
}

pub fn hold_entry(hold: &Hold) -> String {
    let entry = HoldEntry {
        a: hold.amount,
        x: hold.expires.as_millisecond(),
        t: hold.payer.tenant.as_str(),
        d: hold.payer.department.as_ref().map(Department::as_str),
        p: hold.payer.person.as_str(),
        c: hold.grade == Grade::Cheaper,
        v: hold.provider.as_str(),
        m: &hold.model,
        f: &hold.price_version,
        q: hold.request_id.as_str(),
    };
    serde_json::to_string(&entry).unwrap_or_default()
}

fn hold(id: &str, day: Date, entry: &str) -> Option<Hold> {
    let entry: HoldEntry<'_> = serde_json::from_str(entry).ok()?;
    Some(Hold {
        id: Ulid::from_string(id).ok()?,
        day,
        amount: entry.a,
        payer: Payer {
            tenant: TenantId::parse(entry.t).ok()?,
            department: entry.d.map(Department::parse).transpose().ok()?,
            person: Spender::parse(entry.p)?,
        },
        grade: if entry.c { Grade::Cheaper } else { Grade::Usual },
        provider: Provider::parse(entry.v)?,
        model: entry.m.to_owned(),
        price_version: entry.f.to_owned(),
        request_id: RequestId::new(entry.q),
        expires: Timestamp::from_millisecond(entry.x).ok()?,
    })
}

/// Reads a day's books; nothing if an attribute is not what it has to be: money is not guessed.
pub fn books(day: Date, item: &Item) -> Option<DayBooks> {
    let mut books = DayBooks::default();
    for (name, value) in item {
        let amount = || value.as_n().ok()?.parse().ok().map(MicroDollars::new);
        match name.as_str() {
            "pk" | "sk" => continue,
            "booked" => books.booked = amount()?,
            "spent" => books.spent = amount()?,
            "lapsed" => books.lapsed = amount()?,
            _ => {}
        }
        let Some((kind, key)) = name.split_once(':') else { continue };
        let account = || key.split_once('/').and_then(|(tenant, rest)| Some((TenantId::parse(tenant).ok()?, rest)));
        match kind {
            "d" => {
                let (tenant, department) = account()?;
                books.departments.insert((tenant, Department::parse(department).ok()?), amount()?);
            }
            "p" => {
                let (tenant, person) = account()?;
                books.people.insert((tenant, Spender::parse(person)?), amount()?);
            }
            "m" => books.models.entry(key.to_owned()).or_default().spent = amount()?,
            "n" => books.models.entry(key.to_owned()).or_default().attempts = value.as_n().ok()?.parse().ok()?,
            "h" => *books.hours.get_mut(key.parse::<usize>().ok()?)? = amount()?,
            "r" => books.holds.push(hold(key, day, value.as_s().ok()?)?),
            "t" => books.announced.extend([Threshold::Cheaper, Threshold::Stop].into_iter().find(|t| t.as_str() == key)),
            _ => {}
        }
    }
    books.holds.sort_by_key(|hold| hold.id);
    books.announced.sort_unstable();
    Some(books)
}

/// Where an attempt's row is.
pub fn key(day: Date, id: Ulid) -> (AttributeValue, AttributeValue) {
    (s(format!("ATTEMPTS#{day}")), s(id.to_string()))
}

/// An attempt's row.
pub fn item(row: &LedgerRow) -> Item {
    let (pk, sk) = key(row.day, row.id);
    let mut item = Item::from([
        ("pk".into(), pk),
        ("sk".into(), sk),
        ("ended".into(), n(row.ended.as_millisecond())),
        ("tenant".into(), s(row.payer.tenant.as_str())),
        ("person".into(), s(row.payer.person.as_str())),
        ("request_id".into(), s(row.request_id.as_str())),
        ("provider".into(), s(row.provider.as_str())),
        ("model".into(), s(&row.model)),
        ("price_version".into(), s(&row.price_version)),
        ("reserved".into(), n(row.reserved.micros())),
        ("cost".into(), n(row.cost.micros())),
        ("outcome".into(), s(row.outcome.as_str())),
        ("latency_ms".into(), n(row.latency_ms)),
    ]);
    if let Some(department) = &row.payer.department {
        item.insert("department".into(), s(department.as_str()));
    }
    if let Some(usage) = &row.usage {
        item.extend([
            ("input".into(), n(usage.input)),
            ("cached_input".into(), n(usage.cached_input)),
            ("output".into(), n(usage.output)),
            ("thinking".into(), n(usage.thinking)),
        ]);
    }
    if let Some(sent) = &row.sent {
        let redactions = serde_json::to_string(&sent.redactions).unwrap_or_default();
        item.extend([
            ("sha256".into(), s(domain::text::hexadecimal(&sent.sha256))),
            ("bytes".into(), n(sent.bytes)),
            ("redactions".into(), s(redactions)),
        ]);
    }
    item
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// Reads an attempt's row.
pub fn row(item: &Item) -> Option<LedgerRow> {
    let sent = match text(item, "sha256") {
        None => None,
        Some(sha256) => Some(Sent {
            sha256: digest(sha256)?,
            bytes: number(item, "bytes")?,
            redactions: serde_json::from_str::<BTreeMap<IdentifierKind, u32>>(text(item, "redactions")?).ok()?,
        }),
    };
    let usage = number(item, "input").map(|input| TokenUsage {
        input,
        cached_input: number(item, "cached_input").unwrap_or(0),
        output: number(item, "output").unwrap_or(0),
        thinking: number(item, "thinking").unwrap_or(0),
    });
    Some(LedgerRow {
        id: Ulid::from_string(text(item, "sk")?).ok()?,
        day: text(item, "pk")?.strip_prefix("ATTEMPTS#")?.parse().ok()?,
        ended: Timestamp::from_millisecond(number(item, "ended")?).ok()?,
        payer: Payer {
            tenant: TenantId::parse(text(item, "tenant")?).ok()?,
            department: text(item, "department").map(Department::parse).transpose().ok()?,
            person: Spender::parse(text(item, "person")?)?,
        },
        request_id: RequestId::new(text(item, "request_id")?),
        provider: Provider::parse(text(item, "provider")?)?,
        model: text(item, "model")?.to_owned(),
        price_version: text(item, "price_version")?.to_owned(),
        reserved: MicroDollars::new(number(item, "reserved")?),
        usage,
        cost: MicroDollars::new(number(item, "cost")?),
        outcome: AttemptOutcome::parse(text(item, "outcome")?)?,
        latency_ms: number(item, "latency_ms")?,
        sent,
    })
}
