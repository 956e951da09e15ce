//! Settings of the chat function.

use domain::ids::TenantId;
use runtime::env::{Env, ReadConfigError};
use std::path::PathBuf;

/// Every variable, typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// `AUDIT_TABLE`
    pub audit_table: String,
    /// `INDEX_BUCKET`
    pub index_bucket: String,
    /// `DEFAULT_TENANT`, optional: its index is loaded before the first question.
    pub default_tenant: Option<TenantId>,
    /// `MODEL_PATH`, by default the file beside the binary.
    pub model_path: PathBuf,
    /// `LOG_LEVEL`, `info` by default.
    pub log_level: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ReadConfigError> {
        let mut env = Env::default();
        let config = Self {
            audit_table: env.required("AUDIT_TABLE"),
            index_bucket: env.required("INDEX_BUCKET"),
            default_tenant: env.optional("DEFAULT_TENANT", TenantId::parse),
            model_path: env.or("MODEL_PATH", runtime::env::beside_binary(embed::MODEL_FILE)),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
