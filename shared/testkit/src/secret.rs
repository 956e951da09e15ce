//! A secret in memory with the rules of Secrets Manager: a version's text never changes and the same token with another text is
//! refused; a label is on one version at most and moves only from where it is; what was current becomes previous by itself; a
//! version that loses its last label cannot be seen any more; twenty labels are the most.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::alert::ToldLog;
use domain::fault::PortError;
use domain::keys::secret::{SecretError, SecretState, SecretStore, SecretText, VersionState};
use domain::keys::{KeyVersion, RefusalLog, SecretStage};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Labels of all versions together, as Secrets Manager counts them.
const LABELS_MAX: usize = 20;
const CURRENT: &str = SecretStage::Current.as_str();
const PREVIOUS: &str = SecretStage::Previous.as_str();
const PENDING: &str = SecretStage::Pending.as_str();

#[derive(Default)]
struct Stored {
    texts: BTreeMap<KeyVersion, Option<String>>,
    state: SecretState,
    now: Timestamp,
    is_missing: bool,
}

impl Stored {
    fn attach(&mut self, label: &str, version: &KeyVersion) {
        for stored in self.state.versions.values_mut() {
            stored.labels.remove(label);
        }
        let created = self.now;
        let stored = self.state.versions.entry(version.clone());
        stored.or_insert_with(|| VersionState { labels: BTreeSet::new(), created }).labels.insert(label.to_owned());
    }

    /// Versions without a label are not listed. Their texts stay for a while.
    fn sweep(&mut self) {
        self.state.versions.retain(|_, version| !version.labels.is_empty());
    }

    fn make_current(&mut self, version: &KeyVersion) {
        let before = self.state.holder(CURRENT).cloned();
        self.attach(CURRENT, version);
        if let Some(before) = before.filter(|before| before != version) {
            self.attach(PREVIOUS, &before);
        }
    }

    fn usable(&self) -> Result<(), SecretError> {
        if self.is_missing {
            Err(SecretError::Missing)
        } else if self.state.is_deleted {
            Err(SecretError::Deleted)
        } else {
            Ok(())
        }
    }
}

/// Is told of each change while it is made: the labels, and the text that is current.
pub type Witness = Arc<dyn Fn(&SecretState, Option<&str>) + Send + Sync>;

/// One secret. A clone is the same secret.
#[derive(Clone, Default)]
pub struct MemorySecret {
    stored: Arc<Mutex<Stored>>,
    witness: Option<Witness>,
    outage: Outage,
}

impl MemorySecret {
    /// A secret with a text in use.
    pub fn of(text: &str) -> Self {
        let secret = Self::default();
        secret.set_text(text);
        secret
    }

    /// A secret that does not exist.
    pub fn missing() -> Self {
        let secret = Self::default();
        secret.lock().is_missing = true;
        secret
    }

    /// The same secret, whose calls fail when this outage says so.
    #[must_use]
    pub fn seen_through(&self, outage: Outage) -> Self {
        Self { outage, ..self.clone() }
    }

