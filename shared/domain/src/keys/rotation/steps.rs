//! The way forward: create, set, test, finish.

use super::{KeyRotation, RotateKeyError, Severity, TESTED, Verdict};
use crate::audit::{AuditEvent, AuditValue, EventType, Intent, Label, Outcome};
use crate::context::Context;
use crate::keys::secret::{KeyBody, SecretError, SecretState};
use crate::keys::{KeyVersion, SecretStage};
use crate::text::hexadecimal;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};

/// A step, by the names of Secrets Manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationStep {
    /// Store a new key beside the one in use.
    Create,
    /// Make it known to the provider. Nothing is to be done: a key comes from there.
    Set,
    /// Try it.
    Test,
    /// Use it.
    Finish,
}

impl RotationStep {
    /// In their order.
    pub const ALL: [Self; 4] = [Self::Create, Self::Set, Self::Test, Self::Finish];

    /// The name in an event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }

    /// Reads the name in an event.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == name)
    }
}

/// Who asks for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The store itself, which has made the version beforehand.
    Store,
    /// Our own schedule or an operator.
    Ours,
}

const CURRENT: &str = SecretStage::Current.as_str();
const PENDING: &str = SecretStage::Pending.as_str();
const PREVIOUS: &str = SecretStage::Previous.as_str();

impl KeyRotation {
    /// One step for the version of a token.
    pub async fn step(
        &self,
        step: RotationStep,
        token: &KeyVersion,
        trigger: Trigger,
        context: &Context,
    ) -> Result<(), RotateKeyError> {
        let state = self.state().await?;
        if trigger == Trigger::Store && !state.is_rotation_enabled {
            return Err(RotateKeyError::NotEnabled);
        }
        let is_known = state.versions.contains_key(token);
        if !is_known && (trigger == Trigger::Store || step != RotationStep::Create) {
            return Err(RotateKeyError::UnknownToken);
        }
        if state.has(token, CURRENT) {
            // Done before; perhaps not to its very end.
            return self.tidy(&state, context).await;
        }
        if is_known && !state.has(token, PENDING) && (trigger == Trigger::Store || step != RotationStep::Create) {
            return Err(RotateKeyError::NotPending);
        }
        match step {
            RotationStep::Create => self.create(&state, token, context).await,
            RotationStep::Set => match self.store.read(token).await? {
                None => Err(RotateKeyError::NotCreated),
                Some(_) => Ok(()),
            },
            RotationStep::Test => self.test(&state, token, context).await,
            RotationStep::Finish => self.finish(&state, token, context).await,
        }
    }

    /// All steps: goes on with a rotation that was begun, or begins one. Twice at once is one rotation, because both use the same
    /// token for the same next key. A key that is younger than `not_before` is left alone: a schedule's event may come twice.
    pub async fn rotate(&self, not_before: SignedDuration, context: &Context) -> Result<Option<KeyVersion>, RotateKeyError> {
        let state = self.state().await?;
        self.tidy(&state, context).await?;
        let pending = state.in_stage(SecretStage::Pending).filter(|version| !state.has(version, CURRENT));
        let token = if let Some(version) = pending {
            version.clone()
        } else {
            let current = state.in_stage(SecretStage::Current);
            let created = current.and_then(|version| state.versions.get(version)).map(|version| version.created);
            if created.is_some_and(|created| context.now.duration_since(created) < not_before) {
                return Ok(None);
            }
            token_for(current, &self.source.offer(current).await?)
        };
        for step in RotationStep::ALL {
            self.step(step, &token, Trigger::Ours, context).await?;
        }
        Ok(Some(token))
    }

    async fn create(&self, state: &SecretState, token: &KeyVersion, context: &Context) -> Result<(), RotateKeyError> {
        // What is in use is looked at first: with a secret that nobody can read nothing is begun.
        let current = self.current(state).await?;
        let stored = if let Some(stored) = self.body(token, "AWSPENDING").await? {
            stored
        } else {
            let offer = self.source.offer(state.in_stage(SecretStage::Current)).await?;
            self.refuse_same(current.as_ref(), &offer, context).await?;
            match self.store.put(token, &offer.text(), PENDING).await {
                Ok(()) => offer,
                // Somebody put another key under this token a moment ago.
                Err(SecretError::Taken) => self.body(token, "AWSPENDING").await?.ok_or(RotateKeyError::Raced)?,
                Err(error) => return Err(error.into()),
            }
        };
        if current.as_ref().is_some_and(|current| current.key == stored.key) {
            // Another rotation has brought this key into use since it was stored here: this one has nothing left to do.
            self.drop_label(PENDING, token).await?;
            return Err(RotateKeyError::SameKey);
        }
        let now = self.state().await?;
        if !now.has(token, PENDING) && !now.has(token, CURRENT) {
            if now.versions.contains_key(token) {
                // Others have finished with it, or given it up: it is replaced, or being revoked.
                return Err(RotateKeyError::Raced);
            }
            // The same text was stored before, and its labels are gone.
            self.store.move_label(PENDING, now.holder(PENDING), Some(token)).await?;
        }
        let created = self.event(context, EventType::KeyRotationCreated, token, stored.id.as_ref(), Outcome::Success);
        Ok(self.audit.append(&created).await?)
    }

