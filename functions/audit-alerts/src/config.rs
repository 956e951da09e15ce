//! Settings of the alerts.

use runtime::env::{Env, ReadConfigError};

/// Every variable, typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// `AUDIT_STATE_TABLE`
    pub state_table: String,
    /// `ALERTS_TOPIC`
    pub topic: String,
    /// `LOG_LEVEL`, `info` by default.
    pub log_level: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ReadConfigError> {
        let mut env = Env::default();
        let config = Self {
            state_table: env.required("AUDIT_STATE_TABLE"),
            topic: env.required("ALERTS_TOPIC"),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
