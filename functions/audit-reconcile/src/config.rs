//! Settings of the reconciliation.

use runtime::env::{Env, ReadConfigError};

/// Every variable, typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// `API_LOG_GROUP`: where the gateway writes its access log.
    pub api_log_group: String,
    /// `AUDIT_TABLE`
    pub audit_table: String,
    /// `ALERTS_TOPIC`
    pub alerts_topic: String,
    /// `LOG_LEVEL`, `info` by default.
    pub log_level: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ReadConfigError> {
        let mut env = Env::default();
        let config = Self {
            api_log_group: env.required("API_LOG_GROUP"),
            audit_table: env.required("AUDIT_TABLE"),
            alerts_topic: env.required("ALERTS_TOPIC"),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