    /// The same secret, with somebody who sees each change.
    #[must_use]
    pub fn watched_by(&self, witness: Witness) -> Self {
        Self { witness: Some(witness), ..self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn witnessed(&self, stored: &Stored) {
        if let Some(witness) = &self.witness {
            let text = stored.state.holder(CURRENT).and_then(|version| stored.texts.get(version)).cloned().flatten();
            witness(&stored.state, text.as_deref());
        }
    }

    /// Puts a text into use, as somebody does in the console.
    pub fn set_text(&self, text: &str) {
        let mut stored = self.lock();
        let version = KeyVersion(format!("console-{:024}", stored.texts.len()));
        stored.texts.insert(version.clone(), Some(text.to_owned()));
        stored.make_current(&version);
        stored.sweep();
    }

    /// What time it is.
    pub fn set_time(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// Switches the store's own rotation on.
    pub fn enable_rotation(&self) {
        self.lock().state.is_rotation_enabled = true;
    }

    /// Schedules it for deletion.
    pub fn delete(&self) {
        self.lock().state.is_deleted = true;
    }

    /// What `RotateSecret` does before it calls anybody: a version without a text that is being introduced. Refused while another
    /// one is.
    pub fn begin_rotation(&self, token: &KeyVersion) -> bool {
        let mut stored = self.lock();
        let pending = stored.state.holder(PENDING).cloned();
        if stored.texts.contains_key(token) || pending.is_some_and(|version| !stored.state.has(&version, CURRENT)) {
            return false;
        }
        stored.texts.insert(token.clone(), None);
        stored.attach(PENDING, token);
        stored.sweep();
        true
    }

    /// The labels as they are.
    pub fn state(&self) -> SecretState {
        self.lock().state.clone()
    }

    /// The text of a version.
    pub fn text_of(&self, version: &KeyVersion) -> Option<String> {
        self.lock().texts.get(version).cloned().flatten()
    }

    /// The text in a stage.
    pub fn text(&self, stage: SecretStage) -> Option<String> {
        let stored = self.lock();
        stored.state.in_stage(stage).and_then(|version| stored.texts.get(version)).cloned().flatten()
    }
}

#[async_trait]
impl SecretStore for MemorySecret {
    async fn describe(&self) -> Result<SecretState, SecretError> {
        let answer = self.outage.call("DescribeSecret").await?;
        let stored = self.lock();
        if stored.is_missing {
            return Err(SecretError::Missing);
        }
        Ok(answer.with(stored.state.clone())?)
    }

    async fn read(&self, version: &KeyVersion) -> Result<Option<SecretText>, SecretError> {
        let answer = self.outage.call("GetSecretValue").await?;
        let stored = self.lock();
        stored.usable()?;
        Ok(answer.with(stored.texts.get(version).cloned().flatten().map(SecretText::new))?)
    }

    async fn put(&self, version: &KeyVersion, text: &SecretText, label: &str) -> Result<(), SecretError> {
        let answer = self.outage.call("PutSecretValue").await?;
        let mut stored = self.lock();
        stored.usable()?;
        match stored.texts.get(version) {
            Some(Some(known)) if known == text.expose() => return Ok(answer.with(())?),
            Some(Some(_)) => return Err(SecretError::Taken),
            _ => {}
        }
        stored.texts.insert(version.clone(), Some(text.expose().to_owned()));
        if label == CURRENT {
            stored.make_current(version);
        } else {
            stored.attach(label, version);
        }
        stored.sweep();
        self.witnessed(&stored);
        Ok(answer.with(())?)
    }

    async fn move_label(&self, label: &str, from: Option<&KeyVersion>, to: Option<&KeyVersion>) -> Result<(), SecretError> {
        let answer = self.outage.call("UpdateSecretVersionStage").await?;
        let mut stored = self.lock();
        stored.usable()?;
        let holder = stored.state.holder(label).cloned();
        if to.is_some_and(|to| !stored.texts.contains_key(to)) {
            return Err(SecretError::Missing);
        }
        // Where it is already it cannot be moved to.
        if holder.as_ref() != from || (to.is_some() && holder.as_ref() == to) {
            return Err(SecretError::Moved);
        }
        let labels: usize = stored.state.versions.values().map(|version| version.labels.len()).sum();
        if holder.is_none() && to.is_some() && labels >= LABELS_MAX {
            return Err(SecretError::Full);
        }
        match to {
            Some(to) if label == CURRENT => stored.make_current(to),
            Some(to) => stored.attach(label, to),
            None => {
                for version in stored.state.versions.values_mut() {
                    version.labels.remove(label);
                }
            }
        }
        stored.sweep();
        self.witnessed(&stored);
        Ok(answer.with(())?)
    }
}

/// Refusals in memory. A clone is the same log.
#[derive(Clone, Default)]
pub struct MemoryRefusals(Arc<Mutex<Vec<(KeyVersion, Timestamp)>>>);

#[async_trait]
impl RefusalLog for MemoryRefusals {
    async fn note(&self, _: &'static str, version: &KeyVersion, now: Timestamp) -> Result<(), PortError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((version.clone(), now));
        Ok(())
    }

    async fn has_any(&self, _: &'static str, since: Timestamp) -> Result<bool, PortError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|(_, at)| *at >= since))
    }

    async fn count(&self, _: &'static str, version: &KeyVersion, since: Timestamp) -> Result<u32, PortError> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(noted.iter().filter(|(noted, at)| noted == version && *at >= since).count() as u32)
    }
}

/// What was told, in memory. A clone is the same log.
#[derive(Clone, Default)]
pub struct MemoryTold(Arc<Mutex<BTreeSet<String>>>);

#[async_trait]
impl ToldLog for MemoryTold {
    async fn was_told(&self, dedupe_key: &str) -> Result<bool, PortError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(dedupe_key))
    }

    async fn note_told(&self, dedupe_key: &str, _: Timestamp) -> Result<(), PortError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(dedupe_key.to_owned());
        Ok(())
    }
}
