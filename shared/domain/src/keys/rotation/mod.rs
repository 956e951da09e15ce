//! How a provider's key is replaced by another. Every step looks at the secret's labels and does what is still missing, so it
//! may be repeated, come in any order, run twice at once or be cut off between any two calls.
//!
//! ```text
//! create   a key from the source -> a version labelled AWSPENDING
//! test     two trials against the provider -> labelled TESTED as well; a key that is refused is given up
//! finish   AWSCURRENT moves from the version that was read to the tested one, or not at all; the old one is AWSPREVIOUS
//! ...      the grace period, in which the old key still works
//! retire   the old one is no longer AWSPREVIOUS; a while later it is revoked and tried until the provider refuses it
//! ```
//!
//! `labels` says what is remembered, `steps` has the way forward, `upkeep` looks after the key in use, `retire` after the one
//! before it, `rollback` has the way back, `stock` what operators see, add and remove.
//!
//! A version that holds something else than a key is as good as one that the provider refuses: nobody can use it, and its text
//! never changes. In use, it is taken back or replaced; being introduced, it is given up.

mod labels;
mod retire;
mod rollback;
mod steps;
mod stock;
mod upkeep;

pub use labels::{TESTED, is_ours};
pub use retire::Retired;
pub use rollback::RollbackReason;
pub use steps::{RotationStep, Trigger};
pub use stock::{Overview, Replaced, Shown};
pub use upkeep::{Checked, Health, Tended};

use super::pool::{KeySource, SourceError};
use super::secret::{KeyBody, ParseKeyBodyError, SecretError, SecretState, SecretStore};
use super::{ApiKey, KeyVersion, RefusalLog, SecretStage};
use crate::alert::{Alert, AlertSink, Severity};
use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Label, Outcome};
use crate::context::Context;
use crate::fault::{Fault, PortError};
use crate::ids::IdSource;
use async_trait::async_trait;
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a key is tried with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// The list of models, which costs nothing.
    List,
    /// That, and one tiny completion by the model that answers questions.
    Whole,
}

