//! Where the next key comes from: a provider's own API, or a pool that operators fill. The pool is a secret of its own; a
//! change of it is a new version that becomes current only if the one that was read still is.

use super::secret::{KeyBody, SecretError, SecretState, SecretStore, SecretText};
use super::{ApiKey, KeyVersion, SecretStage};
use crate::audit::Label;
use crate::fault::{Fault, PortError};
use crate::ids::IdSource;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A pool that is written by an operator and a rotation at once is written again; more often than this they do not meet.
const ATTEMPTS: u32 = 5;
/// More keys than this in a pool are a mistake: Secrets Manager takes 64 kB.
const KEYS_MAX: usize = 50;
/// So many refused keys are remembered, for whoever looks.
const REFUSED_MAX: usize = 20;

/// What the name of a key begins with that was given none.
const GENERATED: &str = "key-";
/// ... and how long it is: that and an id of 26 characters.
const GENERATED_CHARS: usize = GENERATED.len() + 26;

/// Whether a key was named by us, so that the provider's console shows another name.
pub fn is_generated(id: &Label) -> bool {
    id.as_str().starts_with(GENERATED) && id.as_str().len() == GENERATED_CHARS
}

/// What a provider's key can be got from.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The next key, after this version of the one in use. The same key each time, until it is taken or refused.
    async fn offer(&self, after: Option<&KeyVersion>) -> Result<KeyBody, SourceError>;

    /// The key is in use: it is not offered again.
    async fn taken(&self, id: &Label) -> Result<(), SourceError>;

    /// The provider does not accept the key: it is not offered again.
    async fn refused(&self, id: &Label, now: Timestamp) -> Result<(), SourceError>;

    /// Has a key revoked that is not used any more.
    async fn revoke(&self, id: &Label) -> Result<Revocation, SourceError>;

    /// How many keys are left; `None` if as many can be made as are needed.
    async fn depth(&self) -> Result<Option<u32>, SourceError>;

    /// So long after it was made a key may still be refused and be a good one.
    fn propagation(&self) -> SignedDuration {
        SignedDuration::ZERO
    }
}

/// Who revokes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The provider was told to, and will.
    Done,
    /// The provider's API knows no such key; whether the key works is another matter.
    Unknown,
    /// The provider has no way to be told but its console.
    ByOperator,
}

/// Why there is no next key. Each says what to mend.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no pool.
    #[error("the pool's secret does not exist: deploy the stack again, it makes one for each chosen provider")]
    NoPool,
    /// It is being deleted.
    #[error("the pool's secret is scheduled for deletion: restore it with `aws secretsmanager restore-secret`")]
    DeletedPool,
    /// It holds something else.
    #[error(
        "the pool's text is not {{\"keys\": [{{\"id\", \"added_at\", \"api_key\"}}]}}: empty it with `clinchat keys remove PROVIDER --all`, then \
         add keys with `clinchat keys add`"
    )]
    MalformedPool,
    /// It has no key.
    #[error("the pool is empty: add a key with `clinchat keys add`")]
    EmptyPool,
    /// It can take no more.
    #[error("the pool is full: {KEYS_MAX} keys; take some out with `clinchat keys remove`")]
    FullPool,
    /// The key is there already.
    #[error("this key is known already: it waits, is being introduced, or was replaced")]
    Repeated,
    /// The key is in use.
    #[error("this key is the one in use: make another in the provider's console")]
    InUse,
    /// Another key has this name.
    #[error("another key has this name: give this one another, in the provider's console as well")]
    NameTaken,
    /// No key has this name.
    #[error("no key of this name waits in the pool: `clinchat keys status` names them")]
    NoSuchKey,
    /// Others write all the time.
    #[error("the pool was changed by somebody else; try again")]
    Raced,
    /// The provider's own API would not, with the code that it gave.
    #[error("the provider's API for keys answered {code}: docs/runbook.md, \"keys are not minted\"")]
    Minting {
        /// What it said.
        code: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] SecretError),
}

