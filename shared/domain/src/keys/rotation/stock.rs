//! What operators see of a key and what waits behind it, and how they add one: with the checks that a rotation makes.

use super::labels::{replaced_since, revoking_since};
use super::{KeyRotation, RotateKeyError, TESTED, Verdict};
use crate::audit::{EventType, Label, Outcome};
use crate::context::Context;
use crate::keys::pool::{Pool, SourceError};
use crate::keys::secret::SecretState;
use crate::keys::{ApiKey, KeyVersion, SecretStage};
use jiff::Timestamp;
use serde::Serialize;

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
    /// How many keys wait; `None` if they are made when they are needed.
    pub depth: Option<u32>,
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
            depth: self.source.depth().await?,
        };
        let version = current.cloned().unwrap_or(KeyVersion(String::new()));
        self.audit.append(&self.event(context, EventType::KeysViewed, &version, None, Outcome::Success)).await?;
        Ok(overview)
    }

    async fn shown(&self, state: &SecretState, version: &KeyVersion) -> Shown {
        // One that cannot be read is shown as what it is: a version without a key's name.
        let body = self.body(version, "AWSCURRENT").await.ok().flatten();
        let stored = state.versions.get(version).map_or(Timestamp::UNIX_EPOCH, |stored| stored.created);
        let key = body.and_then(|body| body.id).map(|id| id.as_str().to_owned());
        Shown { version: version.0.clone(), key, stored, is_tested: state.has(version, TESTED) }
    }

    /// Puts a key into the pool if it is one that a rotation would take.
    pub async fn add(&self, pool: &Pool, key: &ApiKey, context: &Context) -> Result<Label, RotateKeyError> {
        let state = self.state().await?;
        for stage in SecretStage::ALL {
            let Some(version) = state.in_stage(stage) else { continue };
            if self.body(version, stage.as_str()).await.ok().flatten().is_some_and(|body| body.key == *key) {
                return Err(if stage == SecretStage::Current { RotateKeyError::SameKey } else { SourceError::Repeated.into() });
            }
        }
        match self.twice(key, context).await {
            Verdict::Good => {}
            Verdict::Refused(code) => return Err(RotateKeyError::Refused { code }),
            Verdict::Unclear(code) => return Err(RotateKeyError::Postponed { code }),
        }
        let id = pool.add(key).await?;
        let none = KeyVersion(String::new());
        self.audit.append(&self.event(context, EventType::KeyAdded, &none, Some(&id), Outcome::Success)).await?;
        Ok(id)
    }
}
