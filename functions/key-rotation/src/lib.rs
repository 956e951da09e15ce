//! New keys of the language models' providers. Schedules, Secrets Manager's own rotation, an alarm about refused keys and operators
//! all come here, and drive the same state machine (`domain::keys::rotation`): this function alone may write the secrets.

mod config;
mod connect;
mod event;

pub use config::{Config, ProviderKeys};
pub use connect::ConnectRotationsError;
pub use event::{Command, Job, ParseEventError};

use domain::context::{Actor, Context};
use domain::fault::Fault;
use domain::ids::{RequestId, SubjectId, TenantId};
use domain::keys::KeyVersion;
use domain::keys::pool::Pool;
use domain::keys::rotation::{Checked, KeyRotation, RollbackReason, RotateKeyError, RotationStep, Tended, Trigger};
use domain::spending::Provider;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::Error;
use runtime::telemetry::{Invocation, Unit, alert};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The name under which logs, metrics and the trail know this function.
const AGENT: &str = "key-rotation";

/// The keys of one provider.
pub struct Keys {
    /// Whose.
    pub provider: Provider,
    /// ARN of the secret.
    pub secret: String,
    /// Its rotation.
    pub rotation: KeyRotation,
    /// The pool that operators fill, whether keys come from it or not.
    pub pool: Pool,
}

/// What the function holds between invocations.
pub struct Rotations {
    /// The providers' keys.
    pub keys: Vec<Keys>,
    /// In whose trail it is recorded.
    pub tenant: TenantId,
    /// What time it is.
    pub clock: fn() -> Timestamp,
}

impl Rotations {
    fn context(&self, id: &str) -> Context {
        Context {
            actor: Actor { subject: SubjectId::system(AGENT), roles: Vec::new(), groups: BTreeSet::new(), department: None },
            tenant: self.tenant.clone(),
            request_id: RequestId::new(id),
            now: (self.clock)(),
        }
    }
}

/// Does what an event asks for. Secrets Manager gets an error for a step that did not do its work; an operator gets an answer
/// that says why; a schedule fails, and is repeated, only for what may pass.
pub async fn handle(app: &Rotations, event: &Value, id: &str) -> Result<Value, Error> {
    let invocation = Invocation::begin(AGENT, id);
    let context = app.context(id);
    let job = match Job::parse(event) {
        Ok(job) => job,
        Err(error) => {
            tracing::warn!(request_id = id, %error, "not an event of ours");
            invocation.end("malformed");
            return Err(error.into());
        }
    };
    match job {
        Job::Step { secret, token, step } => {
            let done = run_step(app, &secret, &token, step, &context).await;
            invocation.end(done.as_ref().map_or_else(RotateKeyError::code, |()| step.as_str()));
            done.map(|()| json!({})).map_err(Into::into)
        }
        Job::Command { command, provider } => run_command(app, &command, provider, &context, invocation).await,
    }
}

async fn run_step(
    app: &Rotations,
    secret: &str,
    token: &KeyVersion,
    step: RotationStep,
    context: &Context,
) -> Result<(), RotateKeyError> {
    let keys = app.keys.iter().find(|keys| keys.secret == secret).ok_or(RotateKeyError::NoSecret)?;
    let done = keys.rotation.step(step, token, Trigger::Store, context).await;
    note(keys, step.as_str(), done.as_ref().err(), context);
    done
}

/// A line, and a figure for the alarm if it is nothing that passes.
fn note(keys: &Keys, step: &'static str, error: Option<&RotateKeyError>, context: &Context) {
    let (request_id, provider) = (context.request_id.as_str(), keys.provider.as_str());
    let Some(error) = error else {
        tracing::info!(request_id, provider, step, "done");
        return;
    };
    tracing::warn!(request_id, provider, step, code = error.code(), %error, detail = ?error, "not done");
    let may_pass = matches!(error, RotateKeyError::Raced | RotateKeyError::Postponed { .. } | RotateKeyError::NotTried { .. });
    // An operator's key that is no good is the operator's business.
    if !may_pass && !matches!(error, RotateKeyError::NotAccepted { .. } | RotateKeyError::NotPooled) {
        alert(AGENT, "KeyRotationFailures", 1.0);
    }
}