/// What came of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The provider did what it was asked.
    Good,
    /// It does not accept the key, or not for this; with its code.
    Refused(&'static str),
    /// Nobody knows: it is down, slow, busy, or there is no money for the trial.
    Unclear(&'static str),
}

/// Tries a key against its provider.
#[async_trait]
pub trait Canary: Send + Sync {
    /// One trial. What fails on the way is a verdict, too.
    async fn try_key(&self, key: &ApiKey, trial: Trial, context: &Context) -> Verdict;
}

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationRules {
    /// After so long a key is replaced.
    pub period: SignedDuration,
    /// So long the key before stays usable.
    pub grace: SignedDuration,
    /// Longer than any run of this code lives, twice over: what one has read is not acted upon after it.
    pub settle: SignedDuration,
    /// So many refusals of the key in use ...
    pub refusals: u32,
    /// ... within this time take it back.
    pub window: SignedDuration,
    /// So few keys in the pool are told of.
    pub depth_low: u32,
}

impl Default for RotationRules {
    fn default() -> Self {
        Self {
            period: SignedDuration::from_hours(30 * 24),
            grace: SignedDuration::from_hours(24),
            settle: SignedDuration::from_mins(15),
            refusals: 3,
            window: SignedDuration::from_mins(15),
            depth_low: 1,
        }
    }
}

/// The rotation of one provider's key.
#[derive(Clone)]
pub struct KeyRotation {
    /// Whose key.
    pub provider: &'static str,
    /// Where it is.
    pub store: Arc<dyn SecretStore>,
    /// Where the next one comes from.
    pub source: Arc<dyn KeySource>,
    /// Tries it.
    pub canary: Arc<dyn Canary>,
    /// What the chat function saw.
    pub refusals: Arc<dyn RefusalLog>,
    /// The audit trail.
    pub audit: Arc<dyn AuditLog>,
    /// Who is told.
    pub alerts: Arc<dyn AlertSink>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
    /// The rules.
    pub rules: RotationRules,
}

/// Why a step ended without doing its work. Each says what to mend; none has moved a stage.
#[derive(Debug, thiserror::Error)]
pub enum RotateKeyError {
    /// There is no such secret.
    #[error("there is no such secret: deploy the stack with the provider chosen")]
    NoSecret,
    /// It is being deleted.
    #[error("the secret is scheduled for deletion: restore it with `aws secretsmanager restore-secret`")]
    DeletedSecret,
    /// The store would never call this.
    #[error("rotation is not enabled on the secret: deploy with KeyRotationBy=secrets-manager, or use `clinchat keys rotate`")]
    NotEnabled,
    /// The version is not of this secret.
    #[error("the secret has no version of this token: start the rotation anew, do not repeat an old event")]
    UnknownToken,
    /// The version is not being introduced.
    #[error("the version of this token is not labelled AWSPENDING: start the rotation anew")]
    NotPending,
    /// What is in the secret is no key.
    #[error(
        "what is {stage} in the secret is not a key and not {{\"api_key\": \"...\"}}: `clinchat keys rotate` replaces it by the next key of \
         the pool, `clinchat keys rollback` by the key before"
    )]
    Malformed {
        /// In which stage.
        stage: &'static str,
    },
    /// The step before has not been done.
    #[error("the version of this token has no key yet: createSecret comes first")]
    NotCreated,
    /// The step before has not been done.
    #[error("the version of this token has not been tested: testSecret comes first")]
    NotTested,
    /// There is no key to go back to.
    #[error("there is no previous key to go back to: put the next one into use with `clinchat keys rotate`")]
    NoPrevious,
    /// The source offers the key that is in use.
    #[error(
        "the next key is the one in use: take it out with `clinchat keys remove` (`keys status` names it first) and add another with \
         `clinchat keys add`"
    )]
    SameKey,
    /// The provider does not accept the key. It was given up.
    #[error("the provider refuses the key ({code}): it was taken out; add another with `clinchat keys add`")]
    Refused {
        /// What it said.
        code: &'static str,
    },
    /// The provider does not accept the key that was tried, and that is all that happened.
    #[error("the provider refuses the key ({code}): nothing was changed")]
    NotAccepted {
        /// What it said.
        code: &'static str,
    },
    /// Keys are made by the provider's API, so that nothing would ever read the pool.
    #[error(
        "keys of this provider are made when they are needed (MintGeminiKeys=on), and nothing reads its pool: `clinchat keys rotate` makes \
         one; to use keys of your own, deploy with MintGeminiKeys=off first"
    )]
    NotPooled,
    /// Nobody knows whether the key is good. It is tried again later.
    #[error("the key could not be tried ({code}): it is kept, and tried again with the next check")]
    Postponed {
        /// Why.
        code: &'static str,
    },
    /// Nobody knows whether the key is good, and it was not taken.
    #[error("the key could not be tried ({code}): it was not taken; add it again later")]
    NotTried {
        /// Why.
        code: &'static str,
    },
    /// Somebody else moved the stages meanwhile.
    #[error("somebody else was faster; what is there is sound")]
    Raced,
    /// No next key.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store would not.
    #[error(transparent)]
    Store(SecretError),
    /// The audit trail or the alerts failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<SecretError> for RotateKeyError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Missing => Self::NoSecret,
            SecretError::Deleted => Self::DeletedSecret,
            SecretError::Moved | SecretError::Taken => Self::Raced,
            other => Self::Store(other),
        }
    }
}

impl RotateKeyError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoSecret | Self::UnknownToken => Fault::Missing,
            Self::Postponed { .. } | Self::NotTried { .. } | Self::Raced => Fault::Transient,
            Self::Source(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Port(error) => error.fault(),
            _ => Fault::Conflict,
        }
    }

    /// A code for metrics and answers.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSecret => "no_secret",
            Self::DeletedSecret => "deleted_secret",
            Self::NotEnabled => "not_enabled",
            Self::UnknownToken => "unknown_token",
            Self::NotPending => "not_pending",
            Self::Malformed { .. } => "malformed",
            Self::NotCreated => "not_created",
            Self::NotTested => "not_tested",
            Self::NoPrevious => "no_previous",
            Self::SameKey => "same_key",
            Self::Refused { .. } => "refused",
            Self::NotAccepted { .. } => "not_accepted",
            Self::NotPooled => "not_pooled",
            Self::NotTried { .. } => "not_tried",
            Self::Postponed { .. } => "postponed",
            Self::Raced => "raced",
            Self::Source(SourceError::EmptyPool) => "empty_pool",
            Self::Source(_) => "no_source",
            Self::Store(_) | Self::Port(_) => "store",
        }
    }
}

