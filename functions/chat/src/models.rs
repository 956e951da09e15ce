//! The models outside the process, if the deployment has some: who is asked in which order, with which keys, under which rules.

use crate::keys::WatchedKeys;
use crate::{Config, money};
use bedrock::BedrockClient;
use deid::{Deidentifier, LoadTablesError};
use domain::spending::{Catalogue, Grade, Provider};
use domain::text::Analyzer;
use llm::gateway::Bounds;
use llm::{Address, Gate, Gateway, HttpClient, HttpProvider, MakeClientError, ProviderClient, Route};
use runtime::telemetry;
use secrets::SecretKeyRing;
use std::sync::Arc;
use std::time::Duration;
use store::LimitsTable;

/// A provider as the settings name it.
#[derive(Debug, Clone)]
pub struct ProviderChoice {
    /// Who.
    pub provider: Provider,
    /// Which model; the catalogue's default if none is named.
    pub model: Option<String>,
    /// Where; nothing for Bedrock, which is in the function's own region and takes its credentials.
    pub address: Option<Address>,
    /// Where its key is; some ask for none.
    pub secret: Option<String>,
}

/// Why the models cannot be asked. Names settings, never values.
#[derive(Debug, thiserror::Error)]
pub enum ConnectModelsError {
    /// The catalogue has no such model.
    #[error("the catalogue has no such model of {}", .0.as_str())]
    NoModel(Provider),
    /// The de-identifier's tables are missing: nothing may leave.
    #[error(transparent)]
    Tables(#[from] LoadTablesError),
    /// There is no HTTPS client.
    #[error(transparent)]
    Client(#[from] MakeClientError),
}

/// The gateway, or nothing if no provider is chosen: then nothing of it is loaded.
pub fn gateway(config: &Config, sdk: &aws_types::SdkConfig) -> Result<Option<Gateway>, ConnectModelsError> {
    if config.providers.is_empty() {
        return Ok(None);
    }
    let bounds = Bounds::default();
    let http = HttpClient::new(bounds.connect)?;
    let routes = config.providers.iter().map(|choice| route(choice, config, (&http, bounds.connect), sdk));
    Ok(Some(Gateway {
        routes: routes.collect::<Result<_, _>>()?,
        gate: Gate {
            deidentifier: Arc::new(Deidentifier::load(&config.identifiers_path)?),
            covered: config.covered_text,
            blocked: config.blocked_identifiers.clone(),
        },
        ledger: money::ledger(config, sdk),
        breakers: money::breakers(config, sdk),
        bounds,
        clock: runtime::ids::now,
        unanswered: || telemetry::alert("chat", "ModelsUnanswered", 1.0),
        analyzer: Analyzer::default(),
    }))
}

fn route(
    choice: &ProviderChoice,
    config: &Config,
    (http, connect): (&HttpClient, Duration),
    sdk: &aws_types::SdkConfig,
) -> Result<Route, ConnectModelsError> {
    let (provider, catalogue): (_, &Catalogue) = (choice.provider, &config.catalogue);
    let named = choice.model.as_deref();
    let usual = named.map_or_else(|| catalogue.default_model(provider, Grade::Usual), |id| catalogue.find(provider, id));
    let usual = usual.ok_or(ConnectModelsError::NoModel(provider))?.clone();
    let cheaper = catalogue.default_model(provider, Grade::Cheaper).filter(|model| model.id != usual.id).cloned();
    let client: Box<dyn ProviderClient> = match (&choice.address, http.clone()) {
        (None, _) => Box::new(BedrockClient::new(sdk, connect)),
        (Some(address), http) => Box::new(match provider {
            Provider::Gemini => HttpProvider::gemini(http, address.clone()),
            Provider::Groq => HttpProvider::groq(http, address.clone()),
            Provider::OpenaiCompatible | Provider::Bedrock => HttpProvider::open_ai_compatible(http, address.clone()),
        }),
    };
    let keys = choice.secret.clone().map(|secret| {
        let ring = Box::new(SecretKeyRing::new(sdk, secret));
        let refusals = Arc::new(LimitsTable::new(sdk, config.limits_table.clone()));
        Box::new(WatchedKeys { ring, provider: provider.as_str(), refusals, clock: runtime::ids::now }) as _
    });
    Ok(Route { client, keys, usual, cheaper })
}
