//! What comes after a rotation: the key that was replaced is retired and revoked, the one in use is looked after.

use super::labels::{replaced_since, revoking, revoking_since};
use super::{KeyRotation, RollbackReason, RotateKeyError, Severity, TESTED, Trial, Verdict};
use crate::audit::{AuditValue, EventType, Label, Outcome};
use crate::context::Context;
use crate::keys::pool::Revocation;
use crate::keys::secret::{KeyBody, SecretError, SecretState};
use crate::keys::{KeyVersion, SecretStage};
use jiff::SignedDuration;

const CURRENT: &str = SecretStage::Current.as_str();
const PENDING: &str = SecretStage::Pending.as_str();
const PREVIOUS: &str = SecretStage::Previous.as_str();
/// So long before a key's last day somebody is told.
const NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What was done about replaced keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retired {
    /// Are not used any more from now on.
    pub retired: u32,
    /// Are refused by the provider: it is over.
    pub confirmed: u32,
    /// Are still accepted: the provider was told, or an operator has to revoke them.
    pub waiting: u32,
}

/// What a daily check has found.
#[derive(Debug)]
pub struct Checked {
    /// How the key is.
    pub health: Health,
    /// What was done about replaced ones.
    pub retired: Retired,
    /// What could not be done. The rest was.
    pub trouble: Option<RotateKeyError>,
}

/// How a key and what comes after it are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Since when the key in use is stored; `None` before there was one.
    pub age: Option<SignedDuration>,
    /// How many keys wait; `None` if as many can be made as are needed.
    pub depth: Option<u32>,
    /// Whether the provider has just accepted the key in use; `None` if nobody knows.
    pub is_accepted: Option<bool>,
}

impl KeyRotation {
    /// Every hour, and when chats report refused keys: ends what was cut off, takes back a key that chats cannot use, retires what
    /// is replaced, and goes on with a rotation that was put off.
    pub async fn tend(&self, context: &Context) -> Result<(bool, Retired), RotateKeyError> {
        let state = self.state().await?;
        self.tidy(&state, context).await?;
        let is_back = self.watch(context).await?;
        let retired = self.retire(context).await?;
        let state = self.state().await?;
        if state.holder(PENDING).is_some_and(|version| !state.has(version, CURRENT)) {
            self.rotate(SignedDuration::ZERO, context).await?;
        }
        Ok((is_back, retired))
    }

