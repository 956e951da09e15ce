//! Where the money of the model calls is counted, and who is told.

use crate::Config;
use alerts::AlertTopic;
use domain::breaker::{BreakerRules, Breakers};
use domain::spending::Ledger;
use runtime::ids::SystemIds;
use runtime::metered::Metered;
use std::sync::Arc;
use store::{AuditTable, LedgerTable, LimitsTable};

/// The deployment's ledger.
pub fn ledger(config: &Config, sdk: &aws_types::SdkConfig) -> Ledger {
    Ledger {
        store: Arc::new(Metered::new("chat", LedgerTable::new(sdk, config.ledger_table.clone()))),
        caps: config.caps,
        alerts: Arc::new(AlertTopic::new(sdk, config.alerts_topic.clone())),
        audit: Arc::new(AuditTable::new(sdk, config.audit_table.clone())),
        ids: Arc::new(SystemIds),
    }
}

/// Which providers are worth asking, as all invocations know it.
pub fn breakers(config: &Config, sdk: &aws_types::SdkConfig) -> Breakers {
    Breakers {
        store: Arc::new(LimitsTable::new(sdk, config.limits_table.clone())),
        rules: BreakerRules::default(),
        ids: Arc::new(SystemIds),
    }
}
