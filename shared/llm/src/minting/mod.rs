//! Has Google make and revoke keys of the Gemini API: `projects.locations.keys` of the API Keys API v2
//! (`cloud.google.com/api-keys/docs/reference/rest`). A key has the name that we give it, made of the version that it comes after,
//! so that asking twice makes one key and a run that is cut off leaves none that nobody knows.

mod token;

use crate::http::{Address, HttpClient, KeyHeader, Patience, Refused};
use crate::outcome::Failure;
use async_trait::async_trait;
use domain::audit::Label;
use domain::keys::pool::{KeySource, Revocation, SourceError};
use domain::keys::secret::{KeyBody, SecretStore};
use domain::keys::{ApiKey, KeyVersion, SecretStage};
use domain::text::hexadecimal;
use hyper::Method;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use token::ServiceAccount;
use tokio::time::{Instant, sleep_until};

/// What every name begins with: other keys of the project are none of ours.
const PREFIX: &str = "clinchat-";
/// What the console's name of a key ends with that the provider would not accept, or that was taken back: it is not offered again.
const REFUSED: &str = ", refused";
/// The keys of a project are some dozens. Pages of the most that the API gives.
const PAGES_MAX: usize = 10;
/// Making a key takes seconds. It is looked for again at these distances, and after that with the next run.
const LOOKS: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// Google says that a new key may take minutes until every server knows it.
const PROPAGATION: SignedDuration = SignedDuration::from_mins(10);
const JSON: &str = "application/json";

/// Keys of one project of Google Cloud.
pub struct GoogleKeys {
    /// Speaks HTTPS.
    pub http: HttpClient,
    /// `https://apikeys.googleapis.com`.
    pub address: Address,
    /// Holds the JSON of a service account with the role API Keys Admin.
    pub account: Arc<dyn SecretStore>,
    /// The time.
    pub clock: fn() -> Timestamp,
}

/// A key without its value.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyEntry {
    name: String,
    #[serde(default)]
    display_name: String,
    delete_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct KeyPage {
    keys: Vec<KeyEntry>,
    next_page_token: String,
}

/// A long-running operation.
#[derive(Deserialize)]
struct Operation {
    name: String,
    #[serde(default)]
    done: bool,
    error: Option<Value>,
}

fn minting(code: impl Into<String>) -> SourceError {
    SourceError::Minting { code: code.into() }
}

/// What the API said, as a code: Google's own status where there is one.
fn said(refused: &Refused) -> String {
    match refused {
        Refused::Call(error) => error.failure.as_str().to_owned(),
        Refused::Status { status, body, .. } => {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            let own = body["error"]["status"].as_str().filter(|own| own.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
            own.map_or_else(|| status.to_string(), str::to_owned)
        }
    }
}

fn patience() -> Patience {
    let (connect, silence) = (Duration::from_secs(2), Duration::from_secs(10));
    Patience { connect, silence, until: Instant::now() + Duration::from_secs(15) }
}

/// An account's token, and where its keys are.
struct Session {
    token: ApiKey,
    parent: String,
}

impl GoogleKeys {
    async fn session(&self) -> Result<Session, SourceError> {
        let state = self.account.describe().await?;
        let version = state.in_stage(SecretStage::Current).ok_or_else(|| minting("no_service_account"))?;
        let text = self.account.read(version).await?.ok_or_else(|| minting("no_service_account"))?;
        let account = ServiceAccount::parse(&text).map_err(|error| minting(error.code()))?;
        let token =
            account.token(&self.http, (self.clock)(), patience()).await.map_err(|code| minting(format!("token_{code}")))?;
        Ok(Session { token, parent: format!("/v2/projects/{}/locations/global/keys", account.project_id) })
    }

    async fn ask(&self, session: &Session, method: Method, path: &str, body: Option<Value>) -> Result<Vec<u8>, Refused> {
        let content = body.map(|body| (JSON, Bytes::from(body.to_string())));
        let key = Some((KeyHeader::Bearer, &session.token));
        self.http.exchange((method, &self.address, path), key, content, patience()).await
    }

    async fn read<T: for<'a> Deserialize<'a>>(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, SourceError> {
        let bytes = self.ask(session, method, path, body).await.map_err(|refused| minting(said(&refused)))?;
        serde_json::from_slice(&bytes).map_err(|_| minting(Failure::Malformed.as_str()))
    }

    /// Waits for an operation, for as long as it makes sense.
    async fn wait(&self, session: &Session, mut operation: Operation) -> Result<(), SourceError> {
        // The name is put into an address.
        let is_name = operation.name.starts_with("operations/")
            && operation.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
        if !is_name && !operation.done {
            return Err(minting("operation"));
        }
        for distance in LOOKS {
            if operation.done {
                break;
            }
            sleep_until(Instant::now() + distance).await;
            operation = self.read(session, Method::GET, &format!("/v2/{}", operation.name), None).await?;
        }
        match (operation.done, operation.error) {
            (true, None) => Ok(()),
            (true, Some(error)) => Err(minting(format!("operation_{}", error["code"].as_i64().unwrap_or(0)))),
            (false, _) => Err(minting("operation_slow")),
        }
    }

    /// Our keys, deleted ones as well: their names are not free for thirty days.
    async fn keys(&self, session: &Session) -> Result<Vec<KeyEntry>, SourceError> {
        let (mut keys, mut page) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let path = format!("{}?showDeleted=true&pageSize=300{page}", session.parent);
            let got: KeyPage = self.read(session, Method::GET, &path, None).await?;
            keys.extend(got.keys);
            let is_token = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b));
            if got.next_page_token.is_empty() || !is_token(&got.next_page_token) {
                return Ok(keys);
            }
            page = format!("&pageToken={}", got.next_page_token);
        }
        Err(minting("too_many_keys"))
    }

    async fn make(&self, session: &Session, name: &str) -> Result<(), SourceError> {
        let body = json!({
            // What people see in the console is what they are told to look for.
            "displayName": name,
            "restrictions": { "apiTargets": [{ "service": "generativelanguage.googleapis.com" }] },
        });
        let path = format!("{}?keyId={name}", session.parent);
        match self.ask(session, Method::POST, &path, Some(body)).await {
            Ok(bytes) => {
                let operation = serde_json::from_slice(&bytes).map_err(|_| minting(Failure::Malformed.as_str()))?;
                self.wait(session, operation).await
            }
            // Somebody has just made it.
            Err(Refused::Status { status: 409, .. }) => Ok(()),
            Err(refused) => Err(minting(said(&refused))),
        }
    }
}

