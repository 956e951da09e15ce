//! Once an hour, and once a day for the whole day: whether each request that the gateway has let through left a row in the
//! trail. What it finds is a metric, a row, and an alert if a row is missing.

mod config;
mod event;

pub use config::Config;

use accesslog::AccessLog;
use alerts::AlertTopic;
use domain::alert::{Alert, AlertSink, Severity};
use domain::audit::coverage::{AccessRecords, Coverage, ReconcileAccess, RequestTrail, record_coverage};
use domain::audit::{AuditLog, AuditValue, Label};
use domain::ids::{IdSource, RequestId};
use jiff::Timestamp;
use lambda_runtime::Error;
use runtime::ids::{SystemIds, now};
use runtime::telemetry::{Invocation, Unit, alert};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{AuditRows, AuditTable};

/// The name under which logs, metrics and alerts know this function.
const NAME: &str = "audit-reconcile";
/// Ids that are written to the log; all that a report names are in the answer.
const LOGGED_MAX: usize = 100;

/// What the function holds between invocations.
pub struct AuditReconcile {
    /// What the gateway has recorded.
    pub records: Box<dyn AccessRecords>,
    /// What the trail has.
    pub trail: Box<dyn RequestTrail>,
    /// The trail, to append to.
    pub audit: Box<dyn AuditLog>,
    /// Who is told.
    pub alerts: Box<dyn AlertSink>,
    /// New ids.
    pub ids: Box<dyn IdSource>,
    /// What time it is.
    pub clock: fn() -> Timestamp,
}

impl AuditReconcile {
    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Self {
        Self {
            records: Box::new(AccessLog::new(sdk, config.api_log_group.clone())),
            trail: Box::new(AuditRows::new(sdk, config.audit_table.clone())),
            audit: Box::new(AuditTable::new(sdk, config.audit_table.clone())),
            alerts: Box::new(AlertTopic::new(sdk, config.alerts_topic.clone())),
            ids: Box::new(SystemIds),
            clock: now,
        }
    }
}

/// Compares one stretch of time; answers what came of it.
pub async fn handle(app: &AuditReconcile, event: &Value, id: &str) -> Result<Value, Error> {
    let mut invocation = Invocation::begin(NAME, id);
    let window = event::read(event, (app.clock)())?;
    let coverage = ReconcileAccess { records: app.records.as_ref(), trail: app.trail.as_ref() }.run(window).await?;
    for request in coverage.missing.iter().take(LOGGED_MAX) {
        tracing::error!(request_id = request.as_str(), "left no row in the audit trail");
    }
    for (name, count) in [
        ("Requests", coverage.requests),
        ("FailedRequests", coverage.failed),
        ("TurnedAway", coverage.turned_away.values().sum()),
        ("RepeatedRequestIds", coverage.repeated),
    ] {
        invocation.metric(name, Unit::Count, count as f64);
    }
    // Always written: an alarm waits for it, and for its absence.
    alert(NAME, "AuditCoveragePercent", coverage.percent());
    alert(NAME, "RequestsWithoutRow", (coverage.missing_count() + coverage.unreadable) as f64);
    record_coverage(app.audit.as_ref(), app.ids.as_ref(), &coverage, RequestId::new(id), (app.clock)()).await?;
    if !coverage.is_whole() {
        app.alerts.publish(&message(&coverage, (app.clock)())).await?;
    }
    invocation.end(if coverage.is_whole() { "whole" } else { "missing" });
    let mut answer = serde_json::to_value(&coverage)?;
    answer["coverage"] = json!(coverage.text());
    Ok(answer)
}

fn message(coverage: &Coverage, at: Timestamp) -> Alert {
    let mut facts = BTreeMap::from([
        ("requests", AuditValue::Count(coverage.requests)),
        ("without_row", AuditValue::Count(coverage.missing_count())),
        ("unreadable_lines", AuditValue::Count(coverage.unreadable)),
        ("from", AuditValue::Time(coverage.window.from)),
        ("to", AuditValue::Time(coverage.window.to)),
    ]);
    let first = coverage.missing.first().and_then(|request| Label::parse(request.as_str()).ok());
    facts.extend(first.map(|first| ("first_request", AuditValue::Label(first))));
    Alert {
        kind: "audit-incomplete".into(),
        severity: Severity::Critical,
        headline: "Requests reached a function and left no row in the audit trail.".into(),
        facts,
        runbook: "docs/runbook.md#the-trail-is-incomplete".into(),
        dedupe_key: format!("audit-incomplete:{}:{}", coverage.window.from, coverage.window.to),
        at,
    }
}