impl From<PortError> for SourceError {
    fn from(error: PortError) -> Self {
        Self::Store(SecretError::Port(error))
    }
}

impl SourceError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoPool | Self::DeletedPool | Self::MalformedPool | Self::EmptyPool => Fault::Conflict,
            Self::FullPool | Self::Repeated | Self::InUse | Self::NameTaken | Self::NoSuchKey => Fault::Caller,
            Self::Raced | Self::Minting { .. } => Fault::Transient,
            Self::Store(error) => error.fault(),
        }
    }
}

/// A key that waits.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    added_at: Timestamp,
    api_key: String,
}

/// A key that the provider did not accept. Its value is not kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedEntry {
    id: String,
    refused_at: Timestamp,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stock {
    #[serde(default)]
    keys: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedEntry>,
}

impl Stock {
    fn parse(text: &SecretText) -> Result<Self, SourceError> {
        let text = text.expose().trim();
        // By name only: an empty list would pass for an empty pool.
        let stock = text.starts_with('{').then(|| serde_json::from_str::<Self>(text).ok()).flatten();
        let stock = stock.ok_or(SourceError::MalformedPool)?;
        let is_sound = |entry: &Entry| Label::parse(&entry.id).is_ok() && ApiKey::new(&entry.api_key).is_well_formed();
        if stock.keys.len() <= KEYS_MAX && stock.keys.iter().all(is_sound) { Ok(stock) } else { Err(SourceError::MalformedPool) }
    }

    fn text(&self) -> SecretText {
        SecretText::new(serde_json::to_string(self).unwrap_or_default())
    }
}

/// What may be shown of a key that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Its name.
    pub id: String,
    /// Since when.
    pub added_at: Timestamp,
}

/// A pool that operators fill.
pub struct Pool {
    /// The pool's own secret.
    pub store: Arc<dyn SecretStore>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
    /// The time.
    pub clock: fn() -> Timestamp,
}

impl Pool {
    async fn read(&self) -> Result<(Option<KeyVersion>, Stock), SourceError> {
        let state = self.describe().await?;
        let Some(current) = state.in_stage(SecretStage::Current).cloned() else { return Ok((None, Stock::default())) };
        match self.store.read(&current).await? {
            Some(text) if !text.expose().trim().is_empty() => Ok((Some(current), Stock::parse(&text)?)),
            _ => Ok((Some(current), Stock::default())),
        }
    }

    async fn describe(&self) -> Result<SecretState, SourceError> {
        match self.store.describe().await {
            Err(SecretError::Missing) => Err(SourceError::NoPool),
            Err(SecretError::Deleted) => Err(SourceError::DeletedPool),
            Ok(state) if state.is_deleted => Err(SourceError::DeletedPool),
            other => Ok(other?),
        }
    }

    /// Changes the stock; `false` of the change means that there is nothing to change.
    async fn change(&self, change: &(dyn Fn(&mut Stock) -> Result<bool, SourceError> + Send + Sync)) -> Result<(), SourceError> {
        for _ in 0..ATTEMPTS {
            let (read, mut stock) = self.read().await?;
            if !change(&mut stock)? {
                return Ok(());
            }
            let draft = KeyVersion(format!("pool-draft-{}", self.ids.next((self.clock)())));
            self.store.put(&draft, &stock.text(), SecretStage::Pending.as_str()).await?;
            match self.store.move_label(SecretStage::Current.as_str(), read.as_ref(), Some(&draft)).await {
                // Somebody was faster: what they wrote is read and changed.
                Err(SecretError::Moved) => {}
                done => return Ok(done?),
            }
        }
        Err(SourceError::Raced)
    }

