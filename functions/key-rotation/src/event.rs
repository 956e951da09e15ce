//! What starts the rotation: a step of Secrets Manager, or a command of a schedule, an alarm's rule or an operator. Nothing of an
//! event is ever repeated in an error: a command may carry a key.

use domain::audit::Label;
use domain::keys::rotation::RotationStep;
use domain::keys::{ApiKey, KeyVersion};
use domain::spending::Provider;
use serde::Deserialize;
use serde_json::Value;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Secrets Manager rotates.
    Step {
        /// The secret, by ARN.
        secret: String,
        /// Which version.
        token: KeyVersion,
        /// Which step.
        step: RotationStep,
    },
    /// Everything else.
    Command {
        /// What.
        command: Command,
        /// For whose keys; all of them without one.
        provider: Option<Provider>,
    },
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Replace the key, if it is half as old as it may become.
    RotateIfDue,
    /// Replace the key.
    Rotate,
    /// Look at everything.
    Check,
    /// End what was begun.
    Tend,
    /// That, if chats were refused a key lately.
    Watch,
    /// Go back to the key before.
    Rollback,
    /// Show what there is.
    Status,
    /// Put a key into the pool, under the name that it has in the provider's console.
    Add(ApiKey, Option<Label>),
    /// Take a key out of the pool; all of them without a name.
    Remove(Option<Label>),
}

impl Command {
    /// Its name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::RotateIfDue => "rotate-if-due",
            Self::Rotate => "rotate",
            Self::Check => "check",
            Self::Tend => "tend",
            Self::Watch => "watch",
            Self::Rollback => "rollback",
            Self::Status => "status",
            Self::Add(..) => "add",
            Self::Remove(_) => "remove",
        }
    }

    /// Whether somebody waits for the answer and reads it.
    pub const fn is_operators(&self) -> bool {
        matches!(self, Self::Rotate | Self::Rollback | Self::Status | Self::Add(..) | Self::Remove(_))
    }
}

/// The event is none of ours. Says what to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseEventError {
    /// Neither form.
    #[error("the event is neither {{\"Step\", \"SecretId\", \"ClientRequestToken\"}} nor {{\"command\"}}")]
    Shape,
    /// No such step.
    #[error("unknown step: it is one of createSecret, setSecret, testSecret, finishSecret")]
    UnknownStep,
    /// No such command.
    #[error("unknown command: it is one of rotate-if-due, rotate, check, tend, watch, rollback, status, add, remove")]
    UnknownCommand,
    /// No such provider.
    #[error("unknown provider: it is one of gemini, groq, openai-compatible")]
    UnknownProvider,
    /// The command needs one.
    #[error("the command needs a provider")]
    NoProvider,
    /// The key cannot be one.
    #[error("the key is empty or has characters that no key has: paste it again")]
    MalformedKey,
    /// The name cannot be one.
    #[error(
        "a key's name is of a to z, 0 to 9 and ._:/- and begins with a letter or a digit: give the key such a name in the provider's console"
    )]
    MalformedName,
    /// The name is the key.
    #[error("the name holds the key itself: names are shown and kept, keys are not")]
    NameIsKey,
    /// The command says not what to take out.
    #[error("the command needs the \"id\" of a key, or \"all\": true")]
    NoId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StepEvent {
    step: String,
    secret_id: String,
    client_request_token: String,
}

#[derive(Deserialize)]
struct CommandEvent {
    command: String,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    all: bool,
}