    /// The key in use is no new one. What offers it under another name is an operator's mistake; under the same name it is our own
    /// rotation that was cut off before it said that the key is taken.
    async fn refuse_same(&self, current: Option<&KeyBody>, offer: &KeyBody, context: &Context) -> Result<(), RotateKeyError> {
        let Some(current) = current.filter(|current| current.key == offer.key) else { return Ok(()) };
        if let Some(id) = offer.id.as_ref().filter(|id| current.id.as_ref() == Some(*id)) {
            self.source.taken(id).await?;
            return Err(RotateKeyError::Raced);
        }
        let headline = format!(
            "The next key in the pool of {} is the one in use: nothing is rotated until it is removed from the pool.",
            self.provider
        );
        self.tell(context, "key_rotation_failed", Severity::Warning, headline, offer.id.as_ref()).await?;
        Err(RotateKeyError::SameKey)
    }

    async fn test(&self, state: &SecretState, token: &KeyVersion, context: &Context) -> Result<(), RotateKeyError> {
        let body = self.body(token, "AWSPENDING").await?.ok_or(RotateKeyError::NotCreated)?;
        let created = state.versions.get(token).map_or(context.now, |version| version.created);
        let is_young = context.now.duration_since(created) < self.source.propagation();
        let verdict = match self.twice(&body.key, context).await {
            Verdict::Refused(_) if is_young => Verdict::Unclear("too_young"),
            verdict => verdict,
        };
        let outcome = if verdict == Verdict::Good { Outcome::Success } else { Outcome::Failure };
        let tested = self.event(context, EventType::KeyRotationTested, token, body.id.as_ref(), outcome);
        match verdict {
            Verdict::Good => {
                self.audit.append(&tested).await?;
                if !state.has(token, TESTED) {
                    self.store.move_label(TESTED, state.holder(TESTED), Some(token)).await?;
                }
                Ok(())
            }
            Verdict::Unclear(code) => {
                self.audit.append(&tested.with("code", AuditValue::Code(code))).await?;
                Err(RotateKeyError::Postponed { code })
            }
            Verdict::Refused(code) => {
                self.audit.append(&tested.with("code", AuditValue::Code(code))).await?;
                self.give_up(token, &body, code, context).await?;
                Err(RotateKeyError::Refused { code })
            }
        }
    }

    /// Ends a rotation whose key is no good. The labels go last: until then the next attempt finds the key and gives it up again.
    async fn give_up(
        &self,
        token: &KeyVersion,
        body: &KeyBody,
        code: &'static str,
        context: &Context,
    ) -> Result<(), RotateKeyError> {
        if let Some(id) = &body.id {
            self.source.refused(id, context.now).await?;
        }
        let failed = self.event(context, EventType::KeyRotationFailed, token, body.id.as_ref(), Outcome::Failure);
        self.audit.append(&failed.with("code", AuditValue::Code(code))).await?;
        let headline = format!(
            "A new key of {} is refused and was taken out of the pool. The old one stays in use. Add another with `clinchat keys add`.",
            self.provider
        );
        self.tell(context, "key_rotation_failed", Severity::Critical, headline, body.id.as_ref()).await?;
        // Revoked like any other that is not used, and not at once: another run may have found it good and be about to use it.
        match self.store.move_label(&super::labels::revoking(token, context.now), None, Some(token)).await {
            Ok(()) | Err(SecretError::Moved | SecretError::Missing) => {}
            Err(error) => return Err(error.into()),
        }
        self.drop_label(TESTED, token).await?;
        self.drop_label(PENDING, token).await
    }

