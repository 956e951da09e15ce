//! The audit table's stream to alerts. Each record ends looked at, or is reported as failed and comes again, five times at
//! most; then it is parked with its place in the stream. Its neighbours are looked at whatever becomes of it.

mod config;
mod event;

pub use config::Config;

use alerts::AlertTopic;
use domain::alert::AlertSink;
use domain::audit::rules::{RULES, Rule, load};
use domain::audit::watch::{AlertMemory, Known, WatchTrail};
use lambda_runtime::Error;
use runtime::telemetry::{Invocation, Unit};
use serde_json::{Value, json};
use store::AuditState;

/// What the function holds between invocations.
pub struct AuditAlerts {
    /// The rules.
    pub rules: Vec<Rule>,
    /// What was counted and sent.
    pub memory: Box<dyn AlertMemory>,
    /// Where alerts go.
    pub sink: Box<dyn AlertSink>,
    /// What this process knows to have been sent.
    pub known: Known,
}

impl AuditAlerts {
    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Result<Self, Error> {
        Ok(Self {
            rules: load(RULES)?,
            memory: Box::new(AuditState::new(sdk, config.state_table.clone())),
            sink: Box::new(AlertTopic::new(sdk, config.topic.clone())),
            known: Known::default(),
        })
    }
}

/// Looks at a batch; answers which records have to come again.
pub async fn handle(app: &AuditAlerts, event: &Value) -> Result<Value, Error> {
    let records = event["Records"].as_array().ok_or("the event is no batch of a stream")?;
    let mut invocation = Invocation::begin("audit-alerts", "");
    let watch = WatchTrail { rules: &app.rules, memory: app.memory.as_ref(), sink: app.sink.as_ref(), known: &app.known };
    let mut failures = Vec::new();
    let mut sent = 0;
    for record in records {
        // A failure that cannot be named would be read as "all of them": then let the whole batch come again.
        let number = event::number(record).ok_or("a record has no number")?;
        let again = match event::read(record) {
            Ok(change) => match watch.look(&change, runtime::ids::now()).await {
                Ok(alerts) => {
                    sent += alerts;
                    false
                }
                Err(error) => {
                    tracing::warn!(request_id = number, %error, detail = ?error, "will come again");
                    true
                }
            },
            Err(error) => {
                tracing::warn!(request_id = number, %error, "is no row of the trail");
                true
            }
        };
        if again {
            failures.push(json!({ "itemIdentifier": number }));
        }
    }
    invocation.metric("Records", Unit::Count, records.len() as f64);
    invocation.metric("FailedRecords", Unit::Count, failures.len() as f64);
    invocation.metric("Alerts", Unit::Count, sent as f64);
    invocation.end(if failures.is_empty() { "looked" } else { "retry" });
    Ok(json!({ "batchItemFailures": failures }))
}