impl KeyRotation {
    /// The secret as it is; not one that is being deleted.
    async fn state(&self) -> Result<SecretState, RotateKeyError> {
        let state = self.store.describe().await?;
        if state.is_deleted { Err(RotateKeyError::DeletedSecret) } else { Ok(state) }
    }

    /// The key of a version; nothing if it has no text.
    async fn body(&self, version: &KeyVersion, stage: &'static str) -> Result<Option<KeyBody>, RotateKeyError> {
        let Some(text) = self.store.read(version).await? else { return Ok(None) };
        KeyBody::parse(&text).map(Some).map_err(|ParseKeyBodyError| RotateKeyError::Malformed { stage })
    }

    /// The key of a version; nothing as well if what is there is no key.
    async fn key_in(&self, version: &KeyVersion) -> Result<Option<KeyBody>, RotateKeyError> {
        match self.body(version, "AWSCURRENT").await {
            Err(RotateKeyError::Malformed { .. }) => Ok(None),
            other => other,
        }
    }

    /// The key in use; nothing before there was one, or if what is there is no key.
    async fn current(&self, state: &SecretState) -> Result<Option<KeyBody>, RotateKeyError> {
        match state.in_stage(SecretStage::Current) {
            None => Ok(None),
            Some(version) => self.key_in(version).await,
        }
    }

    /// Tries a key twice: what works once may be on its way out.
    async fn twice(&self, key: &ApiKey, context: &Context) -> Verdict {
        match self.canary.try_key(key, Trial::Whole, context).await {
            Verdict::Good => self.canary.try_key(key, Trial::Whole, context).await,
            other => other,
        }
    }

    /// An event about a version of this secret: by the key's name, never by its value.
    fn event(
        &self,
        context: &Context,
        kind: EventType,
        version: &KeyVersion,
        id: Option<&Label>,
        outcome: Outcome,
    ) -> AuditEvent {
        let secret = format!("{}-key", self.provider);
        // Providers' names are labels; the default is never met.
        let entity = Label::parse(&secret).map_or_else(|_| Entity::Documents(context.tenant.clone()), Entity::Secret);
        let event = AuditEvent::new(self.ids.as_ref(), context, kind, entity, outcome);
        let version = Label::parse(&version.0.to_ascii_lowercase()).ok();
        let details = [("version", version), ("key", id.cloned())];
        let details = details.into_iter().filter_map(|(name, label)| Some((name, label?)));
        details.fold(event, |event, (name, label)| event.with(name, AuditValue::Label(label)))
    }

    /// Tells operators; a message about the same thing on the same day is the same message.
    async fn tell(
        &self,
        context: &Context,
        kind: &'static str,
        severity: Severity,
        headline: String,
        id: Option<&Label>,
    ) -> Result<(), PortError> {
        self.tell_of(context, (kind, id.map_or("", Label::as_str)), severity, headline, id).await
    }

    /// The same about something that has another name than the key's.
    async fn tell_of(
        &self,
        context: &Context,
        (kind, name): (&'static str, &str),
        severity: Severity,
        headline: String,
        id: Option<&Label>,
    ) -> Result<(), PortError> {
        let day = context.now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let mut facts = BTreeMap::from([("provider", AuditValue::Code(self.provider))]);
        if let Some(id) = id {
            facts.insert("key", AuditValue::Label(id.clone()));
        }
        let alert = Alert {
            kind: kind.to_owned(),
            severity,
            headline,
            facts,
            runbook: format!("docs/runbook.md#{}", kind.replace('_', "-")),
            dedupe_key: format!("{kind}/{}/{name}/{day}", self.provider),
            at: context.now,
        };
        self.alerts.publish(&alert).await
    }
}
