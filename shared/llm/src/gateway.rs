//! The gateway: every call to a language model outside the process passes here. It lets through what may leave, sets money
//! aside, calls the first provider that is well, books what the call cost, and puts identifiers back into what came. If no
//! provider answers, the caller quotes from the passages instead: an answer always comes.

use crate::answer::ReadAnswerError;
use crate::ended::Ended;
use crate::gate::{Gate, Outgoing};
use crate::http::Patience;
use crate::outcome::{Failure, Next};
use crate::prompt;
use crate::provider::{Form, ModelRequest, ProviderClient, Sealed};
use crate::reading::Reading;
use async_trait::async_trait;
use domain::audit::{AuditEvent, AuditValue, Entity, EventType, Intent, Outcome};
use domain::breaker::{Breakers, Permission, Permit, Shown};
use domain::chat::{ChatModel, Completion, Gone, Prompt, Sentences, Task};
use domain::fault::PortError;
use domain::keys::{Key, KeyRing};
use domain::spending::{
    Attempt, AttemptOutcome, Cap, Ledger, Model, Provider, Reservation, ReserveBudgetError, Sent, TokenUsage, Unsettled,
};
use domain::text::Analyzer;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How long and how much. Each wait ends before the one around it: silence, attempt, answer, and the function's own 28 s, of
/// which the search before and the check after take some.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the next byte of a provider.
    pub silence: Duration,
    /// For one call.
    pub attempt: Duration,
    /// For all calls together that write a follow-up question out; without them a rule does.
    pub rewriting: Duration,
    /// For all calls together that answer.
    pub answer: Duration,
    /// For one look into our own stores: keys, money, trail. What is written after the last call comes on top of `answer`.
    pub store: Duration,
    /// The most tokens that a model may write, thinking included: an answer has some 300.
    pub output_tokens_max: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            silence: Duration::from_secs(9),
            attempt: Duration::from_secs(12),
            rewriting: Duration::from_secs(4),
            answer: Duration::from_secs(16),
            store: Duration::from_secs(2),
            output_tokens_max: 2_048,
        }
    }
}

/// With less time than this no call is begun: it would be paid for and cut off.
const ATTEMPT_MIN: Duration = Duration::from_millis(500);

/// A provider, its keys and its models.
pub struct Route {
    /// Speaks to it.
    pub client: Box<dyn ProviderClient>,
    /// Its keys; none for an endpoint that asks for none.
    pub keys: Option<Box<dyn KeyRing>>,
    /// Answers as long as money is there.
    pub usual: Model,
    /// Answers once most of the day's money is spent; without one the usual one does not answer then either.
    pub cheaper: Option<Model>,
}

impl Route {
    /// The model that decides what may leave: money chooses between the two later, and an agreement holds for a model.
    fn strictest(&self) -> &Model {
        self.cheaper.as_ref().filter(|cheaper| !cheaper.baa).unwrap_or(&self.usual)
    }
}

/// The gateway.
pub struct Gateway {
    /// In the order in which they are asked.
    pub routes: Vec<Route>,
    /// Decides what may leave.
    pub gate: Gate,
    /// The money.
    pub ledger: Ledger,
    /// Which providers are worth asking.
    pub breakers: Breakers,
    /// How long and how much.
    pub bounds: Bounds,
    /// The time: prices and days of the ledger depend on it, and a function lives longer than a request.
    pub clock: fn() -> Timestamp,
    /// Tells the terms of sentences.
    pub analyzer: Analyzer,
    /// Is told when none of the providers answered although money was there and nobody hung up: somebody has to look.
    pub unanswered: fn(),
}

/// Why a route brought no answer.
enum Missed {
    /// The call failed.
    Call(Failure),
    /// There is no money for it.
    Cap(Cap),
    /// It has failed for others a moment ago.
    Unwell,
    /// There is no key for it.
    NoKey,
    /// The model cannot be had today.
    NoPrice,
    /// Money cannot be counted, so none is spent.
    Ledger(PortError),
    /// The person has hung up.
    Gone,
    /// Time is up.
    Late,
}

