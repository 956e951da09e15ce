//! What looks after the key in use: every few minutes, every hour, every day. What cannot be done is collected and the rest is
//! done: one part that stands still must not keep the others.

use super::retire::Retired;
use super::{KeyRotation, RollbackReason, RotateKeyError, Severity, Trial, Verdict};
use crate::context::Context;
use crate::keys::SecretStage;
use crate::keys::secret::SecretState;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

/// So long before a key's last day somebody is told if there is none to follow it ...
const NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// ... and if there is one. Of a short period, a quarter.
const SHORT_NOTICE: SignedDuration = SignedDuration::from_hours(2 * 24);

/// What was looked after.
#[derive(Debug, Default)]
pub struct Tended {
    /// Whether the key in use was refused and another has taken its place.
    pub is_back: bool,
    /// What was done about replaced ones.
    pub retired: Retired,
    /// What could not be done. The rest was.
    pub troubles: Vec<RotateKeyError>,
}

impl Tended {
    /// What came of a part; nothing if it failed.
    fn part<T>(&mut self, done: Result<T, RotateKeyError>) -> Option<T> {
        done.map_err(|error| self.troubles.push(error)).ok()
    }
}

/// What a daily check has found.
#[derive(Debug)]
pub struct Checked {
    /// How the key is.
    pub health: Health,
    /// What was done on the way.
    pub tended: Tended,
}

/// How a key and what comes after it are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Since when the key in use is stored; `None` before there was one.
    pub age: Option<SignedDuration>,
    /// How many keys wait; `None` if as many can be made as are needed, or if nobody can tell.
    pub depth: Option<u32>,
    /// Whether the provider has just accepted the key in use; `None` if nobody knows.
    pub is_accepted: Option<bool>,
}

impl KeyRotation {
    /// Every few minutes: tends if chats were refused a key lately, and else does nothing, for next to no money. The alarm about
    /// refused keys tells of a change only, and is silent while refusals go on.
    pub async fn watch(&self, context: &Context) -> Result<Option<Tended>, RotateKeyError> {
        if self.refusals.has_any(self.provider, self.window_start(context)).await? {
            return Ok(Some(self.tend(context).await?));
        }
        Ok(None)
    }

    /// Every hour, and when chats report refused keys: takes back a key that chats cannot use, ends what was cut off, retires what
    /// is replaced, and goes on with a rotation that was put off.
    pub async fn tend(&self, context: &Context) -> Result<Tended, RotateKeyError> {
        let mut tended = Tended::default();
        // First, because it needs the store and the provider only: a pool that is away does not keep a dead key in use.
        let state = self.state().await?;
        let is_back = self.take_back(&state, context).await;
        tended.is_back = tended.part(is_back).unwrap_or(false);
        let state = self.state().await?;
        let tidied = self.tidy(&state, context).await;
        tended.part(tidied);
        let retired = self.retire(&mut tended.troubles, context).await;
        tended.retired = tended.part(retired).unwrap_or_default();
        let gone_on = self.go_on(context).await;
        tended.part(gone_on);
        Ok(tended)
    }

    /// Goes on with a rotation that was put off, unless there is no key in it.
    async fn go_on(&self, context: &Context) -> Result<(), RotateKeyError> {
        let state = self.state().await?;
        let pending = state.in_stage(SecretStage::Pending);
        if pending.is_none() || pending == state.in_stage(SecretStage::Current) || self.drop_malformed(&state, context).await? {
            return Ok(());
        }
        self.rotate(SignedDuration::ZERO, context).await.map(drop)
    }

    fn window_start(&self, context: &Context) -> jiff::Timestamp {
        context.now.saturating_sub(self.rules.window).unwrap_or(context.now)
    }

    /// Takes back what chats cannot use: what is no key, or what they were refused with, often enough, or once and a trial is
    /// refused as well.
    async fn take_back(&self, state: &SecretState, context: &Context) -> Result<bool, RotateKeyError> {
        let Some(current) = state.in_stage(SecretStage::Current) else { return Ok(false) };
        if matches!(self.body(current, "AWSCURRENT").await, Err(RotateKeyError::Malformed { .. })) {
            return self.recover(RollbackReason::Malformed, context).await;
        }
        let refusals = self.refusals.count(self.provider, current, self.window_start(context)).await?;
        if refusals >= self.rules.refusals {
            self.recover(RollbackReason::Refusals(refusals), context).await
        } else if refusals > 0 && self.is_dead(context).await? {
            self.recover(RollbackReason::Trial, context).await
        } else {
            // A chat may have used an older key a moment ago.
            Ok(false)
        }
    }

