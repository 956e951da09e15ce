//! What operators see of a key and what waits behind it, and how they add one: with the checks that a rotation makes.

use super::labels::{replaced_since, revoking_since};
use super::{KeyRotation, RotateKeyError, TESTED, Verdict};
use crate::audit::{EventType, Intent, Label, Outcome};
use crate::context::Context;
use crate::keys::pool::{Pool, SourceError};
use crate::keys::secret::SecretState;
use crate::keys::{ApiKey, KeyVersion, SecretStage};
use jiff::Timestamp;
use serde::Serialize;

/// What happens to the pool is about no version.
const NO_VERSION: KeyVersion = KeyVersion(String::new());

/// What may be shown of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The store's id of it.
    pub version: String,
    /// The key's name, if it has one.
    pub key: Option<String>,
    /// When it was stored.
    pub stored: Timestamp,
    /// Whether it was tried and found good.
    pub is_tested: bool,
    /// Whether what is in it is no key.
    pub is_malformed: bool,
}

/// What may be shown of a version that another one has replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// The version.
    #[serde(flatten)]
    pub shown: Shown,
    /// Since when another one is in use.
    pub replaced: Option<Timestamp>,
    /// Since when it is used by nobody and is to be revoked.
    pub revoking: Option<Timestamp>,
}

/// A provider's keys, without their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Whose.
    pub provider: &'static str,
    /// In use.
    pub current: Option<Shown>,
    /// Being introduced.
    pub pending: Option<Shown>,
    /// Replaced, and not yet known to be revoked.
    pub replaced: Vec<Replaced>,
    /// Whether Secrets Manager rotates by itself.
    pub is_rotation_enabled: bool,
    /// How many keys wait; `None` if they are made when they are needed, or if nobody can tell.
    pub depth: Option<u32>,
    /// Why nobody can tell.
    pub trouble: Option<String>,
}

impl KeyRotation {
    /// The keys as they are.
    pub async fn overview(&self, context: &Context) -> Result<Overview, RotateKeyError> {
        let state = self.state().await?;
        let pending = state.in_stage(SecretStage::Pending).filter(|version| !state.has(version, "AWSCURRENT"));
        let current = state.in_stage(SecretStage::Current);
        let mut replaced = Vec::new();
        for (version, stored) in state.versions.iter().filter(|(version, _)| Some(*version) != current) {
            let since = |read: fn(&str) -> Option<Timestamp>| stored.labels.iter().find_map(|label| read(label));
            let (was_replaced, revoking) = (since(replaced_since), since(revoking_since));
            if was_replaced.is_some() || revoking.is_some() {
                replaced.push(Replaced { shown: self.shown(&state, version).await, replaced: was_replaced, revoking });
            }
        }
        // A pool that cannot be read is no reason to show nothing.
        let depth = self.source.depth().await;
        let overview = Overview {
            provider: self.provider,
            current: match current {
                Some(version) => Some(self.shown(&state, version).await),
                None => None,
            },
            pending: match pending {
                Some(version) => Some(self.shown(&state, version).await),
                None => None,
            },
            replaced,
            is_rotation_enabled: state.is_rotation_enabled,
            depth: depth.as_ref().ok().copied().flatten(),
            trouble: depth.err().map(|error| error.to_string()),
        };
        let version = current.cloned().unwrap_or(KeyVersion(String::new()));
        self.audit.append(&self.event(context, EventType::KeysViewed, &version, None, Outcome::Success)).await?;
        Ok(overview)
    }

    async fn shown(&self, state: &SecretState, version: &KeyVersion) -> Shown {
        // One that cannot be read is shown as what it is: a version without a key's name.
        let body = self.body(version, "AWSCURRENT").await;
        let is_malformed = matches!(body, Err(RotateKeyError::Malformed { .. }));
        let body = body.ok().flatten();
        let stored = state.versions.get(version).map_or(Timestamp::UNIX_EPOCH, |stored| stored.created);
        let key = body.and_then(|body| body.id).map(|id| id.as_str().to_owned());
        Shown { version: version.0.clone(), key, stored, is_tested: state.has(version, TESTED), is_malformed }
    }

    /// Puts a key into the pool if it is one that a rotation would take.
    pub async fn add(&self, pool: &Pool, key: &ApiKey, name: Option<&Label>, context: &Context) -> Result<Label, RotateKeyError> {
        let state = self.state().await?;
        if matches!(self.source.depth().await, Ok(None)) {
            return Err(RotateKeyError::NotPooled);
        }
        for (version, stored) in &state.versions {
            let Some(body) = self.key_in(version).await? else { continue };
            if body.key == *key {
                let is_current = stored.labels.contains(SecretStage::Current.as_str());
                return Err(if is_current { SourceError::InUse } else { SourceError::Repeated }.into());
            }
            if name.is_some() && body.id.as_ref() == name {
                return Err(SourceError::NameTaken.into());
            }
        }
        match self.twice(key, context).await {
            Verdict::Good => {}
            Verdict::Refused(code) => return Err(RotateKeyError::NotAccepted { code }),
            Verdict::Unclear(code) => return Err(RotateKeyError::NotTried { code }),
        }
        let id = pool.add(key, name).await?;
        self.audit.append(&self.event(context, EventType::KeyAdded, &NO_VERSION, Some(&id), Outcome::Success)).await?;
        Ok(id)
    }

    /// Takes a key out of the pool, or all of them, even if what is there cannot be read. Said first, because it is gone after.
    pub async fn remove(&self, pool: &Pool, id: Option<&Label>, context: &Context) -> Result<(), RotateKeyError> {
        let event = self.event(context, EventType::KeyRemoved, &NO_VERSION, id, Outcome::Intended);
        let intent = Intent::write(self.audit.as_ref(), event).await?;
        let done = match id {
            Some(id) => pool.remove(id).await,
            None => pool.empty().await,
        };
        let outcome = if done.is_ok() { Outcome::Success } else { Outcome::Failure };
        intent.end(self.audit.as_ref(), self.ids.as_ref(), context.now, outcome).await?;
        Ok(done?)
    }
}