impl Missed {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Call(failure) => failure.as_str(),
            Self::Cap(cap) => cap.as_str(),
            Self::Unwell => "unwell",
            Self::NoKey => "no_key",
            Self::NoPrice => "no_price",
            Self::Ledger(_) => "no_ledger",
            Self::Gone => "gone",
            Self::Late => "late",
        }
    }

    /// Whether another provider may be asked.
    const fn may_go_on(&self) -> bool {
        match self {
            Self::Call(failure) => !matches!(failure.next(), Next::Quote),
            // The deployment's, the department's and the person's money is the same for every provider.
            Self::Cap(cap) => matches!(cap, Cap::Threshold),
            Self::Unwell | Self::NoKey | Self::NoPrice => true,
            Self::Ledger(_) | Self::Gone | Self::Late => false,
        }
    }
}

impl From<ReserveBudgetError> for Missed {
    fn from(error: ReserveBudgetError) -> Self {
        match error {
            ReserveBudgetError::Refused { cap } => Self::Cap(cap),
            ReserveBudgetError::NoPrice => Self::NoPrice,
            ReserveBudgetError::Port(error) => Self::Ledger(error),
        }
    }
}

impl Gateway {
    /// Answers in one piece, or sentence by sentence if somebody takes them. After the first sentence has gone out nobody
    /// else is asked: what was said is not said again in other words.
    async fn answer(
        &self,
        prompt: &Prompt<'_>,
        form: Form,
        sentences: Sentences<'_>,
        gone: Gone<'_>,
    ) -> Result<Completion, PortError> {
        let until =
            Instant::now() + if matches!(prompt.task, Task::StandAlone(_)) { self.bounds.rewriting } else { self.bounds.answer };
        let mut last = Missed::NoKey;
        for route in &self.routes {
            let outgoing = match self.gate.pass(prompt, route.strictest()) {
                Ok(outgoing) => outgoing,
                Err(refused) => return Ok(Completion { blocked: refused.kinds, ..Completion::default() }),
            };
            let mut heard = Heard::default();
            let question = Asked { route, outgoing: &outgoing, prompt, form, until };
            let answered = match self.permit(route, until).await {
                Err(missed) => Err(missed),
                Ok(permit) => {
                    let answered = self.ask(&question, sentences, gone, &mut heard).await;
                    self.report(permit, heard.shown).await;
                    answered
                }
            };
            match answered {
                Ok(completion) => return Ok(completion),
                Err(missed) => {
                    if let Missed::Ledger(error) = &missed {
                        tracing::error!(request_id = prompt.context.request_id.as_str(), %error, detail = ?error, "money cannot be counted");
                    }
                    tracing::warn!(
                        request_id = prompt.context.request_id.as_str(),
                        provider = route.usual.provider.as_str(),
                        reason = missed.as_str(),
                        "no answer from this provider"
                    );
                    if !missed.may_go_on() || heard.said > 0 {
                        last = missed;
                        break;
                    }
                    last = missed;
                }
            }
        }
        if !matches!(last, Missed::Gone | Missed::Cap(_) | Missed::Call(Failure::Blocked)) {
            (self.unanswered)();
        }
        match last {
            Missed::Ledger(error) => Err(error),
            missed => Err(PortError::Unavailable { operation: "complete", code: missed.as_str().into() }),
        }
    }

    /// Waits for one of our own stores, which must not take the time that the answer has.
    async fn soon<T, E: From<PortError>>(
        &self,
        operation: &'static str,
        until: Instant,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let until = until.min(Instant::now() + self.bounds.store);
        let late = |_| E::from(PortError::Unavailable { operation, code: "no answer in time".into() });
        tokio::time::timeout_at(until, answer).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    /// The same after the call, whose booking does not depend on the time that the answer had left.
    async fn after<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        self.soon(operation, Instant::now() + self.bounds.store, answer).await
    }

