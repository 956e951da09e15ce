//! Money and limits: what holds for the rules, whoever keeps the books.

mod catalogue;
pub mod contract;
mod ledger;
mod race;
mod rates;

use domain::context::{Context, Department, Role};
use domain::ids::SubjectId;
use domain::spending::{Attempt, AttemptOutcome, Caps, Catalogue, Grade, Ledger, MicroDollars, Model, Provider, TokenUsage};
use jiff::Timestamp;
use std::sync::Arc;
use testkit::{CountingIds, MemoryAlerts, MemoryAuditLog, MemoryLedger};

/// A ledger in memory and what it writes to.
pub struct Books {
    pub store: MemoryLedger,
    pub alerts: MemoryAlerts,
    pub audit: MemoryAuditLog,
    pub ledger: Ledger,
}

/// A ledger with these caps in micro-dollars, nothing told below the stop.
pub fn caps(deployment: u64) -> Caps {
    let deployment = MicroDollars::new(deployment);
    Caps { deployment, department: deployment, person: deployment, threshold_percent: 100 }
}

impl Books {
    pub fn new(caps: Caps) -> Self {
        Self::on(MemoryLedger::default(), MemoryAlerts::default(), caps)
    }

    pub fn on(store: MemoryLedger, alerts: MemoryAlerts, caps: Caps) -> Self {
        let audit = MemoryAuditLog::default();
        let ledger = Ledger {
            store: Arc::new(store.clone()),
            caps,
            alerts: Arc::new(alerts.clone()),
            audit: Arc::new(audit.clone()),
            ids: Arc::new(CountingIds::default()),
        };
        Self { store, alerts, audit, ledger }
    }
}

/// A model whose tokens cost a micro-dollar each.
pub fn model(grade: Grade) -> Model {
    let grade = match grade {
        Grade::Usual => "usual",
        Grade::Cheaper => "cheaper",
    };
    let json = format!(
        r#"{{"read_on":"2026-01-01","models":[{{"id":"one-{grade}","provider":"groq","grade":"{grade}","baa":false,
            "context_tokens":2000000,"output_tokens_max":1000000,"source":"made up",
            "prices":[{{"from":"2020-01-01","input":"1","output":"1"}}]}}]}}"#
    );
    let catalogue = Catalogue::parse(&json).expect("a catalogue");
    catalogue.find(Provider::Groq, &format!("one-{grade}")).expect("the model").clone()
}

/// A question of somebody of a department.
pub fn asking(person: &str, department: Option<&str>, now: Timestamp) -> Context {
    let mut context = testkit::context("main", &[Role::Clinician]);
    context.actor.subject = SubjectId::parse(person).expect("a subject");
    context.actor.department = department.map(|name| Department::parse(name).expect("a department"));
    Context { now, ..context }
}

/// A call that ended with so many tokens used, or without a word about it.
pub fn ended(outcome: AttemptOutcome, tokens: Option<u32>, ended: Timestamp) -> Attempt {
    let usage = tokens.map(|input| TokenUsage { input, ..TokenUsage::default() });
    Attempt { outcome, usage, latency_ms: 900, sent: None, ended }
}