    /// Goes back to the key before if chats were refused with this one, often enough, or once and a trial is refused as well.
    async fn watch(&self, context: &Context) -> Result<bool, RotateKeyError> {
        let state = self.state().await?;
        let Some(current) = state.in_stage(SecretStage::Current) else { return Ok(false) };
        let since = context.now.saturating_sub(self.rules.window).unwrap_or(context.now);
        let refusals = self.refusals.count(self.provider, current, since).await?;
        let reason = if refusals == 0 {
            return Ok(false);
        } else if refusals >= self.rules.refusals {
            RollbackReason::Refusals(refusals)
        } else if self.is_dead(&state, context).await? {
            RollbackReason::Trial
        } else {
            // A chat may have used an older key a moment ago.
            return Ok(false);
        };
        match self.roll_back(reason, context).await {
            Ok(_) => Ok(true),
            // Without a key to go back to there may be one to go on to.
            Err(RotateKeyError::NoPrevious | RotateKeyError::Refused { .. }) => {
                Ok(self.is_dead(&state, context).await? && self.replace_dead(context).await?)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the provider refuses the key in use.
    async fn is_dead(&self, state: &SecretState, context: &Context) -> Result<bool, RotateKeyError> {
        let Some(body) = self.current(state).await? else { return Ok(false) };
        Ok(matches!(self.twice(&body.key, context).await, Verdict::Refused(_)))
    }

    /// Every day: all of that, and the age of the key, the depth of the pool, a trial of the key in use, a rotation that is due.
    pub async fn check(&self, context: &Context) -> Result<Checked, RotateKeyError> {
        // What stands still is no reason not to look at the rest.
        let (retired, mut trouble) = match self.tend(context).await {
            Ok((_, retired)) => (retired, None),
            Err(error) => (Retired::default(), Some(error)),
        };
        let state = self.state().await?;
        let age = state.in_stage(SecretStage::Current).and_then(|version| state.versions.get(version));
        let age = age.map(|version| context.now.duration_since(version.created));
        let is_accepted = match self.current(&state).await? {
            None => None,
            Some(body) => match self.canary.try_key(&body.key, Trial::Whole, context).await {
                Verdict::Good => Some(true),
                Verdict::Unclear(_) => None,
                Verdict::Refused(_) => Some(false),
            },
        };
        if is_accepted == Some(false) {
            match self.roll_back(RollbackReason::Trial, context).await {
                Ok(_) => {}
                Err(RotateKeyError::NoPrevious | RotateKeyError::Refused { .. }) => {
                    trouble = self.replace_dead(context).await.err().or(trouble);
                }
                Err(error) => trouble = Some(error),
            }
        } else if age.is_some_and(|age| age >= self.rules.period) && trouble.is_none() {
            trouble = self.rotate(SignedDuration::ZERO, context).await.err();
        }
        let depth = self.source.depth().await?;
        if let Some(depth) = depth.filter(|depth| *depth <= self.rules.depth_low) {
            let headline = format!(
                "The pool of {} has {depth} key(s) left. Make keys in the provider's console and add them with `clinchat keys add {}`.",
                self.provider, self.provider
            );
            self.tell(context, "key_pool_low", Severity::Warning, headline, None).await?;
        }
        if age.is_some_and(|age| age + NOTICE >= self.rules.period && age < self.rules.period) && depth == Some(0) {
            let headline = format!("The key of {} comes of age within a week, and there is none to follow it.", self.provider);
            self.tell(context, "key_age", Severity::Warning, headline, None).await?;
        }
        if age.is_some_and(|age| age > self.rules.period + SignedDuration::from_hours(24)) {
            let headline = format!("The key of {} is past its age and could not be replaced.", self.provider);
            self.tell(context, "key_age", Severity::Critical, headline, None).await?;
        }
        Ok(Checked { health: Health { age, depth, is_accepted }, retired, trouble })
    }

    /// The key in use is dead and there is none before it: the next one is taken at once. `true` if there was one.
    async fn replace_dead(&self, context: &Context) -> Result<bool, RotateKeyError> {
        match self.rotate(SignedDuration::ZERO, context).await {
            Ok(_) => Ok(true),
            Err(error @ (RotateKeyError::Port(_) | RotateKeyError::Store(_) | RotateKeyError::Raced)) => Err(error),
            Err(error) => {
                let headline = format!(
                    "No key of {} works: answers come from the other provider or are quoted. Add a key with `clinchat keys add {}`, then \
                     `clinchat keys rotate {}`.",
                    self.provider, self.provider, self.provider
                );
                self.tell(context, "key_none_works", Severity::Critical, headline, None).await?;
                Err(error)
            }
        }
    }

    /// Retires replaced keys whose grace is over, revokes those that were retired a while ago, and tries these until they are
    /// refused. Whoever is on the way back to such a key has read the labels before it was retired, and is over by the time that it
    /// is revoked.
    pub async fn retire(&self, context: &Context) -> Result<Retired, RotateKeyError> {
        let mut done = Retired::default();
        let state = self.state().await?;
        let is_over = |since: jiff::Timestamp, wait: SignedDuration| context.now.duration_since(since) >= wait;
        for (version, stored) in &state.versions {
            if state.has(version, CURRENT) || state.has(version, PENDING) {
                continue;
            }
            let replaced = stored.labels.iter().find_map(|label| Some((label, replaced_since(label)?)));
            let revoking = stored.labels.iter().find_map(|label| Some((label, revoking_since(label)?)));
            match (replaced, revoking) {
                (Some((label, since)), None) if is_over(since, self.rules.grace) => {
                    done.retired += u32::from(self.begin_revoking(&state, version, label, context).await?);
                }
                // Cut off between the two labels: the later one counts.
                (Some((label, _)), Some(_)) => self.drop_label(label, version).await?,
                (None, Some((label, since))) if is_over(since, self.rules.settle) => {
                    if self.revoke(version, label, context).await? {
                        done.confirmed += 1;
                    } else {
                        done.waiting += 1;
                    }
                }
                _ => {}
            }
        }
        Ok(done)
    }

    /// From here on nobody goes back to this version.
    async fn begin_revoking(
        &self,
        state: &SecretState,
        version: &KeyVersion,
        label: &str,
        context: &Context,
    ) -> Result<bool, RotateKeyError> {
        if state.has(version, PREVIOUS) {
            match self.store.move_label(PREVIOUS, Some(version), None).await {
                Ok(()) => {}
                // It is in use again, or something newer has taken its place: the next look tells.
                Err(SecretError::Moved | SecretError::Missing) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        let id = self.body(version, "AWSPREVIOUS").await.ok().flatten().and_then(|body| body.id);
        self.audit.append(&self.event(context, EventType::KeyRetired, version, id.as_ref(), Outcome::Success)).await?;
        match self.store.move_label(&revoking(version, context.now), None, Some(version)).await {
            Ok(()) => {}
            Err(SecretError::Moved | SecretError::Missing) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.drop_label(label, version).await?;
        Ok(true)
    }

    /// Has the key revoked and tries it; `true` once the provider refuses it.
    async fn revoke(&self, version: &KeyVersion, label: &str, context: &Context) -> Result<bool, RotateKeyError> {
        // Looked at anew: what is in use again is not revoked.
        let state = self.state().await?;
        if [CURRENT, PENDING, PREVIOUS].iter().any(|stage| state.has(version, stage)) || !state.has(version, label) {
            return Ok(false);
        }
        let body = match self.body(version, "AWSPREVIOUS").await {
            Ok(Some(body)) => body,
            // No key, nothing to revoke.
            Ok(None) | Err(RotateKeyError::Malformed { .. }) => {
                self.forget(version, label).await?;
                return Ok(true);
            }
            // One that cannot be read just now is no less alive.
            Err(error) => return Err(error),
        };
        // It is revoked once that is over.
        if self.is_used(&state, version, &body).await? {
            return Ok(false);
        }
        let by_api = match &body.id {
            Some(id) => self.source.revoke(id).await? == Revocation::Done,
            None => false,
        };
        if by_api {
            let kind = EventType::KeyRevocationRequested;
            self.audit.append(&self.event(context, kind, version, body.id.as_ref(), Outcome::Success)).await?;
        }
        match self.canary.try_key(&body.key, Trial::List, context).await {
            Verdict::Refused(code) => {
                let event = self.event(context, EventType::KeyRevokedConfirmed, version, body.id.as_ref(), Outcome::Success);
                self.audit.append(&event.with("code", AuditValue::Code(code))).await?;
                self.forget(version, label).await?;
                Ok(true)
            }
            Verdict::Good if !by_api => self.ask_operator(version, &body, context).await.map(|()| false),
            Verdict::Good | Verdict::Unclear(_) => Ok(false),
        }
    }

    /// Whether the same key is in another version that may be used.
    async fn is_used(&self, state: &SecretState, version: &KeyVersion, body: &KeyBody) -> Result<bool, RotateKeyError> {
        for stage in [CURRENT, PENDING, PREVIOUS] {
            let Some(other) = state.holder(stage).filter(|other| *other != version) else { continue };
            if self.body(other, stage).await?.is_some_and(|other| other.key == body.key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the provider has no way to be told, a person has to be.
    async fn ask_operator(&self, version: &KeyVersion, body: &KeyBody, context: &Context) -> Result<(), RotateKeyError> {
        let (provider, name) = (self.provider, body.id.as_ref().map_or("that is not named", Label::as_str));
        let headline = format!(
            "A replaced key of {provider} still works: open the provider's console, revoke the key {name} (version {version}), and \
             nothing else. It is tried every hour; the audit trail says key_revoked_confirmed once it is refused.",
            version = version.0
        );
        Ok(self.tell(context, "key_to_revoke", Severity::Warning, headline, body.id.as_ref()).await?)
    }

    /// The version is nobody's business any more.
    async fn forget(&self, version: &KeyVersion, label: &str) -> Result<(), RotateKeyError> {
        self.drop_label(TESTED, version).await?;
        self.drop_label(label, version).await
    }
}