    /// Whether a provider is worth asking. Where nobody knows it is: the wait is bounded.
    async fn permit(&self, route: &Route, until: Instant) -> Result<Option<Permit>, Missed> {
        let permit = self.breakers.permit(route.usual.provider.as_str(), (self.clock)());
        match self.soon("permit", until, permit).await {
            Ok(Permit { permission: Permission::Blocked { .. }, .. }) => Err(Missed::Unwell),
            Ok(permit) => Ok(Some(permit)),
            Err(_) => Ok(None),
        }
    }

    /// Tells the others how a provider is, if a call has shown it. What is not told is found out again.
    async fn report(&self, permit: Option<Permit>, shown: Option<Shown>) {
        if let (Some(permit), Some(shown)) = (permit, shown) {
            let _ = self.after("report", self.breakers.report(permit, shown, (self.clock)())).await;
        }
    }

    /// Asks one provider: the usual model, or the cheaper one where money says so.
    async fn ask(
        &self,
        asked: &Asked<'_>,
        sentences: Sentences<'_>,
        gone: Gone<'_>,
        heard: &mut Heard,
    ) -> Result<Completion, Missed> {
        let route = asked.route;
        let mut key = match &route.keys {
            None => None,
            Some(keys) => {
                Some(self.soon("current key", asked.until, keys.current()).await.map_err(|error| asked.no_key(&error))?)
            }
        };
        let mut refused = Vec::new();
        loop {
            if asked.until.saturating_duration_since(Instant::now()) < ATTEMPT_MIN {
                return Err(Missed::Late);
            }
            if is_over(gone).await {
                return Err(Missed::Gone);
            }
            let (model, sealed, reservation) = self.reserve(asked).await?;
            let call = Call { asked, model, sealed: &sealed };
            let failure = match self.call(&call, reservation, key.as_ref(), sentences, gone, heard).await {
                Err(Missed::Call(failure)) if failure.next() == Next::OtherKey => failure,
                ended => return ended,
            };
            // The store is asked anew: somebody may have changed the key a moment ago.
            let (Some(keys), Some(bad)) = (&route.keys, key.take()) else { return Err(Missed::Call(failure)) };
            refused.push(bad.version);
            let next = self.soon("key after", asked.until, keys.after(&refused)).await;
            key = next.map_err(|error| asked.no_key(&error))?;
            if key.is_none() {
                return Err(Missed::Call(failure));
            }
        }
    }

