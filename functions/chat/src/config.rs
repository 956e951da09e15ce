//! Settings of the chat function.

use crate::models::ProviderChoice;
use domain::chat::SupportPolicy;
use domain::ids::TenantId;
use domain::limits::Rule;
use domain::phi::IdentifierKind;
use domain::spending::{Caps, Catalogue, Provider};
use llm::{Address, Covered};
use runtime::env::{Env, ReadConfigError};
use std::collections::BTreeSet;
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
    /// `CONVERSATIONS_TABLE`
    pub conversations_table: String,
    /// `CONVERSATION_KEY`: the KMS key that the tenants' keys are made with.
    pub conversation_key: String,
    /// `CONVERSATION_HOURS`, how long a conversation is kept after its last question: 12 by default, as long as somebody stays
    /// signed in.
    pub conversation_hours: u32,
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
    /// Who is asked for answers, in this order: `PRIMARY_PROVIDER` and `SECONDARY_PROVIDER`, each with its `..._MODEL`. Empty
    /// without settings: answers are quoted from the passages.
    pub providers: Vec<ProviderChoice>,
    /// The models with their prices: those that are shipped, and those of `MODEL_CATALOGUE`, which is JSON of the same form.
    pub catalogue: Catalogue,
    /// `COVERED_TEXT`, what providers with an agreement get: `strict` (default), `balanced` or `plain`.
    pub covered_text: Covered,
    /// `BLOCKED_IDENTIFIERS`, kinds that do not leave even as pseudonyms, with commas between them; none by default.
    pub blocked_identifiers: BTreeSet<IdentifierKind>,
    /// `IDENTIFIERS_PATH`, by default the file beside the binary.
    pub identifiers_path: PathBuf,
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
            conversations_table: env.required("CONVERSATIONS_TABLE"),
            conversation_key: env.required("CONVERSATION_KEY"),
            conversation_hours: env.or("CONVERSATION_HOURS", 12),
            limits_table: env.required("LIMITS_TABLE"),
            questions: Rule::new(env.or("QUESTIONS_PER_HOUR", 50), Some(env.or("QUESTIONS_PER_MINUTE", 10))),
            ledger_table: env.required("LEDGER_TABLE"),
            alerts_topic: env.required("ALERTS_TOPIC"),
            caps: env.caps(),
            providers: providers(&mut env),
            catalogue: catalogue(&mut env),
            covered_text: env.optional("COVERED_TEXT", Covered::parse).unwrap_or_default(),
            blocked_identifiers: env.optional("BLOCKED_IDENTIFIERS", kinds).unwrap_or_default(),
            identifiers_path: env.or("IDENTIFIERS_PATH", runtime::env::beside_binary(deid::TABLES_FILE)),
            log_level: env.or("LOG_LEVEL", "info".into()),
        };
        env.finish(config)
    }
}

fn providers(env: &mut Env) -> Vec<ProviderChoice> {
    let primary = ("PRIMARY_PROVIDER", "PRIMARY_MODEL");
    let secondary = ("SECONDARY_PROVIDER", "SECONDARY_MODEL");
    [primary, secondary].into_iter().filter_map(|(provider, model)| choice(env, provider, model)).collect()
}

fn choice(env: &mut Env, provider: &'static str, model: &'static str) -> Option<ProviderChoice> {
    let provider = env.optional(provider, |name| Provider::parse(name).ok_or(()))?;
    let usual_model = env.optional(model, str::parse);
    let (url, usual, secret) = match provider {
        Provider::Gemini => ("GEMINI_URL", "https://generativelanguage.googleapis.com", "GEMINI_SECRET"),
        Provider::Groq => ("GROQ_URL", "https://api.groq.com/openai/v1", "GROQ_SECRET"),
        Provider::OpenaiCompatible => ("OPENAI_COMPATIBLE_URL", "", "OPENAI_COMPATIBLE_SECRET"),
        Provider::Bedrock => return Some(ProviderChoice { provider, model: usual_model, address: None, secret: None }),
    };
    let address: String = env.or(url, usual.to_owned());
    let address = env.checked(url, Address::parse(&address))?;
    Some(ProviderChoice { provider, model: usual_model, address: Some(address), secret: env.optional(secret, str::parse) })
}

fn catalogue(env: &mut Env) -> Catalogue {
    let shipped = Catalogue::shipped().expect("the catalogue that is shipped is read by a test");
    match env.optional("MODEL_CATALOGUE", Catalogue::parse) {
        Some(own) => shipped.with(own),
        None => shipped,
    }
}

/// `name,date` to kinds.
fn kinds(text: &str) -> Result<BTreeSet<IdentifierKind>, ()> {
    text.split(',').map(|name| IdentifierKind::parse(name.trim()).ok_or(())).collect()
}
