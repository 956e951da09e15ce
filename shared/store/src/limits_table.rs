//! Who did what how often, and which providers are worth asking: rows that nobody misses after some hours.
//!
//! ```text
//! pk = LIMIT#{tenant}#{subject}   sk = {limit}   times (latest admission first) latest expires_at
//! pk = BREAKER#{provider}         sk = STATE     state failures last until openings probe version
//! pk = KEY#{provider}#{version}   sk = {minute}  refusals expires_at          (`refusals`)
//! ```
//! An admission is one conditional write. The times are a list with the latest in front, so that "is the fiftieth last over an
//! hour old?" is a question about one place in it: no read before the write, and no race to lose.

use crate::item::{Item, n, number, s, text};
use crate::port_error;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use aws_types::SdkConfig;
use domain::breaker::{BreakerState, BreakerStore, StoredBreaker};
use domain::fault::PortError;
use domain::ids::RequestId;
use domain::limits::{AdmissionLog, LimitKey, Rule};
use jiff::Timestamp;
use ulid::Ulid;

/// A row goes some time after it has lost its meaning.
const KEPT_SECONDS: i64 = 2 * 3_600;
/// A list may be so much longer than what is judged before its tail is cut off: one write more in so many.
const SLACK: usize = 50;

/// The limits table.
#[derive(Debug, Clone)]
pub struct LimitsTable {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl LimitsTable {
    /// A table by name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    /// Cuts off what no window looks at. Whatever was put in front meanwhile, what is behind these places is older still.
    async fn trim(&self, key: &LimitKey, from: usize, to: usize) {
        let places: Vec<String> = (from..to).map(|place| format!("times[{place}]")).collect();
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", partition(key))
            .key("sk", s(key.limit.as_str()))
            .update_expression(format!("REMOVE {}", places.join(", ")));
        // If it fails the next admission cuts.
        let _ = update.send().await;
    }
}

fn partition(key: &LimitKey) -> AttributeValue {
    s(format!("LIMIT#{}#{}", key.tenant, key.subject))
}

fn times(item: &Item) -> Option<Vec<i64>> {
    let list = item.get("times").map_or(Some(&[][..]), |list| list.as_l().ok().map(Vec::as_slice))?;
    list.iter().map(|time| time.as_n().ok()?.parse().ok()).collect()
}

#[async_trait]
impl AdmissionLog for LimitsTable {
    async fn admit(
        &self,
        key: &LimitKey,
        rule: &Rule,
        request: &RequestId,
        now: Timestamp,
    ) -> Result<Result<(), u32>, PortError> {
        const OPERATION: &str = "UpdateItem admission";
        let unexpected = || PortError::Unexpected { operation: OPERATION, code: "row".into() };
        let mut room = "(attribute_not_exists(latest) OR latest <> :request)".to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", partition(key))
            .key("sk", s(key.limit.as_str()))
            .update_expression(
                "SET times = list_append(:now, if_not_exists(times, :none)), latest = :request, expires_at = :expiry",
            )
            .expression_attribute_values(":now", AttributeValue::L(vec![n(now.as_millisecond())]))
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":request", s(request.as_str()))
            .expression_attribute_values(":expiry", n(now.as_second() + KEPT_SECONDS))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (number, window) in rule.windows().iter().enumerate() {
            let place = format!("times[{}]", window.most() - 1);
            room = format!("{room} AND (attribute_not_exists({place}) OR {place} <= :edge{number})");
            update = update.expression_attribute_values(format!(":edge{number}"), n(window.edge(now)));
        }
        match update.condition_expression(room).send().await {
            Ok(done) => {
                let length = times(&done.attributes.unwrap_or_default()).ok_or_else(unexpected)?.len();
                if length >= rule.remembered() + SLACK {
                    self.trim(key, rule.remembered(), length).await;
                }
                Ok(Ok(()))
            }
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let UpdateItemError::ConditionalCheckFailedException(refusal) = error.into_err() else {
                    return Err(PortError::Conflict { operation: OPERATION });
                };
                let item = refusal.item.unwrap_or_default();
                if text(&item, "latest") == Some(request.as_str()) {
                    // An SDK retry of a write that had landed.
                    return Ok(Ok(()));
                }
                let wait = rule.judge(&times(&item).ok_or_else(unexpected)?, now);
                wait.map_or_else(|wait| Ok(Err(wait)), |()| Err(unexpected()))
            }
            Err(error) => Err(port_error(OPERATION, &error)),
        }
    }
}

fn breaker(item: &Item) -> Option<StoredBreaker> {
    let time = |name: &str| number(item, name).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let state = match text(item, "state")? {
        "closed" => BreakerState::Closed { failures: number(item, "failures")?, last: time("last")? },
        "open" => BreakerState::Open { until: time("until")?, openings: number(item, "openings")? },
        "half_open" => BreakerState::HalfOpen {
            probe: Ulid::from_string(text(item, "probe")?).ok()?,
            until: time("until")?,
            openings: number(item, "openings")?,
        },
        _ => return None,
    };
    Some(StoredBreaker { state, version: number(item, "version")? })
}

fn breaker_columns(state: &BreakerState) -> Item {
    let columns = match state {
        BreakerState::Closed { failures, last } => {
            vec![("state", s("closed")), ("failures", n(failures)), ("last", n(last.as_millisecond()))]
        }
        BreakerState::Open { until, openings } => {
            vec![("state", s("open")), ("until", n(until.as_millisecond())), ("openings", n(openings))]
        }
        BreakerState::HalfOpen { probe, until, openings } => vec![
            ("state", s("half_open")),
            ("probe", s(probe.to_string())),
            ("until", n(until.as_millisecond())),
            ("openings", n(openings)),
        ],
    };
    columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[async_trait]
impl BreakerStore for LimitsTable {
    async fn load(&self, provider: &'static str) -> Result<StoredBreaker, PortError> {
        const OPERATION: &str = "GetItem breaker";
        let key = self.client.get_item().table_name(&self.name).key("pk", s(format!("BREAKER#{provider}"))).key("sk", s("STATE"));
        let got = key.consistent_read(true).send().await.map_err(|error| port_error(OPERATION, &error))?;
        got.item.map_or(Ok(StoredBreaker::default()), |item| {
            breaker(&item).ok_or(PortError::Unexpected { operation: OPERATION, code: "row".into() })
        })
    }

    async fn replace(&self, provider: &'static str, read: &StoredBreaker, next: &BreakerState) -> Result<(), PortError> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(breaker_columns(next)))
            .item("pk", s(format!("BREAKER#{provider}")))
            .item("sk", s("STATE"))
            .item("version", n(read.version + 1));
        put = if read.version == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("version = :read").expression_attribute_values(":read", n(read.version))
        };
        put.send().await.map(|_| ()).map_err(|error| port_error("PutItem breaker", &error))
    }
}