impl Job {
    /// Reads an event.
    pub fn parse(event: &Value) -> Result<Self, ParseEventError> {
        if event.get("Step").is_some() {
            let event = StepEvent::deserialize(event).map_err(|_| ParseEventError::Shape)?;
            let step = RotationStep::parse(&event.step).ok_or(ParseEventError::UnknownStep)?;
            return Ok(Self::Step { secret: event.secret_id, token: KeyVersion(event.client_request_token), step });
        }
        let event = CommandEvent::deserialize(event).map_err(|_| ParseEventError::Shape)?;
        let provider = event.provider.as_deref().filter(|name| !name.is_empty());
        let provider = provider.map(|name| Provider::parse(name).ok_or(ParseEventError::UnknownProvider)).transpose()?;
        let command = match event.command.as_str() {
            "rotate-if-due" => Command::RotateIfDue,
            "rotate" => Command::Rotate,
            "check" => Command::Check,
            "tend" => Command::Tend,
            "watch" => Command::Watch,
            "rollback" => Command::Rollback,
            "status" => Command::Status,
            "add" => {
                let key = ApiKey::new(event.key.as_deref().unwrap_or_default());
                if !key.is_well_formed() {
                    return Err(ParseEventError::MalformedKey);
                }
                let name = label(event.name.as_deref())?;
                if name.as_ref().is_some_and(|name| name.as_str().contains(&key.expose().to_ascii_lowercase())) {
                    return Err(ParseEventError::NameIsKey);
                }
                Command::Add(key, name)
            }
            "remove" => match (label(event.id.as_deref())?, event.all) {
                (Some(id), false) => Command::Remove(Some(id)),
                (None, true) => Command::Remove(None),
                _ => return Err(ParseEventError::NoId),
            },
            _ => return Err(ParseEventError::UnknownCommand),
        };
        if provider.is_none() && matches!(command, Command::Rotate | Command::Rollback | Command::Add(..) | Command::Remove(_)) {
            return Err(ParseEventError::NoProvider);
        }
        Ok(Self::Command { command, provider })
    }
}

fn label(text: Option<&str>) -> Result<Option<Label>, ParseEventError> {
    text.filter(|text| !text.is_empty()).map(|text| Label::parse(text).map_err(|_| ParseEventError::MalformedName)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_and_commands_are_read() {
        let step = json!({ "Step": "testSecret", "SecretId": "arn:x", "ClientRequestToken": "t", "RotationToken": "r" });
        let expected = Job::Step { secret: "arn:x".into(), token: KeyVersion("t".into()), step: RotationStep::Test };
        assert_eq!(Job::parse(&step), Ok(expected));
        let add = Job::parse(&json!({ "command": "add", "provider": "groq", "key": " gsk_canary\n" })).unwrap();
        assert!(!format!("{add:?}").contains("canary"));
        assert_eq!(Job::parse(&json!({ "command": "tend" })), Ok(Job::Command { command: Command::Tend, provider: None }));
    }

    #[test]
    fn what_is_wrong_is_said_without_what_it_was() {
        for (event, expected) in [
            (json!({}), ParseEventError::Shape),
            (json!([]), ParseEventError::Shape),
            (json!({ "Step": "createSecret" }), ParseEventError::Shape),
            (json!({ "Step": "dropSecret", "SecretId": "s", "ClientRequestToken": "t" }), ParseEventError::UnknownStep),
            (json!({ "command": "remove", "provider": "groq" }), ParseEventError::NoId),
            (json!({ "command": "remove", "provider": "groq", "id": "a", "all": true }), ParseEventError::NoId),
            (json!({ "command": "remove", "id": "a" }), ParseEventError::NoProvider),
            (json!({ "command": "add", "provider": "groq", "key": "k-1", "name": "My key" }), ParseEventError::MalformedName),
            (json!({ "command": "add", "provider": "groq", "key": "K-1", "name": "it-is-k-1" }), ParseEventError::NameIsKey),
            (json!({ "command": "dance" }), ParseEventError::UnknownCommand),
            (json!({ "command": "rotate" }), ParseEventError::NoProvider),
            (json!({ "command": "rotate", "provider": "acme" }), ParseEventError::UnknownProvider),
            (json!({ "command": "add", "provider": "groq" }), ParseEventError::MalformedKey),
            (json!({ "command": "add", "provider": "groq", "key": "two words" }), ParseEventError::MalformedKey),
        ] {
            assert_eq!(Job::parse(&event), Err(expected), "{event}");
        }
    }
}
