//! Settings of the audit function.

use runtime::env::{Env, ReadConfigError};

/// Every variable, typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// `AUDIT_TABLE`
    pub audit_table: String,
    /// `AUDIT_STATE_TABLE`
    pub state_table: String,
    /// `PSEUDONYM_KEY`: the KMS key that the pseudonyms' key is made with.
    pub pseudonym_key: String,
    /// `LOG_LEVEL`, `info` by default.
    pub log_level: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ReadConfigError> {
        let mut env = Env::default();
        let config = Self {
            audit_table: env.required("AUDIT_TABLE"),
            state_table: env.required("AUDIT_STATE_TABLE"),
            pseudonym_key: env.required("PSEUDONYM_KEY"),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
