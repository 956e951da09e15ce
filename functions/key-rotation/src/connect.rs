//! The function on AWS: which secret, which pool, which provider, whose money.

use crate::{Config, Keys, ProviderKeys, Rotations};
use alerts::AlertTopic;
use domain::alert::{AlertSink, Once};
use domain::audit::AuditLog;
use domain::ids::IdSource;
use domain::keys::pool::{KeySource, Pool};
use domain::keys::rotation::KeyRotation;
use domain::spending::{Grade, Ledger, Provider};
use llm::{GoogleKeys, HttpClient, HttpProvider, MakeClientError, ProviderCanary};
use runtime::ids::{SystemIds, now};
use runtime::metered::Metered;
use secrets::ManagedSecret;
use std::sync::Arc;
use std::time::Duration;
use store::{AuditTable, LedgerTable, LimitsTable};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(2);

/// Why the function cannot start. Names settings, never values.
#[derive(Debug, thiserror::Error)]
pub enum ConnectRotationsError {
    /// The catalogue has no such model.
    #[error("the catalogue has no such model of {}", .0.as_str())]
    NoModel(Provider),
    /// There is no HTTPS client.
    #[error(transparent)]
    Client(#[from] MakeClientError),
}

impl Rotations {
    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Result<Self, ConnectRotationsError> {
        let http = HttpClient::new(CONNECT)?;
        let keys = config.providers.iter().map(|provider| keys(config, provider, &http, sdk));
        Ok(Self { keys: keys.collect::<Result<_, _>>()?, tenant: config.tenant.clone(), clock: now })
    }
}

fn keys(
    config: &Config,
    chosen: &ProviderKeys,
    http: &HttpClient,
    sdk: &aws_types::SdkConfig,
) -> Result<Keys, ConnectRotationsError> {
    let provider = chosen.provider;
    let model = match chosen.model.as_deref() {
        Some(id) => config.catalogue.find(provider, id),
        None => config.catalogue.default_model(provider, Grade::Usual),
    };
    let model = model.ok_or(ConnectRotationsError::NoModel(provider))?.clone();
    let (http, address) = (http.clone(), chosen.address.clone());
    let client = match provider {
        Provider::Gemini => HttpProvider::gemini(http.clone(), address),
        Provider::Groq | Provider::Bedrock => HttpProvider::groq(http.clone(), address),
        Provider::OpenaiCompatible => HttpProvider::open_ai_compatible(http.clone(), address),
    };
    let audit: Arc<dyn AuditLog> = Arc::new(AuditTable::new(sdk, config.audit_table.clone()));
    let alerts: Arc<dyn AlertSink> = Arc::new(AlertTopic::new(sdk, config.alerts_topic.clone()));
    let ids: Arc<dyn IdSource> = Arc::new(SystemIds);
    let ledger = Ledger {
        store: Arc::new(Metered::new("key-rotation", LedgerTable::new(sdk, config.ledger_table.clone()))),
        caps: config.caps,
        alerts: alerts.clone(),
        audit: audit.clone(),
        ids: ids.clone(),
    };
    // What is looked at every hour is told once a day.
    let limits = || LimitsTable::new(sdk, config.limits_table.clone());
    let once = Once { sink: AlertTopic::new(sdk, config.alerts_topic.clone()), told: limits() };
    let pool = || Pool { store: Arc::new(ManagedSecret::new(sdk, chosen.pool.clone())), ids: Arc::new(SystemIds), clock: now };
    let source: Arc<dyn KeySource> = match (provider, &config.google_account, &config.google_keys) {
        (Provider::Gemini, Some(account), Some(address)) => {
            let account = Arc::new(ManagedSecret::new(sdk, account.clone()));
            Arc::new(GoogleKeys { http, address: address.clone(), account, clock: now })
        }
        _ => Arc::new(pool()),
    };
    let rotation = KeyRotation {
        provider: provider.as_str(),
        store: Arc::new(ManagedSecret::new(sdk, chosen.secret.clone())),
        source,
        canary: Arc::new(ProviderCanary { client, model, ledger, clock: now }),
        refusals: Arc::new(limits()),
        audit,
        alerts: Arc::new(once),
        ids,
        rules: config.rules,
    };
    Ok(Keys { provider, secret: chosen.secret.clone(), rotation, pool: pool() })
}