    /// Goes back to the key before, or on to the next one; `true` if another is in use.
    async fn recover(&self, reason: RollbackReason, context: &Context) -> Result<bool, RotateKeyError> {
        match self.roll_back(reason, context).await {
            Ok(_) => Ok(true),
            // Without a key to go back to there may be one to go on to.
            Err(RotateKeyError::NoPrevious | RotateKeyError::NotAccepted { .. }) => {
                Ok(self.is_dead(context).await? && self.replace_dead(context).await?)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the provider refuses the key in use, or there is none in it.
    async fn is_dead(&self, context: &Context) -> Result<bool, RotateKeyError> {
        let state = self.state().await?;
        let Some(body) = self.current(&state).await? else { return Ok(state.in_stage(SecretStage::Current).is_some()) };
        Ok(matches!(self.twice(&body.key, context).await, Verdict::Refused(_)))
    }

    /// The key in use is dead and there is none before it: the next one is taken at once. `true` if there was one.
    async fn replace_dead(&self, context: &Context) -> Result<bool, RotateKeyError> {
        let mut done = self.rotate(SignedDuration::ZERO, context).await;
        if matches!(done, Err(RotateKeyError::Raced)) {
            done = self.rotate(SignedDuration::ZERO, context).await;
        }
        match done {
            Ok(_) => Ok(true),
            Err(error @ (RotateKeyError::Port(_) | RotateKeyError::Store(_))) => Err(error),
            // Whoever was faster has done it.
            Err(RotateKeyError::Raced) if !self.is_dead(context).await? => Ok(true),
            Err(error) => {
                let headline = if matches!(self.source.depth().await, Ok(None)) {
                    format!(
                        "No key of {} works, and no new one could be made: answers come from the other provider or are quoted.",
                        self.provider
                    )
                } else {
                    format!(
                        "No key of {} works: answers come from the other provider or are quoted. Add a key with `clinchat keys add {}`, \
                         then `clinchat keys rotate {}`.",
                        self.provider, self.provider, self.provider
                    )
                };
                self.tell(context, "key_none_works", Severity::Critical, headline, None).await?;
                Err(error)
            }
        }
    }

    /// Every day: all of that, and the age of the key, the depth of the pool, a trial of the key in use, a rotation that is due.
    pub async fn check(&self, context: &Context) -> Result<Checked, RotateKeyError> {
        let mut tended = self.tend(context).await?;
        let is_accepted = self.accepted(context).await;
        let is_accepted = tended.part(is_accepted).flatten();
        if is_accepted == Some(false) {
            let is_back = self.recover(RollbackReason::Trial, context).await;
            tended.is_back |= tended.part(is_back).unwrap_or(false);
        } else {
            let rotated = self.rotate_if_of_age(context).await;
            tended.part(rotated);
        }
        let depth = self.source.depth().await.map_err(RotateKeyError::from);
        // What nobody can tell is not what is made when it is needed.
        let depth = tended.part(depth);
        let age = self.age(context).await;
        let age = tended.part(age).flatten();
        if let Some(depth) = depth {
            let told = self.tell_of_depth(depth, context).await;
            tended.part(told);
        }
        if let Some(age) = age {
            let told = self.tell_of_age(age, depth.flatten(), context).await;
            tended.part(told);
        }
        Ok(Checked { health: Health { age, depth: depth.flatten(), is_accepted }, tended })
    }

    async fn accepted(&self, context: &Context) -> Result<Option<bool>, RotateKeyError> {
        let state = self.state().await?;
        let Some(body) = self.current(&state).await? else {
            // No key at all is none that is refused; something else in its place is.
            return Ok(state.in_stage(SecretStage::Current).map(|_| false));
        };
        Ok(match self.canary.try_key(&body.key, Trial::Whole, context).await {
            Verdict::Good => Some(true),
            Verdict::Unclear(_) => None,
            Verdict::Refused(_) => Some(false),
        })
    }

    async fn age(&self, context: &Context) -> Result<Option<SignedDuration>, RotateKeyError> {
        let state = self.state().await?;
        let current = state.in_stage(SecretStage::Current).and_then(|version| state.versions.get(version));
        Ok(current.map(|version| context.now.duration_since(version.created)))
    }

    /// Replaces a key whose period is over. One that is being replaced has just been gone on with.
    async fn rotate_if_of_age(&self, context: &Context) -> Result<(), RotateKeyError> {
        let is_of_age = self.age(context).await?.is_some_and(|age| age >= self.rules.period);
        let state = self.state().await?;
        let pending = state.in_stage(SecretStage::Pending);
        if is_of_age && (pending.is_none() || pending == state.in_stage(SecretStage::Current)) {
            self.rotate(SignedDuration::ZERO, context).await?;
        }
        Ok(())
    }

    async fn tell_of_depth(&self, depth: Option<u32>, context: &Context) -> Result<(), RotateKeyError> {
        let Some(depth) = depth.filter(|depth| *depth <= self.rules.depth_low) else { return Ok(()) };
        let headline = format!(
            "The pool of {} has {depth} key(s) left. Make keys in the provider's console and add them with `clinchat keys add {} --name NAME`.",
            self.provider, self.provider
        );
        Ok(self.tell(context, "key_pool_low", Severity::Warning, headline, None).await?)
    }

    /// Before a key comes of age, whether there is another or not, and when it is and could not be replaced.
    async fn tell_of_age(&self, age: SignedDuration, depth: Option<u32>, context: &Context) -> Result<(), RotateKeyError> {
        let (provider, left) = (self.provider, self.rules.period - age);
        let quarter = self.rules.period / 4;
        let day = context.now.saturating_add(left).unwrap_or(context.now).to_zoned(TimeZone::UTC).date();
        let (severity, headline) = if left <= SignedDuration::ZERO {
            (
                Severity::Critical,
                format!("The key of {provider} has reached its age and could not be replaced: `clinchat keys status`."),
            )
        } else if depth == Some(0) && left <= NOTICE.min(quarter) {
            (Severity::Warning, format!("The key of {provider} comes of age on {day}, and there is none to follow it."))
        } else if left <= SHORT_NOTICE.min(quarter) {
            (Severity::Notice, format!("The key of {provider} comes of age on {day}, and is replaced then."))
        } else {
            return Ok(());
        };
        Ok(self.tell(context, "key_age", severity, headline, None).await?)
    }
}
