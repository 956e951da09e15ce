//! What becomes of a key that was replaced: a day of grace, then it is revoked, and tried until the provider refuses it.

use super::labels::{replaced_since, revoking, revoking_since};
use super::{KeyRotation, RotateKeyError, Severity, TESTED, Trial, Verdict};
use crate::audit::{AuditValue, EventType, Outcome};
use crate::context::Context;
use crate::keys::pool::{Revocation, is_generated};
use crate::keys::secret::{KeyBody, SecretError, SecretState, VersionState};
use crate::keys::{KeyVersion, SecretStage};
use jiff::SignedDuration;

const CURRENT: &str = SecretStage::Current.as_str();
const PENDING: &str = SecretStage::Pending.as_str();
const PREVIOUS: &str = SecretStage::Previous.as_str();

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

impl KeyRotation {
    /// Retires replaced keys whose grace is over, revokes those that were retired a while ago, and tries these until they are
    /// refused. Whoever is on the way back to such a key has read the labels before it was retired, and is over by the time that it
    /// is revoked.
    pub(super) async fn retire(&self, troubles: &mut Vec<RotateKeyError>, context: &Context) -> Result<Retired, RotateKeyError> {
        let mut done = Retired::default();
        let state = self.state().await?;
        for (version, stored) in &state.versions {
            if state.has(version, CURRENT) || state.has(version, PENDING) {
                continue;
            }
            // One that cannot be revoked does not keep the others.
            if let Err(error) = self.retire_one(&state, (version, stored), &mut done, context).await {
                done.waiting += 1;
                troubles.push(error);
            }
        }
        Ok(done)
    }

    async fn retire_one(
        &self,
        state: &SecretState,
        (version, stored): (&KeyVersion, &VersionState),
        done: &mut Retired,
        context: &Context,
    ) -> Result<(), RotateKeyError> {
        let is_over = |since: jiff::Timestamp, wait: SignedDuration| context.now.duration_since(since) >= wait;
        let replaced = stored.labels.iter().find_map(|label| Some((label, replaced_since(label)?)));
        let revoking = stored.labels.iter().find_map(|label| Some((label, revoking_since(label)?)));
        match (replaced, revoking) {
            (Some((label, since)), None) if is_over(since, self.rules.grace) => {
                done.retired += u32::from(self.begin_revoking(state, version, label, context).await?);
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
        Ok(())
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
        let revocation = match &body.id {
            Some(id) => self.source.revoke(id).await?,
            None => Revocation::ByOperator,
        };
        let requested = |outcome| self.event(context, EventType::KeyRevocationRequested, version, body.id.as_ref(), outcome);
        match revocation {
            Revocation::Done => self.audit.append(&requested(Outcome::Success)).await?,
            Revocation::Unknown => {
                let event = requested(Outcome::Failure).with("code", AuditValue::Code("unknown_key"));
                self.audit.append(&event).await?;
            }
            Revocation::ByOperator => {}
        }
        match self.canary.try_key(&body.key, Trial::List, context).await {
            Verdict::Refused(code) => {
                let event = self.event(context, EventType::KeyRevokedConfirmed, version, body.id.as_ref(), Outcome::Success);
                self.audit.append(&event.with("code", AuditValue::Code(code))).await?;
                self.forget(version, label).await?;
                Ok(true)
            }
            Verdict::Good if revocation != Revocation::Done => {
                self.ask_operator(version, &body, revocation, context).await.map(|()| false)
            }
            Verdict::Good | Verdict::Unclear(_) => Ok(false),
        }
    }

    /// Whether the same key is in another version that may be used.
    async fn is_used(&self, state: &SecretState, version: &KeyVersion, body: &KeyBody) -> Result<bool, RotateKeyError> {
        for stage in [CURRENT, PENDING, PREVIOUS] {
            let Some(other) = state.holder(stage).filter(|other| *other != version) else { continue };
            if self.key_in(other).await?.is_some_and(|other| other.key == body.key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the provider has no way to be told, a person has to be.
    async fn ask_operator(
        &self,
        version: &KeyVersion,
        body: &KeyBody,
        revocation: Revocation,
        context: &Context,
    ) -> Result<(), RotateKeyError> {
        let provider = self.provider;
        let which = match &body.id {
            Some(id) if is_generated(id) => format!("that was added here as {} without a name of the console's", id.as_str()),
            Some(id) => id.as_str().to_owned(),
            None => "that was put into the secret by hand, without a name".to_owned(),
        };
        let why = match revocation {
            Revocation::Unknown => " The provider's API knows no such key: it may be another project's.",
            Revocation::Done | Revocation::ByOperator => "",
        };
        let headline = format!(
            "A replaced key of {provider} still works: open the provider's console, revoke the key {which} (version {version}), and \
             nothing else.{why} It is tried every hour; the audit trail says key_revoked_confirmed once it is refused.",
            version = version.0
        );
        Ok(self.tell_of(context, ("key_to_revoke", &version.0), Severity::Warning, headline, body.id.as_ref()).await?)
    }

    /// The version is nobody's business any more.
    async fn forget(&self, version: &KeyVersion, label: &str) -> Result<(), RotateKeyError> {
        self.drop_label(TESTED, version).await?;
        self.drop_label(label, version).await
    }
}
