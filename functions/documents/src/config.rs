//! Settings of the documents function.

use domain::limits::Rule;
use runtime::env::{Env, ReadConfigError};

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
    /// `UPLOAD_LINK_SECONDS`, an hour by default.
    pub upload_link_s: u32,
    /// `UPLOAD_BYTES_MAX`, 50 MiB by default.
    pub upload_bytes_max: u64,
    /// `LIMITS_TABLE`
    pub limits_table: String,
    /// `UPLOADS_PER_HOUR`, 20 by default.
    pub uploads: Rule,
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
            upload_link_s: env.or("UPLOAD_LINK_SECONDS", 3_600),
            upload_bytes_max: env.or("UPLOAD_BYTES_MAX", 50 << 20),
            limits_table: env.required("LIMITS_TABLE"),
            uploads: Rule::new(env.or("UPLOADS_PER_HOUR", 20), None),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
