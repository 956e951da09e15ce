//! Settings of the indexer.

use domain::ids::TenantId;
use domain::phi::Quarantine;
use runtime::env::{Env, ReadConfigError};
use std::path::PathBuf;

/// Every variable, typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// `AUDIT_TABLE`
    pub audit_table: String,
    /// `DOCUMENTS_TABLE`
    pub documents_table: String,
    /// `DOCUMENTS_BUCKET`
    pub documents_bucket: String,
    /// `INDEX_BUCKET`
    pub index_bucket: String,
    /// `VECTOR_BUCKET`, if the stack has one.
    pub vector_bucket: Option<String>,
    /// `DEFAULT_TENANT`, optional: whose documents the keys outside `tenants/<tenant>/` are.
    pub default_tenant: Option<TenantId>,
    /// `CLAIM_SECONDS`: the function's timeout.
    pub claim_s: u32,
    /// `UPLOAD_BYTES_MAX`, 50 MiB by default.
    pub upload_bytes_max: u64,
    /// `MODEL_PATH`, by default the file beside the binary.
    pub model_path: PathBuf,
    /// `IDENTIFIERS_PATH`, by default the file beside the binary.
    pub identifiers_path: PathBuf,
    /// `QUARANTINE`: documents that must hold no identifiers of people. None by default.
    pub quarantine: Option<Quarantine>,
    /// `LOG_LEVEL`, `info` by default.
    pub log_level: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ReadConfigError> {
        let mut env = Env::default();
        let config = Self {
            audit_table: env.required("AUDIT_TABLE"),
            documents_table: env.required("DOCUMENTS_TABLE"),
            documents_bucket: env.required("DOCUMENTS_BUCKET"),
            index_bucket: env.required("INDEX_BUCKET"),
            vector_bucket: env.optional("VECTOR_BUCKET", str::parse),
            default_tenant: env.optional("DEFAULT_TENANT", TenantId::parse),
            claim_s: env.required("CLAIM_SECONDS"),
            upload_bytes_max: env.or("UPLOAD_BYTES_MAX", 50 << 20),
            model_path: env.or("MODEL_PATH", runtime::env::beside_binary(embed::MODEL_FILE)),
            identifiers_path: env.or("IDENTIFIERS_PATH", runtime::env::beside_binary(deid::TABLES_FILE)),
            quarantine: env.optional("QUARANTINE", Quarantine::parse).flatten(),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
