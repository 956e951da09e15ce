//! Settings of the seal.

use runtime::env::{Env, ReadConfigError};

/// Every variable, typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ARCHIVE_BUCKET`
    pub archive_bucket: String,
    /// `SEAL_KEY`: the signing key's ARN.
    pub seal_key: String,
    /// `TRUSTED_SEAL_KEYS`: names (SHA-256) of other keys whose files count, with commas between them; none by default.
    pub trusted_keys: String,
    /// `DISOWNED_SEAL_KEYS`: names of keys with which somebody else has signed, with commas between them; none by default.
    pub disowned_keys: String,
    /// `LOG_LEVEL`, `info` by default.
    pub log_level: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ReadConfigError> {
        let mut env = Env::default();
        let config = Self {
            archive_bucket: env.required("ARCHIVE_BUCKET"),
            seal_key: env.required("SEAL_KEY"),
            trusted_keys: env.or("TRUSTED_SEAL_KEYS", String::new()),
            disowned_keys: env.or("DISOWNED_SEAL_KEYS", String::new()),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
