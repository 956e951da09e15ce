//! The way back: the key before is put into use again, if the provider still accepts it.

use super::{KeyRotation, RotateKeyError, Severity, TESTED, Verdict};
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
    /// An operator says so.
    Operator,
}

impl RollbackReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Refusals(_) => "refusals",
            Self::Trial => "trial",
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
        let body = self.body(previous, "AWSPREVIOUS").await?.ok_or(RotateKeyError::NoPrevious)?;
        match self.twice(&body.key, context).await {
            Verdict::Good => {}
            Verdict::Refused(code) => return Err(RotateKeyError::Refused { code }),
            Verdict::Unclear(code) => return Err(RotateKeyError::Postponed { code }),
        }
        let mut event = self.event(context, EventType::KeyRolledBack, previous, body.id.as_ref(), Outcome::Intended);
        event = event.with("reason", AuditValue::Code(reason.as_str()));
        if let RollbackReason::Refusals(refusals) = reason {
            event = event.with("refusals", AuditValue::Count(refusals.into()));
        }
        // What is replaced now may be unreadable; that is one more reason to go back.
        let bad = self.body(current, "AWSCURRENT").await.ok().flatten().and_then(|body| body.id);
        let headline =
            format!("The key of {} that was put into use last is taken back; the one before it is used.", self.provider);
        // Said first: a run that is cut off between says it twice, which is better than never.
        self.tell(context, "key_rolled_back", Severity::Critical, headline, bad.as_ref()).await?;
        let intent = Intent::write(self.audit.as_ref(), event).await?;
        // Labelled as tested: it just was.
        self.store.move_label(TESTED, state.holder(TESTED), Some(previous)).await?;
        match self.store.move_label(SecretStage::Current.as_str(), Some(current), Some(previous)).await {
            Ok(()) => intent.end(self.audit.as_ref(), self.ids.as_ref(), context.now, Outcome::Success).await?,
            Err(error) => {
                intent.end(self.audit.as_ref(), self.ids.as_ref(), context.now, Outcome::Failure).await?;
                return Err(error.into());
            }
        }
        let after = self.state().await?;
        self.tidy(&after, context).await?;
        Ok(previous.clone())
    }
}
