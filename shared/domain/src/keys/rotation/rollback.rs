//! The way back: the key before is put into use again, if the provider still accepts it.

use super::{KeyRotation, RotateKeyError, Severity, Verdict};
use crate::audit::{AuditValue, EventType, Intent, Outcome};
use crate::context::Context;
use crate::keys::{KeyVersion, SecretStage};

/// Why a key is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollbackReason {
    /// Chats were refused with it, so often.
    Refusals(u32),
    /// A trial was refused.
    Trial,
    /// What is in use is no key.
    Malformed,
    /// An operator says so.
    Operator,
}

impl RollbackReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Refusals(_) => "refusals",
            Self::Trial => "trial",
            Self::Malformed => "malformed",
            Self::Operator => "operator",
        }
    }
}

impl KeyRotation {
    /// Goes back to the key before. It is tried first: a dead key is not put in the place of another dead one.
    pub async fn roll_back(&self, reason: RollbackReason, context: &Context) -> Result<KeyVersion, RotateKeyError> {
        let state = self.state().await?;
        let current = state.in_stage(SecretStage::Current).ok_or(RotateKeyError::NoPrevious)?;
        let previous = state.in_stage(SecretStage::Previous).filter(|version| *version != current);
        let previous = previous.ok_or(RotateKeyError::NoPrevious)?;
        let body = self.key_in(previous).await?.ok_or(RotateKeyError::NoPrevious)?;
        match self.twice(&body.key, context).await {
            Verdict::Good => {}
            Verdict::Refused(code) => return Err(RotateKeyError::NotAccepted { code }),
            Verdict::Unclear(code) => return Err(RotateKeyError::Postponed { code }),
        }
        let mut event = self.event(context, EventType::KeyRolledBack, previous, body.id.as_ref(), Outcome::Intended);
        event = event.with("reason", AuditValue::Code(reason.as_str()));
        if let RollbackReason::Refusals(refusals) = reason {
            event = event.with("refusals", AuditValue::Count(refusals.into()));
        }
        // What is replaced now may be unreadable; that is one more reason to go back.
        let bad = self.key_in(current).await?.and_then(|body| body.id);
        let headline =
            format!("The key of {} that was put into use last is taken back; the one before it is used.", self.provider);
        let tell = || self.tell_of(context, ("key_rolled_back", &current.0), Severity::Critical, headline.clone(), bad.as_ref());
        // Said first: a run that is cut off between says it twice, which is better than never. Who cannot be told does not keep a dead
        // key in use, and is told after.
        let told = tell().await;
        let intent = Intent::write(self.audit.as_ref(), event).await?;
        // Labelled as tested: it just was. What is taken back is not gone on with.
        self.mark_tested(&state, previous).await?;
        if state.has(current, SecretStage::Pending.as_str()) {
            self.drop_label(SecretStage::Pending.as_str(), current).await?;
        }
        match self.store.move_label(SecretStage::Current.as_str(), Some(current), Some(previous)).await {
            Ok(()) => intent.end(self.audit.as_ref(), self.ids.as_ref(), context.now, Outcome::Success).await?,
            Err(error) => {
                intent.end(self.audit.as_ref(), self.ids.as_ref(), context.now, Outcome::Failure).await?;
                return Err(error.into());
            }
        }
        if let Some(bad) = &bad {
            // So that it is not offered again. A source that is away does not keep a dead key in use: what was used before is passed
            // over by the next rotation as well.
            drop(self.source.refused(bad, context.now).await);
        }
        let after = self.state().await?;
        self.tidy(&after, context).await?;
        if told.is_err() {
            tell().await?;
        }
        Ok(previous.clone())
    }
}
