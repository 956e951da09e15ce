//! Log lines and metrics. A line is one JSON object with ids, counts and codes. Lines of foreign crates are dropped: an SDK
//! prints requests, and a request may hold anything. One metrics record per invocation, in CloudWatch's embedded format.

use crate::redact;
use domain::spending::LedgerRow;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::fmt::Debug;
use std::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// Crates whose lines may be written: ours. Named, not guessed by prefix, so that a new dependency is silent by default.
const OURS: &[&str] = &[
    "accesslog",
    "admin",
    "alerts",
    "api",
    "audit",
    "audit_alerts",
    "audit_pin",
    "audit_reconcile",
    "audit_seal",
    "chat",
    "documents",
    "domain",
    "embed",
    "extract",
    "index",
    "indexer",
    "key_rotation",
    "llm",
    "objects",
    "runtime",
    "seal",
    "secrets",
    "signing",
    "store",
    "vectors",
];

/// CloudWatch namespace of every metric.
const NAMESPACE: &str = "ClinChat";

/// Starts logging at a level (`error`, `warn`, `info`, `debug`), and makes a panic one line without its message.
pub fn init(level: &str) {
    let level = level.parse().unwrap_or(Level::INFO);
    // A second call (tests) keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(JsonLines { level }));
    std::panic::set_hook(Box::new(|panic| {
        // The message may quote what the code was working on; the place does not.
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

struct JsonLines {
    level: Level,
}

impl JsonLines {
    fn takes(&self, metadata: &tracing::Metadata<'_>) -> bool {
        let target = metadata.target();
        let krate = target.split_once("::").map_or(target, |(first, _)| first);
        *metadata.level() <= self.level && OURS.contains(&krate)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !self.takes(event.metadata()) {
            return;
        }
        let mut line = Map::new();
        line.insert("time".into(), Timestamp::now().to_string().into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(fields)) = span.extensions().get::<Fields>() {
                line.extend(fields.clone());
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        line.extend(fields.0);
        write_line(&Value::Object(line));
    }
}

/// One line in one write, so that lines of several threads do not mix.
fn write_line(value: &Value) {
    let mut line = value.to_string();
    line.push('\n');
    print!("{line}");
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), redact::text(field.name(), value).into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().into(), redact::text(field.name(), &format!("{value:?}")).into());
    }
}

/// The unit of a metric, as CloudWatch spells it.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// How many.
    Count,
    /// How long.
    Milliseconds,
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// Writes a record of its own for something that must not happen, which an alarm waits for: by function only, so that the
/// alarm need not know the outcomes.
pub fn alert(function: &'static str, name: &'static str, value: f64) {
    write_line(&alert_record(function, name, value, Timestamp::now()));
}

fn alert_record(function: &'static str, name: &'static str, value: f64, now: Timestamp) -> Value {
    let mut record = serde_json::json!({
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": [{ "Name": name, "Unit": "Count" }] }],
        },
        "function": function,
    });
    record[name] = value.into();
    record
}

/// Writes the record of one call to a model: what it used and cost, by provider, model and outcome.
pub fn model_call(function: &'static str, row: &LedgerRow) {
    write_line(&model_record(function, row, Timestamp::now()));
}

fn model_record(function: &'static str, row: &LedgerRow, now: Timestamp) -> Value {
    let usage = row.usage.unwrap_or_default();
    let metrics = [
        ("InputTokens", "Count", u64::from(usage.input)),
        ("CachedInputTokens", "Count", u64::from(usage.cached_input)),
        ("OutputTokens", "Count", u64::from(usage.output)),
        ("ThinkingTokens", "Count", u64::from(usage.thinking)),
        ("CostMicroDollars", "Count", row.cost.micros()),
        ("ModelCalls", "Count", 1),
        ("ModelLatencyMs", "Milliseconds", u64::from(row.latency_ms)),
    ];
    let definitions: Vec<Value> =
        metrics.iter().map(|(name, unit, _)| serde_json::json!({ "Name": name, "Unit": unit })).collect();
    let dimensions = [["function", "provider", "model", "outcome"].as_slice(), &["function"]];
    let mut record = serde_json::json!({
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": definitions }],
        },
        "function": function,
        "provider": row.provider.as_str(),
        "model": row.model,
        "outcome": row.outcome.as_str(),
        "request_id": row.request_id.as_str(),
    });
    for (name, _, value) in metrics {
        record[name] = value.into();
    }
    record
}

/// The one metrics record of an invocation. Dimensions are the function and the outcome; ids are properties, never
/// dimensions (each new dimension value is a new metric to pay for).
pub struct Invocation {
    function: &'static str,
    request_id: String,
    started: Instant,
    metrics: Vec<(&'static str, Unit, f64)>,
}

impl Invocation {
    /// Begins an invocation.
    pub fn begin(function: &'static str, request_id: &str) -> Self {
        Self { function, request_id: request_id.to_owned(), started: Instant::now(), metrics: Vec::new() }
    }

    /// Adds a figure.
    pub fn metric(&mut self, name: &'static str, unit: Unit, value: f64) {
        self.metrics.push((name, unit, value));
    }

    /// Writes the record. `outcome` is one of our own constants.
    pub fn end(mut self, outcome: &'static str) {
        self.metrics.push(("DurationMs", Unit::Milliseconds, self.started.elapsed().as_secs_f64() * 1000.0));
        self.metrics.push(("Invocations", Unit::Count, 1.0));
        write_line(&self.record(outcome, Timestamp::now()));
    }

    fn record(&self, outcome: &'static str, now: Timestamp) -> Value {
        let definitions: Vec<Value> =
            self.metrics.iter().map(|(name, unit, _)| serde_json::json!({ "Name": name, "Unit": unit.as_str() })).collect();
        let mut record = serde_json::json!({
            "_aws": {
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [["function", "outcome"]], "Metrics": definitions }],
            },
            "function": self.function,
            "outcome": outcome,
            "request_id": self.request_id,
        });
        for (name, _, value) in &self.metrics {
            record[*name] = (value * 1000.0).round().mul_add(0.001, 0.0).into();
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_has_the_function_alone_as_its_dimension() {
        let record = alert_record("chat", "UnreadableDocuments", 2.0, Timestamp::UNIX_EPOCH);
        assert_eq!((&record["UnreadableDocuments"], &record["function"]), (&2.0.into(), &"chat".into()));
        assert_eq!(record["_aws"]["CloudWatchMetrics"][0]["Dimensions"], serde_json::json!([["function"]]));
    }

    #[test]
    fn the_record_is_cloudwatchs_embedded_format() {
        let mut invocation = Invocation::begin("chat", "r-1");
        invocation.metric("Passages", Unit::Count, 8.0);
        let record = invocation.record("answered", Timestamp::UNIX_EPOCH);
        assert_eq!(record["_aws"]["CloudWatchMetrics"][0]["Namespace"], "ClinChat");
        assert_eq!(
            record["_aws"]["CloudWatchMetrics"][0]["Metrics"][0],
            serde_json::json!({ "Name": "Passages", "Unit": "Count" })
        );
        assert_eq!(
            (&record["Passages"], &record["function"], &record["outcome"]),
            (&8.0.into(), &"chat".into(), &"answered".into())
        );
    }

    #[test]
    fn foreign_crates_are_silent() {
        let takes = |target: &str| OURS.contains(&target.split_once("::").map_or(target, |(first, _)| first));
        assert!(takes("chat::request"));
        assert!(!takes("aws_smithy_runtime::client") && !takes("hyper_util") && !takes("chatter"));
    }
}
