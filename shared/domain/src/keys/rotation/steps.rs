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
/// So many keys in a row that were used before are passed over.
const OFFERS: u32 = 5;

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
        if let (Trigger::Store, Some(current)) = (trigger, state.in_stage(SecretStage::Current)) {
            // The store is told what is wrong. Our own runs replace it.
            self.body(current, "AWSCURRENT").await?;
        }
        if state.has(token, CURRENT) {
            return match step {
                RotationStep::Test => self.try_current(&state, context).await,
                // Done before; perhaps not to its very end.
                _ => self.tidy(&state, context).await,
            };
        }
        if is_known && !state.has(token, PENDING) && (trigger == Trigger::Store || step != RotationStep::Create) {
            return Err(RotateKeyError::NotPending);
        }
        match step {
            RotationStep::Create => self.create(&state, token, context).await,
            RotationStep::Set => match self.body(token, "AWSPENDING").await? {
                None => Err(RotateKeyError::NotCreated),
                Some(body) => {
                    let set = self.event(context, EventType::KeyRotationSet, token, body.id.as_ref(), Outcome::Success);
                    Ok(self.audit.append(&set).await?)
                }
            },
            RotationStep::Test => self.test(&state, token, context).await,
            RotationStep::Finish => self.finish(&state, token, context).await,
        }
    }

    /// All steps: goes on with a rotation that was begun, or begins one. Twice at once is one rotation, because both use the same
    /// token for the same next key. A key that is younger than `not_before` is left alone: a schedule's event may come twice.
    pub async fn rotate(&self, not_before: SignedDuration, context: &Context) -> Result<Option<KeyVersion>, RotateKeyError> {
        let mut state = self.state().await?;
        self.tidy(&state, context).await?;
        if self.drop_malformed(&state, context).await? {
            state = self.state().await?;
        }
        let pending = state.in_stage(SecretStage::Pending).filter(|version| !state.has(version, CURRENT));
        let token = if let Some(version) = pending {
            version.clone()
        } else {
            let current = state.in_stage(SecretStage::Current);
            let created = current.and_then(|version| state.versions.get(version)).map(|version| version.created);
            if created.is_some_and(|created| context.now.duration_since(created) < not_before) {
                return Ok(None);
            }
            token_for(current, &self.next_key(&state, context).await?)
        };
        for step in RotationStep::ALL {
            self.step(step, &token, Trigger::Ours, context).await?;
        }
        Ok(Some(token))
    }

    /// The key that comes next; never one that was in use before, so that what was taken back is not brought again.
    async fn next_key(&self, state: &SecretState, context: &Context) -> Result<KeyBody, RotateKeyError> {
        for _ in 0..OFFERS {
            let offer = self.source.offer(state.in_stage(SecretStage::Current)).await?;
            match &offer.id {
                Some(id) if self.was_used(state, &offer).await? => self.source.refused(id, context.now).await?,
                _ => return Ok(offer),
            }
        }
        Err(RotateKeyError::Raced)
    }

    /// Whether a key is in a version that another one has replaced.
    async fn was_used(&self, state: &SecretState, offer: &KeyBody) -> Result<bool, RotateKeyError> {
        for (version, stored) in &state.versions {
            let is_old = stored.labels.iter().any(|label| label == PREVIOUS || super::is_ours(label));
            let is_in_use = state.has(version, CURRENT) || state.has(version, PENDING);
            if is_old && !is_in_use && self.key_in(version).await?.is_some_and(|body| body.key == offer.key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives up a version that is being introduced and holds no key; `true` if there was one.
    pub(super) async fn drop_malformed(&self, state: &SecretState, context: &Context) -> Result<bool, RotateKeyError> {
        let Some(pending) = state.holder(PENDING).filter(|version| !state.has(version, CURRENT)) else { return Ok(false) };
        match self.body(pending, "AWSPENDING").await {
            Err(RotateKeyError::Malformed { .. }) => {}
            other => return other.map(|_| false),
        }
        let failed = self.event(context, EventType::KeyRotationFailed, pending, None, Outcome::Failure);
        self.audit.append(&failed.with("code", AuditValue::Code("malformed"))).await?;
        let headline = format!(
            "What somebody put beside the key of {} is no key and was given up; nothing was put into use. Add keys with `clinchat keys add`.",
            self.provider
        );
        self.tell_of(context, ("key_rotation_failed", &pending.0), Severity::Warning, headline, None).await?;
        self.drop_label(TESTED, pending).await?;
        self.drop_label(PENDING, pending).await?;
        Ok(true)
    }

    async fn create(&self, state: &SecretState, token: &KeyVersion, context: &Context) -> Result<(), RotateKeyError> {
        // What is in use is looked at first: with a secret that cannot be read nothing is begun.
        let current = self.current(state).await?;
        let stored = if let Some(stored) = self.body(token, "AWSPENDING").await? {
            stored
        } else {
            let offer = self.next_key(state, context).await?;
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
            let is_over = |label: &String| label == PREVIOUS || super::is_ours(label);
            if now.versions.get(token).is_some_and(|version| version.labels.iter().any(is_over)) {
                // Others have finished with it, or given it up: it is replaced, or being revoked.
                return Err(RotateKeyError::Raced);
            }
            // The same text was stored before, and somebody has put another version in its place.
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
            "The next key in the pool of {} is the one in use: nothing is rotated until it is taken out with `clinchat keys remove {} {}`.",
            self.provider,
            self.provider,
            offer.id.as_ref().map_or("--all", Label::as_str)
        );
        self.tell(context, "key_rotation_failed", Severity::Warning, headline, offer.id.as_ref()).await?;
        Err(RotateKeyError::SameKey)
    }

    async fn test(&self, state: &SecretState, token: &KeyVersion, context: &Context) -> Result<(), RotateKeyError> {
        // Empty: a rotation that Secrets Manager tries out when it is switched on.
        let Some(body) = self.body(token, "AWSPENDING").await? else { return self.try_current(state, context).await };
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
                self.mark_tested(state, token).await
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

    /// What is labelled already is left alone: moving a label to where it is is an error to the service.
    pub(super) async fn mark_tested(&self, state: &SecretState, version: &KeyVersion) -> Result<(), RotateKeyError> {
        if !state.has(version, TESTED) {
            self.store.move_label(TESTED, state.holder(TESTED), Some(version)).await?;
        }
        Ok(())
    }

    /// The test of a rotation that brings nothing new: the key in use is tried, and no label is moved. Secrets Manager asks for it
    /// when rotation is switched on for later, with a version that is empty or the one in use, and takes its label off again.
    async fn try_current(&self, state: &SecretState, context: &Context) -> Result<(), RotateKeyError> {
        let current = state.in_stage(SecretStage::Current).ok_or(RotateKeyError::NotCreated)?;
        let body = self.body(current, "AWSCURRENT").await?.ok_or(RotateKeyError::NotCreated)?;
        let (outcome, done) = match self.twice(&body.key, context).await {
            Verdict::Good => (Outcome::Success, Ok(())),
            Verdict::Refused(code) => (Outcome::Failure, Err(RotateKeyError::NotAccepted { code })),
            Verdict::Unclear(code) => (Outcome::Failure, Err(RotateKeyError::Postponed { code })),
        };
        let tested = self.event(context, EventType::KeyRotationTested, current, body.id.as_ref(), outcome);
        self.audit.append(&tested).await?;
        done
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
        // Without the second label it is no promotion of ours: Secrets Manager tries a rotation out, and removes the label itself.
        if labels.contains(PENDING) && labels.contains(TESTED) {
            let id = self.key_in(current).await?.and_then(|body| body.id);
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