    /// Sets money aside for the usual model, or for the cheaper one once most of the day's is spent.
    async fn reserve<'a>(&self, asked: &Asked<'a>) -> Result<(&'a Model, Sealed, Reservation), Missed> {
        let route = asked.route;
        let mut refused = Missed::NoPrice;
        for model in [Some(&route.usual), route.cheaper.as_ref()].into_iter().flatten() {
            let request = ModelRequest {
                model: &model.id,
                instructions: prompt::instructions(asked.prompt.task),
                input: &asked.outgoing.input,
                output_tokens_max: self.bounds.output_tokens_max.min(model.output_tokens_max),
                thinking: model.least_thinking(),
                is_structured: model.structured_output,
            };
            let sealed = route.client.seal(&request, asked.form);
            let tokens = (sealed.tokens_max(), request.output_tokens_max);
            let reserved = self.ledger.reserve(asked.prompt.context, model, tokens, (self.clock)());
            match self.soon("reserve", asked.until, reserved).await {
                Ok(reservation) => return Ok((model, sealed, reservation)),
                Err(error @ (ReserveBudgetError::Refused { cap: Cap::Threshold } | ReserveBudgetError::NoPrice)) => {
                    refused = error.into();
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(refused)
    }

    /// Calls once, and books what it cost whatever came of it.
    async fn call(
        &self,
        call: &Call<'_>,
        reservation: Reservation,
        key: Option<&Key>,
        sentences: Sentences<'_>,
        gone: Gone<'_>,
        heard: &mut Heard,
    ) -> Result<Completion, Missed> {
        let (permit, unsettled) = reservation.begin();
        let intent = match self.soon("announce", call.asked.until, self.announce(call)).await {
            Ok(intent) => intent,
            Err(error) => {
                // What cannot be recorded is not sent, and costs nothing.
                let attempt =
                    Attempt { outcome: AttemptOutcome::NotSent, usage: None, latency_ms: 0, sent: None, ended: (self.clock)() };
                let _ = self.after("settle", self.ledger.settle(unsettled, attempt)).await;
                return Err(Missed::Ledger(error));
            }
        };
        let started = Instant::now();
        let patience = Patience {
            connect: self.bounds.connect,
            silence: self.bounds.silence,
            until: call.asked.until.min(started + self.bounds.attempt),
        };
        let mut reading = Reading::new(&self.analyzer, call.asked.outgoing, call.asked.prompt, sentences);
        let value = key.map(|key| &key.value);
        let ended = {
            let mut take = |piece: &str| reading.take(piece);
            let answer = call.asked.route.client.call(call.sealed, value, permit, patience, &mut take);
            tokio::select! {
                ended = answer => Some(ended),
                () = gone => None,
            }
        };
        let ended = match ended {
            None => Ended::Gone,
            Some(Err(error)) => Ended::Failed(error),
            Some(Ok(reply)) => {
                if call.asked.form == Form::Whole {
                    reading.take(&reply.text);
                }
                match reading.end(reply.is_truncated) {
                    Ok(()) if reply.is_truncated => Ended::Truncated(reply.usage),
                    Ok(()) => Ended::Answered(reply.usage),
                    Err(ReadAnswerError) => Ended::Unread(reply.usage),
                }
            }
        };
        let Reading { drafts, unknown, out, .. } = reading;
        *heard = Heard { said: if call.asked.form == Form::Stream { out } else { 0 }, shown: ended.shows() };
        tokio::join!(self.settle(call, unsettled, &ended, started, unknown), self.conclude(call, intent, &ended));
        let usage = match &ended {
            Ended::Answered(usage) | Ended::Truncated(usage) => usage.unwrap_or_default(),
            // What was said before it broke off has gone out: it is an answer that is not whole.
            _ if heard.said > 0 => TokenUsage::default(),
            Ended::Unread(_) => return Err(Missed::Call(Failure::Diverted)),
            Ended::Failed(error) => return Err(Missed::Call(error.failure)),
            Ended::Gone => return Err(Missed::Gone),
        };
        let is_truncated = !matches!(ended, Ended::Answered(_));
        if is_truncated && drafts.is_empty() {
            // Its length did not do for one sentence: that is the model's, and no sign that the provider is unwell.
            return Err(Missed::Call(Failure::Diverted));
        }
        Ok(Completion {
            sentences: drafts,
            usage,
            model: Some(call.model.id.clone()),
            is_truncated,
            withheld: call.asked.outgoing.withheld,
            pseudonyms: call.asked.outgoing.pseudonyms(),
            ..Completion::default()
        })
    }

    /// Says in the audit trail that bytes are about to leave: how many, to whom, and what was taken out of them.
    async fn announce(&self, call: &Call<'_>) -> Result<Intent, PortError> {
        let Asked { prompt, outgoing, .. } = call.asked;
        let entity = Entity::Conversation(prompt.conversation.clone());
        let mut event = AuditEvent::new(self.ledger.ids.as_ref(), prompt.context, EventType::LlmCall, entity, Outcome::Intended)
            .with("provider", AuditValue::Code(call.model.provider.as_str()))
            .with("bytes", AuditValue::Count(call.sealed.bytes()))
            .with("sha256", AuditValue::Digest(call.sealed.sha256()));
        for (kind, count) in &outgoing.redactions {
            event = event.with(kind.as_str(), AuditValue::Count((*count).into()));
        }
        Intent::write(self.ledger.audit.as_ref(), event).await
    }

    /// Says how it ended. If that fails, the trail holds the intent, and the answer's own event fails as well.
    async fn conclude(&self, call: &Call<'_>, intent: Intent, ended: &Ended) {
        let (outcome, _) = ended.booked();
        let is_answer = matches!(ended, Ended::Answered(_) | Ended::Truncated(_));
        let outcome_of = if is_answer { Outcome::Success } else { Outcome::Failure };
        let event = intent.outcome(self.ledger.ids.as_ref(), (self.clock)(), outcome_of);
        let event = event.with("ended", AuditValue::Code(outcome.as_str()));
        if let Err(error) = self.after("conclude", self.ledger.audit.append(&event)).await {
            tracing::error!(request_id = call.asked.prompt.context.request_id.as_str(), %error, "a call's end could not be recorded");
        }
    }

    /// Books a call. What cannot be booked stays reserved until it runs out: the answer is paid for and is not thrown away.
    async fn settle(&self, call: &Call<'_>, unsettled: Unsettled, ended: &Ended, started: Instant, unknown: u32) {
        let (outcome, usage) = ended.booked();
        let latency_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        let sent =
            Sent { sha256: call.sealed.sha256(), bytes: call.sealed.bytes(), redactions: call.asked.outgoing.redactions.clone() };
        let attempt = Attempt { outcome, usage, latency_ms, sent: Some(sent), ended: (self.clock)() };
        let request_id = call.asked.prompt.context.request_id.as_str();
        let provider = call.model.provider.as_str();
        let model = call.model.id.as_str();
        match self.after("settle", self.ledger.settle(unsettled, attempt)).await {
            Ok(settled) => {
                let cost = settled.cost.micros();
                tracing::info!(
                    request_id,
                    provider,
                    model,
                    outcome = outcome.as_str(),
                    latency_ms,
                    cost_micros = cost,
                    unknown_placeholders = unknown,
                    withheld = call.asked.outgoing.withheld,
                    "a model was asked"
                );
                if settled.over_bound {
                    tracing::error!(request_id, provider, model, "a call cost more than was thought possible");
                }
            }
            Err(error) => tracing::error!(request_id, provider, model, %error, "a call could not be booked"),
        }
    }

    /// Which providers, in their order.
    pub fn providers(&self) -> Vec<Provider> {
        self.routes.iter().map(|route| route.usual.provider).collect()
    }
}

#[async_trait]
impl ChatModel for Gateway {
    fn name(&self) -> &str {
        self.routes.first().map_or("none", |route| &route.usual.id)
    }

    async fn complete(&self, prompt: &Prompt<'_>) -> Result<Completion, PortError> {
        self.answer(prompt, Form::Whole, &mut |_| false, &mut std::future::pending()).await
    }

    /// Each sentence is handed on as soon as the model has written it. When `gone` ends, the call is broken off and booked.
    async fn stream(&self, prompt: &Prompt<'_>, sentences: Sentences<'_>, gone: Gone<'_>) -> Result<Completion, PortError> {
        self.answer(prompt, Form::Stream, sentences, gone).await
    }

    fn reads_sections(&self) -> bool {
        true
    }

    /// A call like any other: through the gate, reserved, announced, booked.
    async fn stand_alone(&self, prompt: &Prompt<'_>) -> Result<Option<Completion>, PortError> {
        self.complete(prompt).await.map(Some)
    }
}

/// What a call has let out and shown.
#[derive(Default)]
struct Heard {
    /// Sentences that went out.
    said: usize,
    /// How the provider is, if a call ended that shows it: one that breaks off after a sentence has answered and is unwell.
    shown: Option<Shown>,
}

/// Whether the person has hung up already.
async fn is_over(gone: Gone<'_>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *gone).poll(context).is_ready())).await
}

/// A question to one provider.
struct Asked<'a> {
    route: &'a Route,
    outgoing: &'a Outgoing,
    prompt: &'a Prompt<'a>,
    form: Form,
    until: Instant,
}

impl Asked<'_> {
    /// There is no key, which somebody has to mend: the line says why.
    fn no_key(&self, error: &PortError) -> Missed {
        let request_id = self.prompt.context.request_id.as_str();
        tracing::error!(request_id, provider = self.route.usual.provider.as_str(), %error, detail = ?error, "no key for this provider");
        Missed::NoKey
    }
}

/// One call.
struct Call<'a> {
    asked: &'a Asked<'a>,
    model: &'a Model,
    sealed: &'a Sealed,
}
