//! `keys`: the providers' keys, for operators with AWS credentials. Everything goes through the key rotation's function, which
//! alone may touch the secrets, and makes the same checks for people as for schedules. A key is read from standard input or from
//! the terminal without being shown; there is no option for one, because command lines are kept and seen by others.

use crate::display::Screen;
use crate::display::text::one_line;
use crate::invoke::invoke;
use crate::outcome::Outcome;
use crate::profile::Found;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use console::Term;
use domain::audit::Label;
use domain::keys::ApiKey;
use domain::spending::Provider;
use serde_json::{Map, Value, json};
use std::io::{IsTerminal as _, Read as _, stdin};
use std::time::Duration;

const ATTEMPT: Duration = Duration::from_secs(30);
/// A key is some dozen characters.
const KEY_BYTES_MAX: u64 = 4_096;

/// `keys`.
#[derive(Subcommand)]
pub enum Keys {
    /// Which key is in use, which ones wait, which ones are to be revoked; names, never values
    #[command(after_help = "\
Examples:
  clinchat --profile dev keys status
  clinchat --profile dev keys status --json | jq '.groq.depth'

Needs AWS credentials in the environment, and a profile made with `profile add --from-outputs`. Each look is audited.")]
    Status {
        /// One JSON document on standard output
        #[arg(long)]
        json: bool,
    },
    /// Try a key and put it into a provider's pool; the key is read from standard input
    #[command(after_help = "\
Examples:
  clinchat --profile dev keys add groq                    asks for the key and does not show it
  pass show groq/new | clinchat --profile dev keys add groq --name ward-2026-11")]
    Add {
        #[command(flatten)]
        whose: Whose,
        /// Its name in the provider's console: a to z, 0 to 9 and ._:/-. It is what you are told to revoke one day
        #[arg(long, value_parser = name)]
        name: Option<Label>,
    },
    /// Take a key out of a provider's pool, or all of them, even if nobody can read what is there
    #[command(after_help = "\
Examples:
  clinchat --profile dev keys remove groq ward-2026-11
  clinchat --profile dev keys remove groq --all

`keys status` names what waits. The key itself goes on working until you revoke it in the provider's console.")]
    Remove {
        #[command(flatten)]
        whose: Whose,
        /// The name, as `keys status` shows it
        #[arg(value_parser = name, required_unless_present = "all", conflicts_with = "all")]
        id: Option<Label>,
        /// Empty the pool
        #[arg(long)]
        all: bool,
    },
    /// Replace the key in use by the next one, or go on with a rotation that was put off
    #[command(after_help = "Example:\n  clinchat --profile dev keys rotate groq")]
    Rotate(Whose),
    /// Go back to the key before, if the provider still accepts it
    #[command(after_help = "Example:\n  clinchat --profile dev keys rollback groq")]
    Rollback(Whose),
}

/// Whose key.
#[derive(Args)]
pub struct Whose {
    /// gemini, groq or openai-compatible
    #[arg(value_parser = provider)]
    pub provider: Provider,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

fn name(text: &str) -> Result<Label, String> {
    Label::parse(text).map_err(|_| "a key's name is of a to z, 0 to 9 and ._:/- and begins with a letter or a digit".to_owned())
}

fn provider(name: &str) -> Result<Provider, String> {
    let known = Provider::parse(name).filter(|provider| *provider != Provider::Bedrock);
    known.ok_or_else(|| "it is one of gemini, groq, openai-compatible".to_owned())
}

/// Asks the function and shows what it says.
pub fn run(keys: &Keys, found: &Found, screen: &mut Screen) -> Result<Outcome> {
    let (event, whose) = match keys {
        Keys::Status { .. } => (json!({ "command": "status" }), None),
        Keys::Add { whose, name } => {
            let key = read_key(whose.provider)?;
            let name = name.as_ref().map(Label::as_str);
            (json!({ "command": "add", "key": key.expose(), "name": name }), Some(whose))
        }
        Keys::Remove { whose, id, all } => {
            (json!({ "command": "remove", "id": id.as_ref().map(Label::as_str), "all": all }), Some(whose))
        }
        Keys::Rotate(whose) => (json!({ "command": "rotate" }), Some(whose)),
        Keys::Rollback(whose) => (json!({ "command": "rollback" }), Some(whose)),
    };
    let mut event = event;
    if let Some(whose) = whose {
        event["provider"] = whose.provider.as_str().into();
    }
    let answer = ask(found, &event)?;
    let Some(whose) = whose else { return status(&answer, matches!(keys, Keys::Status { json: true }), screen) };
    let said = &answer[whose.provider.as_str()];
    ensure!(answer.get(whose.provider.as_str()).is_some(), "The stack has no key of {}.", whose.provider.as_str());
    if let Some(message) = said["error"]["message"].as_str() {
        bail!("{message}");
    }
    if whose.json {
        screen.json(said)?;
        return Ok(Outcome::Done);
    }
    let name = whose.provider.as_str();
    screen.line(match keys {
        Keys::Remove { .. } => format!("{name}: taken out of the pool: {}", text(&said["removed"])),
        Keys::Add { .. } => format!("{name}: the key is good and waits in the pool as {}", text(&said["key"])),
        Keys::Rollback(_) => format!("{name}: version {} is in use again", text(&said["version"])),
        _ => format!("{name}: version {} is in use; the one before stays usable for the grace period", text(&said["version"])),
    })?;
    Ok(Outcome::Done)
}

fn ask(found: &Found, event: &Value) -> Result<Value> {
    let profile = &found.profile;
    let function = profile.outputs.get("KeyRotationFunction").filter(|name| !name.is_empty()).with_context(|| {
        let name = &found.name;
        format!(
            "The profile {name} knows of no key rotation: the stack has chosen no provider, or the profile is older than that \
             (`profile add --from-outputs`)."
        )
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let sdk = runtime::aws::sdk_config_of(ATTEMPT, &profile.region, profile.endpoint.as_deref()).await?;
        invoke(&sdk, function, event).await
    })
}

/// From a terminal without an echo, else all of standard input.
fn read_key(provider: Provider) -> Result<ApiKey> {
    let mut text = String::new();
    if stdin().is_terminal() {
        let term = Term::stderr();
        term.write_str(&format!("Key of {} (it is not shown): ", provider.as_str()))?;
        text = term.read_secure_line()?;
    } else {
        stdin().lock().take(KEY_BYTES_MAX).read_to_string(&mut text).context("The key cannot be read from standard input.")?;
    }
    let key = ApiKey::new(&text);
    ensure!(key.is_well_formed(), "That is no key: it is empty, or has spaces or line breaks in it.");
    Ok(key)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| "none".to_owned(), one_line)
}