async fn run_command(
    app: &Rotations,
    command: &Command,
    provider: Option<Provider>,
    context: &Context,
    mut invocation: Invocation,
) -> Result<Value, Error> {
    let mut answers = Map::new();
    let mut may_pass = None;
    for keys in app.keys.iter().filter(|keys| provider.is_none_or(|provider| keys.provider == provider)) {
        let Done { mut answer, troubles } = run_for(keys, command, context).await.unwrap_or_else(Done::failed);
        if troubles.is_empty() {
            note(keys, command.as_str(), None, context);
        }
        for error in &troubles {
            note(keys, command.as_str(), Some(error), context);
        }
        let said = |error: &RotateKeyError| json!({ "code": error.code(), "message": error.to_string() });
        if let Some(first) = troubles.first() {
            answer["error"] = said(first);
        }
        if troubles.len() > 1 {
            answer["errors"] = troubles.iter().map(said).collect();
        }
        let passes = |error: &RotateKeyError| {
            matches!(error.fault(), Fault::Transient | Fault::Bug) && !matches!(error, RotateKeyError::Postponed { .. })
        };
        may_pass = may_pass.or_else(|| troubles.into_iter().find(passes));
        answers.insert(keys.provider.as_str().to_owned(), answer);
    }
    invocation.metric("Providers", Unit::Count, answers.len() as f64);
    match may_pass {
        Some(error) if !command.is_operators() => {
            invocation.end(error.code());
            Err(error.into())
        }
        _ => {
            invocation.end(command.as_str());
            Ok(Value::Object(answers))
        }
    }
}

/// What came of a command.
struct Done {
    answer: Value,
    /// What could not be done of it; the rest was.
    troubles: Vec<RotateKeyError>,
}

impl Done {
    const fn well(answer: Value) -> Self {
        Self { answer, troubles: Vec::new() }
    }

    fn failed(error: RotateKeyError) -> Self {
        Self { answer: json!({}), troubles: vec![error] }
    }
}

async fn run_for(keys: &Keys, command: &Command, context: &Context) -> Result<Done, RotateKeyError> {
    let rotation = &keys.rotation;
    let version = |version: &KeyVersion| json!({ "version": version.0 });
    let shown = |rotated: Option<KeyVersion>| Done::well(rotated.as_ref().map_or(Value::Null, version));
    match command {
        Command::Rotate => Ok(shown(rotation.rotate(SignedDuration::ZERO, context).await?)),
        // A schedule's event may come twice, and late: what was rotated in the meantime is left alone.
        Command::RotateIfDue => Ok(shown(rotation.rotate(rotation.rules.period / 2, context).await?)),
        Command::Check => check(keys, context).await,
        Command::Tend => Ok(tended(rotation.tend(context).await?)),
        Command::Watch => {
            let quiet = || Done::well(json!({ "refusals": false }));
            Ok(rotation.watch(context).await?.map_or_else(quiet, tended))
        }
        Command::Rollback => {
            let back = rotation.roll_back(RollbackReason::Operator, context).await?;
            alert(AGENT, "KeyRollbacks", 1.0);
            Ok(Done::well(version(&back)))
        }
        Command::Status => {
            let mut shown = json!(rotation.overview(context).await?);
            if shown["depth"].is_number() {
                shown["pool"] = json!(keys.pool.waiting().await?);
            }
            Ok(Done::well(shown))
        }
        Command::Add(key, name) => {
            let id = rotation.add(&keys.pool, key, name.as_ref(), context).await?;
            Ok(Done::well(json!({ "key": id.as_str() })))
        }
        Command::Remove(id) => {
            rotation.remove(&keys.pool, id.as_ref(), context).await?;
            Ok(Done::well(json!({ "removed": id.as_ref().map_or("all", |id| id.as_str()) })))
        }
    }
}

fn tended(tended: Tended) -> Done {
    let Tended { is_back, retired, troubles } = tended;
    if is_back {
        alert(AGENT, "KeyRollbacks", 1.0);
    }
    let (gone, waiting) = (retired.confirmed, retired.waiting);
    let answer = json!({ "rolled_back": is_back, "retired": retired.retired, "revoked": gone, "to_revoke": waiting });
    Done { answer, troubles }
}

/// The figures that the alarms and the dashboard look at.
async fn check(keys: &Keys, context: &Context) -> Result<Done, RotateKeyError> {
    let Checked { health, tended: done } = keys.rotation.check(context).await?;
    let days = health.age.map(|age| age.as_secs() as f64 / 86_400.0);
    if let Some(days) = days {
        alert(AGENT, "KeyAgeDays", days);
    }
    if let Some(depth) = health.depth {
        alert(AGENT, "KeyPoolDepth", f64::from(depth));
    }
    if let Some(is_accepted) = health.is_accepted {
        alert(AGENT, "KeyAccepted", f64::from(u8::from(is_accepted)));
    }
    alert(AGENT, "KeysToRevoke", f64::from(done.retired.waiting));
    let mut done = tended(done);
    for (name, value) in [("age_days", json!(days)), ("depth", json!(health.depth)), ("accepted", json!(health.is_accepted))] {
        done.answer[name] = value;
    }
    Ok(done)
}
