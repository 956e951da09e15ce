//! Settings of the chat function.

use domain::chat::SupportPolicy;
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
    /// `VECTOR_BUCKET` and `DOCUMENTS_TABLE`, where the engines are written: if the stack has a vector bucket.
    pub scale_out: Option<(String, String)>,
    /// `DEFAULT_TENANT`, optional: its index is loaded before the first question.
    pub default_tenant: Option<TenantId>,
    /// `MODEL_PATH`, by default the file beside the binary.
    pub model_path: PathBuf,
    /// `SUPPORT_POLICY`, what happens to sentences that their citations do not support: `drop` (default) or `mark`.
    pub support_policy: SupportPolicy,
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
            scale_out: env.optional("VECTOR_BUCKET", str::parse).map(|bucket| (bucket, env.required("DOCUMENTS_TABLE"))),
            default_tenant: env.optional("DEFAULT_TENANT", TenantId::parse),
            model_path: env.or("MODEL_PATH", runtime::env::beside_binary(embed::MODEL_FILE)),
            support_policy: env.optional("SUPPORT_POLICY", SupportPolicy::parse).unwrap_or_default(),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
