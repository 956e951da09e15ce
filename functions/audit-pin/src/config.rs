//! Settings of the pin.

use runtime::env::{Env, ReadConfigError};

/// Every variable, typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ARCHIVE_BUCKET`
    pub archive_bucket: String,
    /// `PIN_BUCKET`
    pub pin_bucket: String,
    /// `SEAL_KEY`: the ARN of the key whose signatures count.
    pub seal_key: String,
    /// `AUDIT_TABLE`
    pub audit_table: String,
    /// `ALERTS_TOPIC`
    pub alerts_topic: String,
    /// `TRUSTED_SEAL_KEYS`: names (SHA-256) of other keys whose files count, with commas between them; none by default.
    pub trusted_keys: String,
    /// `LOG_LEVEL`, `info` by default.
    pub log_level: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ReadConfigError> {
        let mut env = Env::default();
        let config = Self {
            archive_bucket: env.required("ARCHIVE_BUCKET"),
            pin_bucket: env.required("PIN_BUCKET"),
            seal_key: env.required("SEAL_KEY"),
            audit_table: env.required("AUDIT_TABLE"),
            alerts_topic: env.required("ALERTS_TOPIC"),
            trusted_keys: env.or("TRUSTED_SEAL_KEYS", String::new()),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