/// A name that the API takes and that says after which version the key comes.
fn beginning(after: Option<&KeyVersion>) -> String {
    let digest = Sha256::digest(after.map_or("", |version| version.0.as_str()));
    format!("{PREFIX}{}-", &hexadecimal(&digest)[..20])
}

#[async_trait]
impl KeySource for GoogleKeys {
    async fn offer(&self, after: Option<&KeyVersion>) -> Result<KeyBody, SourceError> {
        let session = self.session().await?;
        let keys = self.keys(&session).await?;
        let beginning = beginning(after);
        let find = |name: &str| keys.iter().find(|key| key.name.rsplit('/').next() == Some(name));
        let is_open =
            |name: &String| find(name).is_none_or(|key| key.delete_time.is_none() && !key.display_name.ends_with(REFUSED));
        let name = (0..100).map(|number| format!("{beginning}{number}")).find(is_open).ok_or_else(|| minting("too_many_keys"))?;
        if find(&name).is_none() {
            self.make(&session, &name).await?;
        }
        let path = format!("{}/{name}/keyString", session.parent);
        let got: Value = self.read(&session, Method::GET, &path, None).await?;
        let key = ApiKey::new(got["keyString"].as_str().unwrap_or_default());
        if !key.is_well_formed() {
            return Err(minting(Failure::Malformed.as_str()));
        }
        Ok(KeyBody { key, id: Label::parse(&name).ok() })
    }

    async fn taken(&self, _: &Label) -> Result<(), SourceError> {
        Ok(())
    }

    async fn refused(&self, id: &Label, _: Timestamp) -> Result<(), SourceError> {
        if !id.as_str().starts_with(PREFIX) {
            return Ok(());
        }
        let session = self.session().await?;
        let path = format!("{}/{}?updateMask=displayName", session.parent, id.as_str());
        let name = format!("{}{REFUSED}", id.as_str());
        let operation = self.read(&session, Method::PATCH, &path, Some(json!({ "displayName": name }))).await?;
        self.wait(&session, operation).await
    }

    async fn revoke(&self, id: &Label) -> Result<Revocation, SourceError> {
        // Not made here: an operator's own key, which the console knows by another name.
        if !id.as_str().starts_with(PREFIX) {
            return Ok(Revocation::ByOperator);
        }
        let session = self.session().await?;
        let is_gone = |key: &KeyEntry| key.name.rsplit('/').next() == Some(id.as_str()) && key.delete_time.is_some();
        if self.keys(&session).await?.iter().any(is_gone) {
            return Ok(Revocation::Done);
        }
        match self.ask(&session, Method::DELETE, &format!("{}/{}", session.parent, id.as_str()), None).await {
            Ok(bytes) => {
                let operation = serde_json::from_slice(&bytes).map_err(|_| minting(Failure::Malformed.as_str()))?;
                self.wait(&session, operation).await?;
                Ok(Revocation::Done)
            }
            Err(Refused::Status { status: 404, .. }) => Ok(Revocation::Unknown),
            Err(refused) => Err(minting(said(&refused))),
        }
    }

    async fn depth(&self) -> Result<Option<u32>, SourceError> {
        Ok(None)
    }

    fn propagation(&self) -> SignedDuration {
        PROPAGATION
    }
}