    /// Puts a key in, behind the others, and gives its name: the one that it has in the provider's console, if somebody says it.
    /// Whether it is a good one has been tried before.
    pub async fn add(&self, key: &ApiKey, name: Option<&Label>) -> Result<Label, SourceError> {
        let now = (self.clock)();
        let own = || format!("{GENERATED}{}", self.ids.next(now).to_string().to_ascii_lowercase());
        let name = name.map_or_else(own, |name| name.as_str().to_owned());
        let entry = Entry { id: name.clone(), added_at: now, api_key: key.expose().to_owned() };
        self.change(&|stock| {
            let is_entry = |known: &Entry| known.id == entry.id && known.api_key == entry.api_key && known.added_at == now;
            // Our own write whose answer was lost.
            if stock.keys.iter().any(is_entry) {
                return Ok(false);
            }
            if stock.keys.iter().any(|known| known.api_key == entry.api_key) {
                return Err(SourceError::Repeated);
            }
            if stock.keys.iter().any(|known| known.id == entry.id) {
                return Err(SourceError::NameTaken);
            }
            if stock.keys.len() >= KEYS_MAX {
                return Err(SourceError::FullPool);
            }
            stock.keys.push(entry.clone());
            Ok(true)
        })
        .await?;
        Label::parse(&name).map_err(|_| SourceError::MalformedPool)
    }

    /// Takes a key out.
    pub async fn remove(&self, id: &Label) -> Result<(), SourceError> {
        let (_, stock) = self.read().await?;
        if stock.keys.iter().all(|known| known.id != id.as_str()) {
            return Err(SourceError::NoSuchKey);
        }
        self.taken(id).await
    }

    /// Empties the pool, whatever is in it: the way out of a text that nobody can read.
    pub async fn empty(&self) -> Result<(), SourceError> {
        let state = self.describe().await?;
        let draft = KeyVersion(format!("pool-draft-{}", self.ids.next((self.clock)())));
        self.store.put(&draft, &Stock::default().text(), SecretStage::Pending.as_str()).await?;
        let read = state.in_stage(SecretStage::Current);
        match self.store.move_label(SecretStage::Current.as_str(), read, Some(&draft)).await {
            // What somebody has just added is not thrown away unseen.
            Err(SecretError::Moved) => Err(SourceError::Raced),
            done => Ok(done?),
        }
    }

    /// What waits, the next one first.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, SourceError> {
        let (_, stock) = self.read().await?;
        Ok(stock.keys.into_iter().map(|entry| Waiting { id: entry.id, added_at: entry.added_at }).collect())
    }
}

#[async_trait]
impl KeySource for Pool {
    async fn offer(&self, _: Option<&KeyVersion>) -> Result<KeyBody, SourceError> {
        let (_, stock) = self.read().await?;
        let first = stock.keys.first().ok_or(SourceError::EmptyPool)?;
        Ok(KeyBody { key: ApiKey::new(&first.api_key), id: Label::parse(&first.id).ok() })
    }

    async fn taken(&self, id: &Label) -> Result<(), SourceError> {
        self.change(&|stock| {
            let before = stock.keys.len();
            stock.keys.retain(|entry| entry.id != id.as_str());
            Ok(stock.keys.len() < before)
        })
        .await
    }

    async fn refused(&self, id: &Label, now: Timestamp) -> Result<(), SourceError> {
        self.change(&|stock| {
            let before = stock.keys.len();
            stock.keys.retain(|entry| entry.id != id.as_str());
            if stock.keys.len() == before {
                return Ok(false);
            }
            stock.refused.push(RefusedEntry { id: id.as_str().to_owned(), refused_at: now });
            let extra = stock.refused.len().saturating_sub(REFUSED_MAX);
            stock.refused.drain(..extra);
            Ok(true)
        })
        .await
    }

    async fn revoke(&self, _: &Label) -> Result<Revocation, SourceError> {
        Ok(Revocation::ByOperator)
    }

    async fn depth(&self) -> Result<Option<u32>, SourceError> {
        let (_, stock) = self.read().await?;
        Ok(Some(u32::try_from(stock.keys.len()).unwrap_or(u32::MAX)))
    }
}