fn status(answer: &Value, as_json: bool, screen: &mut Screen) -> Result<Outcome> {
    if as_json {
        screen.json(answer)?;
        return Ok(Outcome::Done);
    }
    let mut outcome = Outcome::Done;
    for (provider, said) in answer.as_object().unwrap_or(&Map::new()) {
        if let Some(message) = said["error"]["message"].as_str() {
            screen.line(format!("{}: {}", one_line(provider), one_line(message)))?;
            outcome = Outcome::Failed;
            continue;
        }
        for line in lines(provider, said) {
            screen.line(line)?;
        }
    }
    Ok(outcome)
}

fn lines(provider: &str, said: &Value) -> Vec<String> {
    let shown = |key: &Value| {
        let (version, stored) = (text(&key["version"]), text(&key["stored"]));
        match key["key"].as_str() {
            Some(id) => format!("{} (version {version}), stored {stored}", one_line(id)),
            None if key["is_malformed"] == true => format!("version {version}, stored {stored}: not a key"),
            None => format!("version {version}, stored {stored}"),
        }
    };
    let mut lines = vec![one_line(provider)];
    lines.push(if said["current"].is_null() {
        "  in use      none".to_owned()
    } else {
        format!("  in use      {}", shown(&said["current"]))
    });
    if !said["pending"].is_null() {
        lines.push(format!("  introduced  {}", shown(&said["pending"])));
    }
    for key in said["replaced"].as_array().into_iter().flatten() {
        let (word, since) =
            if key["revoking"].is_null() { ("replaced", &key["replaced"]) } else { ("to revoke", &key["revoking"]) };
        lines.push(format!("  {word:<10}  {}, since {}", shown(key), text(since)));
    }
    match said["depth"].as_u64() {
        None if said["trouble"].is_string() => lines.push(format!("  waiting     unknown: {}", text(&said["trouble"]))),
        None => lines.push("  waiting     made when needed".to_owned()),
        Some(depth) => {
            let names = said["pool"].as_array().into_iter().flatten().map(|key| text(&key["id"])).collect::<Vec<_>>();
            let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
            lines.push(format!("  waiting     {depth}{names}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_what_is_in_use_what_waits_and_what_is_to_be_revoked() {
        let said = json!({
            "current": { "version": "v2", "key": "key-b", "stored": "2026-11-22T10:00:00Z" },
            "pending": null,
            "replaced": [{ "version": "v1", "key": null, "stored": "2026-10-22T10:00:00Z", "replaced": null, "revoking": "2026-11-23T10:00:00Z" }],
            "depth": 1,
            "pool": [{ "id": "key-c", "added_at": "2026-11-22T10:00:00Z" }],
        });
        let expected = [
            "groq",
            "  in use      key-b (version v2), stored 2026-11-22T10:00:00Z",
            "  to revoke   version v1, stored 2026-10-22T10:00:00Z, since 2026-11-23T10:00:00Z",
            "  waiting     1: key-c",
        ];
        assert_eq!(lines("groq", &said), expected);
    }

    #[test]
    fn only_providers_with_keys_are_taken() {
        assert!(provider("groq").is_ok() && provider("bedrock").is_err() && provider("acme").is_err());
    }
}
