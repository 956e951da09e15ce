//! Settings of the rotation.

use domain::ids::TenantId;
use domain::keys::rotation::RotationRules;
use domain::spending::{Caps, Catalogue, Provider};
use jiff::SignedDuration;
use llm::Address;
use runtime::env::{Env, ReadConfigError};

/// A provider whose key is rotated.
#[derive(Debug, Clone)]
pub struct ProviderKeys {
    /// Who.
    pub provider: Provider,
    /// The model that answers questions; the catalogue's default if none is named.
    pub model: Option<String>,
    /// Where.
    pub address: Address,
    /// ARN of the secret with its key.
    pub secret: String,
    /// ARN of the secret with its pool.
    pub pool: String,
}

/// Every variable, typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// `PRIMARY_PROVIDER` and `SECONDARY_PROVIDER`, each with its `..._MODEL`: those of them that have a secret. For each
    /// `GEMINI_URL`, `GEMINI_SECRET`, `GEMINI_POOL`; `GROQ_URL`, `GROQ_SECRET`, `GROQ_POOL`; `OPENAI_COMPATIBLE_URL`,
    /// `OPENAI_COMPATIBLE_SECRET`, `OPENAI_COMPATIBLE_POOL`.
    pub providers: Vec<ProviderKeys>,
    /// `GOOGLE_ACCOUNT_SECRET`: the service account that makes keys of Gemini; without it they come from the pool.
    pub google_account: Option<String>,
    /// `GOOGLE_KEYS_URL`
    pub google_keys: Option<Address>,
    /// `KEY_PERIOD_DAYS` (30), `KEY_GRACE_HOURS` (24), `KEY_REFUSALS` (3).
    pub rules: RotationRules,
    /// The models with their prices, `MODEL_CATALOGUE` among them.
    pub catalogue: Catalogue,
    /// `BUDGET_DAY_DOLLARS`, `BUDGET_THRESHOLD_PERCENT`, `DEPARTMENT_DAY_DOLLARS`, `PERSON_DAY_DOLLARS`.
    pub caps: Caps,
    /// `DEFAULT_TENANT`: in whose audit trail it is recorded, `main` without one.
    pub tenant: TenantId,
    /// `AUDIT_TABLE`
    pub audit_table: String,
    /// `LEDGER_TABLE`
    pub ledger_table: String,
    /// `LIMITS_TABLE`
    pub limits_table: String,
    /// `ALERTS_TOPIC`
    pub alerts_topic: String,
    /// `LOG_LEVEL`, `info` by default.
    pub log_level: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ReadConfigError> {
        let mut env = Env::default();
        let url: String = env.or("GOOGLE_KEYS_URL", "https://apikeys.googleapis.com".to_owned());
        let config = Self {
            providers: providers(&mut env),
            google_account: env.optional("GOOGLE_ACCOUNT_SECRET", str::parse),
            google_keys: env.checked("GOOGLE_KEYS_URL", Address::parse(&url)),
            rules: rules(&mut env),
            catalogue: catalogue(&mut env),
            caps: env.caps(),
            tenant: env
                .optional("DEFAULT_TENANT", TenantId::parse)
                .or_else(|| TenantId::parse("main").ok())
                .expect("`main` is the name of a tenant"),
            audit_table: env.required("AUDIT_TABLE"),
            ledger_table: env.required("LEDGER_TABLE"),
            limits_table: env.required("LIMITS_TABLE"),
            alerts_topic: env.required("ALERTS_TOPIC"),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}

fn rules(env: &mut Env) -> RotationRules {
    let usual = RotationRules::default();
    RotationRules {
        period: SignedDuration::from_hours(24 * env.or("KEY_PERIOD_DAYS", 30)),
        grace: SignedDuration::from_hours(env.or("KEY_GRACE_HOURS", 24)),
        refusals: env.or("KEY_REFUSALS", usual.refusals),
        ..usual
    }
}

fn providers(env: &mut Env) -> Vec<ProviderKeys> {
    let chosen = [("PRIMARY_PROVIDER", "PRIMARY_MODEL"), ("SECONDARY_PROVIDER", "SECONDARY_MODEL")];
    let mut found: Vec<ProviderKeys> = Vec::new();
    for (provider, model) in chosen {
        let Some(provider) = env.optional(provider, |name| Provider::parse(name).ok_or(())) else { continue };
        let (url, usual, secret, pool) = match provider {
            Provider::Gemini => ("GEMINI_URL", "https://generativelanguage.googleapis.com", "GEMINI_SECRET", "GEMINI_POOL"),
            Provider::Groq => ("GROQ_URL", "https://api.groq.com/openai/v1", "GROQ_SECRET", "GROQ_POOL"),
            Provider::OpenaiCompatible => ("OPENAI_COMPATIBLE_URL", "", "OPENAI_COMPATIBLE_SECRET", "OPENAI_COMPATIBLE_POOL"),
            // Asked with the function's own credentials.
            Provider::Bedrock => continue,
        };
        let model = env.optional(model, str::parse);
        // One that asks for no key has none that could be rotated.
        let secret: Option<String> = env.optional(secret, str::parse);
        let (Some(secret), true) = (secret, found.iter().all(|known| known.provider != provider)) else { continue };
        let address: String = env.or(url, usual.to_owned());
        if let Some(address) = env.checked(url, Address::parse(&address)) {
            found.push(ProviderKeys { provider, model, address, secret, pool: env.required(pool) });
        }
    }
    found
}

fn catalogue(env: &mut Env) -> Catalogue {
    let shipped = Catalogue::shipped().expect("the catalogue that is shipped is read by a test");
    match env.optional("MODEL_CATALOGUE", Catalogue::parse) {
        Some(own) => shipped.with(own),
        None => shipped,
    }
}