    /// Takes a label off a version. That it is not there is as good.
    pub(super) async fn drop_label(&self, label: &str, version: &KeyVersion) -> Result<(), RotateKeyError> {
        match self.store.move_label(label, Some(version), None).await {
            Ok(()) | Err(SecretError::Moved | SecretError::Missing) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn finish(&self, state: &SecretState, token: &KeyVersion, context: &Context) -> Result<(), RotateKeyError> {
        // A version's text never changes, so what was tested once is what is moved now.
        if !state.has(token, TESTED) {
            return Err(RotateKeyError::NotTested);
        }
        let body = self.body(token, "AWSPENDING").await?.ok_or(RotateKeyError::NotCreated)?;
        if self.current(state).await?.is_some_and(|current| current.key == body.key) {
            // Another rotation has brought the same key meanwhile: two versions of it would be one too many.
            self.drop_label(PENDING, token).await?;
            return Err(RotateKeyError::SameKey);
        }
        // The version that is AWSPREVIOUS loses that label: it must be labelled as replaced first, or nobody would revoke it.
        self.tidy(state, context).await?;
        let event = self.event(context, EventType::KeyRotationFinished, token, body.id.as_ref(), Outcome::Intended);
        let intent = Intent::write(self.audit.as_ref(), event).await?;
        // Only from the version that was looked at.
        match self.store.move_label(CURRENT, state.holder(CURRENT), Some(token)).await {
            Ok(()) => {}
            Err(error) => {
                intent.end(self.audit.as_ref(), self.ids.as_ref(), context.now, Outcome::Failure).await?;
                return Err(error.into());
            }
        }
        let ended = intent.outcome(self.ids.as_ref(), context.now, Outcome::Success);
        let state = self.state().await?;
        self.complete(&state, token, body.id.as_ref(), ended, context).await
    }

    /// What follows the move of AWSCURRENT. AWSPENDING goes last: where both are on one version, this was cut off.
    async fn complete(
        &self,
        state: &SecretState,
        token: &KeyVersion,
        id: Option<&Label>,
        ended: AuditEvent,
        context: &Context,
    ) -> Result<(), RotateKeyError> {
        self.mark_previous(state, context).await?;
        if let Some(id) = id {
            self.source.taken(id).await?;
        }
        self.audit.append(&ended).await?;
        self.drop_label(PENDING, token).await
    }

    /// Ends what was cut off: a promotion that was not completed, a replaced version without its label, labels that the version
    /// in use must not have.
    pub(super) async fn tidy(&self, state: &SecretState, context: &Context) -> Result<(), RotateKeyError> {
        self.mark_previous(state, context).await?;
        let Some(current) = state.in_stage(SecretStage::Current) else { return Ok(()) };
        let labels = state.versions.get(current).map(|version| version.labels.clone()).unwrap_or_default();
        for label in labels.iter().filter(|label| super::is_ours(label)) {
            self.drop_label(label, current).await?;
        }
        if labels.contains(PENDING) {
            let id = self.body(current, "AWSCURRENT").await?.and_then(|body| body.id);
            let ended = self.event(context, EventType::KeyRotationFinished, current, id.as_ref(), Outcome::Success);
            self.complete(state, current, id.as_ref(), ended, context).await?;
        }
        Ok(())
    }

    /// Begins the grace period of the version that was in use before, if that has not begun.
    async fn mark_previous(&self, state: &SecretState, context: &Context) -> Result<(), RotateKeyError> {
        let Some(previous) = state.holder(PREVIOUS).filter(|version| !state.has(version, CURRENT)) else { return Ok(()) };
        let is_marked = state.versions.get(previous).is_some_and(|version| version.labels.iter().any(|l| super::is_ours(l)));
        if is_marked {
            return Ok(());
        }
        let label = super::labels::replaced(previous, context.now);
        match self.store.move_label(&label, None, Some(previous)).await {
            // It has gone meanwhile, or somebody else has labelled it.
            Ok(()) | Err(SecretError::Moved | SecretError::Missing) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The token of a rotation that we begin: the same for whoever replaces the same version by the same key. In the form of a UUID,
/// as the store's own.
fn token_for(current: Option<&KeyVersion>, offer: &KeyBody) -> KeyVersion {
    let mut hasher = Sha256::new();
    hasher.update("clinchat key rotation\n");
    hasher.update(current.map_or("", |version| version.0.as_str()));
    hasher.update("\n");
    hasher.update(offer.id.as_ref().map_or("", Label::as_str));
    let hex = hexadecimal(&hasher.finalize()[..16]);
    KeyVersion(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
