//! Settings of the admin function.

use domain::spending::Caps;
use runtime::env::{Env, ReadConfigError};

/// Every variable, typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// `AUDIT_TABLE`
    pub audit_table: String,
    /// `LEDGER_TABLE`
    pub ledger_table: String,
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
            ledger_table: env.required("LEDGER_TABLE"),
            caps: env.caps(),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}
