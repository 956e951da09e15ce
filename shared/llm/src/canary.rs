//! Tries a key of a provider: lists its models, and has the model that answers questions write next to nothing. The call is paid
//! for like any other: reserved before, booked after, with its intent in the audit trail.

use crate::ended::Ended;
use crate::http::Patience;
use crate::outcome::Failure;
use crate::provider::{Form, Message, ModelRequest, ProviderClient as _};
use crate::wire::HttpProvider;
use async_trait::async_trait;
use domain::audit::{AuditEvent, AuditValue, Entity, EventType, Intent, Label, Outcome};
use domain::context::Context;
use domain::keys::ApiKey;
use domain::keys::rotation::{Canary, Trial, Verdict};
use domain::spending::{Attempt, AttemptOutcome, Ledger, Model, Sent};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::Instant;

/// An empty answer has some ten tokens; a model that thinks has to be let think a little, or it ends before its answer.
const OUTPUT_TOKENS_MAX: u32 = 256;
/// A trial of two calls, four times in a rotation, has to fit into the function's five minutes several times over.
const PATIENCE: (Duration, Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(12));

static INSTRUCTIONS: LazyLock<Message> = LazyLock::new(|| {
    let mut words = Message::default();
    words.ours("Answer with an empty list of sentences.");
    words
});
static INPUT: LazyLock<Message> = LazyLock::new(|| {
    let mut words = Message::default();
    words.ours("Is this key good?");
    words
});

/// The canary of one provider.
pub struct ProviderCanary {
    /// Speaks to it.
    pub client: HttpProvider,
    /// What answers questions: a key that may list models and not use this one is no good.
    pub model: Model,
    /// The money.
    pub ledger: Ledger,
    /// The time.
    pub clock: fn() -> Timestamp,
}

/// What a failure says of the key. That it may not do this says nothing of it: region, billing and blocks of a whole account look
/// so for every key of it, and none is to be thrown away or held for revoked because of them.
const fn verdict_of(failure: Failure) -> Verdict {
    match failure {
        Failure::BadKey => Verdict::Refused(failure.as_str()),
        _ => Verdict::Unclear(failure.as_str()),
    }
}

fn patience() -> Patience {
    let (connect, silence, whole) = PATIENCE;
    Patience { connect, silence, until: Instant::now() + whole }
}

impl ProviderCanary {
    async fn complete(&self, key: &ApiKey, context: &Context) -> Verdict {
        let request = ModelRequest {
            model: &self.model.id,
            instructions: &INSTRUCTIONS,
            input: &INPUT,
            output_tokens_max: OUTPUT_TOKENS_MAX.min(self.model.output_tokens_max),
            thinking: self.model.least_thinking(),
            is_structured: self.model.structured_output,
        };
        let sealed = self.client.seal(&request, Form::Whole);
        let tokens = (sealed.tokens_max(), request.output_tokens_max);
        let Ok(reservation) = self.ledger.reserve(context, &self.model, tokens, (self.clock)()).await else {
            return Verdict::Unclear("no_budget");
        };
        let label = Label::parse(&format!("{}-canary", self.model.provider.as_str()));
        let entity = label.map_or_else(|_| Entity::Documents(context.tenant.clone()), Entity::Model);
        let event = AuditEvent::new(self.ledger.ids.as_ref(), context, EventType::LlmCall, entity, Outcome::Intended)
            .with("provider", AuditValue::Code(self.model.provider.as_str()))
            .with("bytes", AuditValue::Count(sealed.bytes()));
        let Ok(intent) = Intent::write(self.ledger.audit.as_ref(), event).await else {
            // What cannot be recorded is not sent.
            let attempt =
                Attempt { outcome: AttemptOutcome::NotSent, usage: None, latency_ms: 0, sent: None, ended: (self.clock)() };
            let _ = self.ledger.settle(reservation, attempt).await;
            return Verdict::Unclear("no_audit");
        };
        let started = Instant::now();
        let (permit, unsettled) = reservation.begin();
        let ended = match self.client.call(&sealed, Some(key), permit, patience(), &mut |_| {}).await {
            Ok(reply) if reply.is_truncated => Ended::Truncated(reply.usage),
            Ok(reply) => Ended::Answered(reply.usage),
            Err(error) => Ended::Failed(error),
        };
        let (outcome, usage) = ended.booked();
        let attempt = Attempt {
            outcome,
            usage,
            latency_ms: u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX),
            sent: Some(Sent { sha256: sealed.sha256(), bytes: sealed.bytes(), redactions: BTreeMap::new() }),
            ended: (self.clock)(),
        };
        // What cannot be booked stays reserved until it runs out.
        if let Err(error) = self.ledger.settle(unsettled, attempt).await {
            tracing::error!(provider = self.model.provider.as_str(), %error, "a call could not be booked");
        }
        let good = if matches!(ended, Ended::Failed(_)) { Outcome::Failure } else { Outcome::Success };
        let event = intent.outcome(self.ledger.ids.as_ref(), (self.clock)(), good);
        let event = event.with("ended", AuditValue::Code(outcome.as_str()));
        if let Err(error) = self.ledger.audit.append(&event).await {
            tracing::error!(provider = self.model.provider.as_str(), %error, "a call's end could not be recorded");
        }
        match ended {
            Ended::Failed(error) => verdict_of(error.failure),
            // Cut off at its bound is an answer, too.
            _ => Verdict::Good,
        }
    }
}

#[async_trait]
impl Canary for ProviderCanary {
    async fn try_key(&self, key: &ApiKey, trial: Trial, context: &Context) -> Verdict {
        match (self.client.list_models(key, patience()).await, trial) {
            (Err(failure), _) => verdict_of(failure),
            (Ok(()), Trial::List) => Verdict::Good,
            (Ok(()), Trial::Whole) => self.complete(key, context).await,
        }
    }
}
