//! A provider's keys in memory: which ones it accepts, who tried which, and an API that makes and revokes them.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::audit::Label;
use domain::context::Context;
use domain::keys::pool::{KeySource, Revocation, SourceError};
use domain::keys::rotation::{Canary, Trial, Verdict};
use domain::keys::secret::KeyBody;
use domain::keys::{ApiKey, KeyVersion};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct World {
    accepted: BTreeSet<String>,
    /// Made by the API, by name.
    minted: BTreeMap<String, String>,
    /// Names of keys that were deleted or marked as no good: they are not offered again.
    deleted: BTreeSet<String>,
    /// Trials that went well, the whole ones.
    tested: BTreeMap<String, u32>,
    /// What each of the next trials meets instead of an answer.
    next: Vec<Verdict>,
    is_down: bool,
    /// Keys that the API makes and that nobody accepts.
    mints_bad: bool,
    /// Whether the API has forgotten what it made.
    is_forgetful: bool,
    trials: u64,
}

/// A provider. A clone is the same provider.
#[derive(Clone, Default)]
pub struct MemoryProvider {
    world: Arc<Mutex<World>>,
    outage: Outage,
}

impl MemoryProvider {
    /// One that accepts these keys.
    pub fn accepting(keys: &[&str]) -> Self {
        let provider = Self::default();
        provider.lock().accepted.extend(keys.iter().map(|key| (*key).to_owned()));
        provider
    }

    /// The same provider, whose calls fail when this outage says so.
    #[must_use]
    pub fn seen_through(&self, outage: Outage) -> Self {
        Self { outage, ..self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts a key from now on.
    pub fn accept(&self, key: &str) {
        self.lock().accepted.insert(key.to_owned());
    }

    /// Accepts it no more.
    pub fn revoke_key(&self, key: &str) {
        self.lock().accepted.remove(key);
    }

    /// Whether it does.
    pub fn accepts(&self, key: &str) -> bool {
        self.lock().accepted.contains(key)
    }

    /// How often a key was tried and found good.
    pub fn tested(&self, key: &str) -> u32 {
        self.lock().tested.get(key).copied().unwrap_or(0)
    }

    /// How many trials there were.
    pub fn trials(&self) -> u64 {
        self.lock().trials
    }

    /// Whether it answers.
    pub fn set_down(&self, is_down: bool) {
        self.lock().is_down = is_down;
    }

    /// What the next trials meet.
    pub fn next(&self, verdicts: &[Verdict]) {
        self.lock().next.extend(verdicts.iter().rev());
    }

    /// Whether the keys that its API makes are good.
    pub fn set_mints_bad(&self, mints_bad: bool) {
        self.lock().mints_bad = mints_bad;
    }

    /// Whether its API knows nothing of the keys that it made, as that of another project.
    pub fn set_forgetful(&self, is_forgetful: bool) {
        self.lock().is_forgetful = is_forgetful;
    }

    /// The value of a key that its API has made.
    pub fn minted(&self, id: &str) -> Option<String> {
        self.lock().minted.get(id).cloned()
    }
}

#[async_trait]
impl Canary for MemoryProvider {
    async fn try_key(&self, key: &ApiKey, trial: Trial, _: &Context) -> Verdict {
        let Ok(answer) = self.outage.call("canary").await else { return Verdict::Unclear("down") };
        let mut world = self.lock();
        world.trials += 1;
        let verdict = match world.next.pop() {
            Some(verdict) => verdict,
            None if world.is_down => Verdict::Unclear("down"),
            None if world.accepted.contains(key.expose()) => Verdict::Good,
            None => Verdict::Refused("bad_key"),
        };
        if verdict == Verdict::Good && trial == Trial::Whole {
            *world.tested.entry(key.expose().to_owned()).or_default() += 1;
        }
        answer.with(verdict).unwrap_or(Verdict::Unclear("timed_out"))
    }
}

/// The provider's API for keys: the name of a key is that of the version it comes after, so that making it twice makes one.
#[async_trait]
impl KeySource for MemoryProvider {
    async fn offer(&self, after: Option<&KeyVersion>) -> Result<KeyBody, SourceError> {
        let answer = self.outage.call("CreateKey").await?;
        let mut world = self.lock();
        let after: String = after.map_or_else(String::new, |version| version.0.chars().take(40).collect());
        let name =
            (0..1_000).map(|n| format!("minted-{after}-{n}")).find(|name| !world.deleted.contains(name)).unwrap_or_default();
        if !world.minted.contains_key(&name) {
            let value = format!("value-of-{name}");
            world.minted.insert(name.clone(), value.clone());
            if !world.mints_bad {
                world.accepted.insert(value);
            }
        }
        let body = KeyBody { key: ApiKey::new(&world.minted[&name]), id: Label::parse(&name).ok() };
        Ok(answer.with(body)?)
    }

    async fn taken(&self, _: &Label) -> Result<(), SourceError> {
        Ok(())
    }

    async fn refused(&self, id: &Label, _: Timestamp) -> Result<(), SourceError> {
        let answer = self.outage.call("PatchKey").await?;
        self.lock().deleted.insert(id.as_str().to_owned());
        Ok(answer.with(())?)
    }

    async fn revoke(&self, id: &Label) -> Result<Revocation, SourceError> {
        let answer = self.outage.call("DeleteKey").await?;
        let mut world = self.lock();
        let Some(value) = world.minted.get(id.as_str()).cloned() else {
            return Ok(answer.with(Revocation::ByOperator)?);
        };
        if world.is_forgetful {
            return Ok(answer.with(Revocation::Unknown)?);
        }
        world.accepted.remove(&value);
        world.deleted.insert(id.as_str().to_owned());
        Ok(answer.with(Revocation::Done)?)
    }

    async fn depth(&self) -> Result<Option<u32>, SourceError> {
        Ok(None)
    }
}
