//! Settings of the chat function.

use domain::chat::SupportPolicy;
use domain::ids::TenantId;
use domain::limits::Rule;
use domain::spending::Caps;
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
    /// `LIMITS_TABLE`
    pub limits_table: String,
    /// `QUESTIONS_PER_HOUR`, 50 by default, and `QUESTIONS_PER_MINUTE`, 10 by default.
    pub questions: Rule,
    /// `LEDGER_TABLE`
    pub ledger_table: String,
    /// `ALERTS_TOPIC`
    pub alerts_topic: String,
    /// `BUDGET_DAY_DOLLARS`, `BUDGET_THRESHOLD_PERCENT`, `DEPARTMENT_DAY_DOLLARS`, `PERSON_DAY_DOLLARS`.
    pub caps: Caps,
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
            limits_table: env.required("LIMITS_TABLE"),
            questions: Rule::new(env.or("QUESTIONS_PER_HOUR", 50), Some(env.or("QUESTIONS_PER_MINUTE", 10))),
            ledger_table: env.required("LEDGER_TABLE"),
            alerts_topic: env.required("ALERTS_TOPIC"),
            caps: env.caps(),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
