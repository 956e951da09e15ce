//! Who asks: the tokens of one person at one stack, kept beside the profile and renewed when they run out.

use crate::cognito::{Challenge, NewTokens, Reply, SignInError, UserPool};
use crate::config::Config;
use crate::profile::{Found, write_private};
use crate::transport::Transport;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use console::Term;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// A token that ends within this time is renewed first: the request that carries it must still arrive.
const RENEW_BEFORE_S: i64 = 60;
/// More than a new password and a code are never asked for.
const CHALLENGES_MAX: usize = 3;

/// What is kept between runs. No `Debug`: it is secret.
#[derive(Clone, Deserialize, Serialize)]
struct Tokens {
    client_id: String,
    username: String,
    id_token: String,
    refresh_token: Option<String>,
    /// Seconds since 1970.
    expires_at: i64,
}

/// One person at one stack.
pub struct Session {
    found: Found,
    username: Option<String>,
    password: Option<String>,
    file: PathBuf,
    tokens: Option<Tokens>,
    /// Whether there is a person who can be asked.
    is_interactive: bool,
}

/// What the token says about its bearer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Bearer {
    /// The address or the user name.
    pub person: String,
    /// Groups of the user pool.
    pub roles: Vec<String>,
    /// The tenant.
    pub tenant: Option<String>,
}

impl Session {
    /// The session of `person`, or of the profile's own user. Reads what is kept; sends nothing.
    pub fn new(found: Found, person: Option<&str>, config: &Config, is_interactive: bool) -> Result<Self> {
        let profile = &found.profile;
        let mut username = config.username.clone().filter(|_| profile.password.is_none()).or_else(|| profile.username.clone());
        let mut password = profile.password.clone();
        if let Some(name) = person {
            match profile.people.get(name) {
                Some(known) => (username, password) = (Some(known.username.clone()), known.password.clone()),
                None if profile.people.is_empty() => (username, password) = (Some(name.to_owned()), None),
                None => {
                    let known = profile.people.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                    bail!("The profile {} has no person of that name. It has: {known}.", found.name);
                }
            }
        }
        let password = password.or_else(|| config.password.clone());
        let owner: String = person.unwrap_or("own").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let folder = found.path.parent().context("the profile has no folder")?.join("sessions");
        let file = folder.join(format!("{}.{owner}.json", found.name));
        let kept = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Tokens>(&bytes).ok());
        // A stack that was made anew has other clients; another user is another person.
        let is_ours =
            |t: &Tokens| t.client_id == found.profile.client_id && username.as_ref().is_none_or(|name| *name == t.username);
        let tokens = kept.filter(is_ours);
        let username = username.or_else(|| tokens.as_ref().map(|t| t.username.clone()));
        Ok(Self { found, username, password, file, tokens, is_interactive })
    }

    /// The profile.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The last conversation of this person at this stack, if there was one.
    pub fn last_conversation(&self) -> Option<String> {
        let kept = fs::read_to_string(self.file.with_extension("conversation")).ok()?;
        Some(kept.trim().to_owned())
    }

    /// Remembers a conversation for `ask --continue`.
    pub fn remember_conversation(&self, id: &str) -> Result<()> {
        write_private(&self.file.with_extension("conversation"), id.as_bytes())
    }

    /// A token that is good for now.
    pub fn id_token(&mut self, transport: &Transport) -> Result<String> {
        let soon = Timestamp::now().as_second() + RENEW_BEFORE_S;
        if let Some(tokens) = self.tokens.as_ref().filter(|t| t.expires_at > soon) {
            return Ok(tokens.id_token.clone());
        }
        self.renew(transport)
    }

    /// Another token than `refused`, which the API did not take: somebody else may just have fetched one.
    pub fn id_token_instead_of(&mut self, refused: &str, transport: &Transport) -> Result<String> {
        if let Some(tokens) = self.tokens.as_ref().filter(|t| t.id_token != refused) {
            return Ok(tokens.id_token.clone());
        }
        self.renew(transport)
    }

    /// Signs in with the password, whatever is kept.
    pub fn sign_in(&mut self, transport: &Transport, username: Option<&str>) -> Result<String> {
        let username = match username.map(str::to_owned).or_else(|| self.username.clone()) {
            Some(username) => username,
            None => self.ask("User name: ", false, "Name it with --username or CLINCHAT_USERNAME.")?,
        };
        let password = if let Some(password) = self.password.clone() {
            password
        } else {
            let advice = format!("Run `clinchat --profile {} login` in a terminal, or set CLINCHAT_PASSWORD.", self.found.name);
            self.ask(&format!("Password of {username}: "), true, &advice)?
        };
        let profile = self.found.profile.clone();
        let pool = UserPool { transport, profile: &profile };
        let mut reply = pool.sign_in(&username, &password)?;
        for _ in 0..CHALLENGES_MAX {
            match reply {
                Reply::Tokens(tokens) => return self.keep(username, tokens),
                Reply::Challenge(challenge) => reply = self.answer(&pool, &challenge, &username)?,
            }
        }
        bail!("The sign-in asks for more than this command can answer.");
    }

    /// Forgets the tokens, here and at the pool. `false`: there were none.
    pub fn sign_out(&mut self, transport: &Transport) -> Result<bool> {
        let Some(tokens) = self.tokens.take() else { return Ok(false) };
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} cannot be removed", self.file.display()));
            }
            _ => {}
        }
        if let Some(refresh_token) = &tokens.refresh_token {
            let pool = UserPool { transport, profile: &self.found.profile };
            pool.revoke(refresh_token).context("The tokens are forgotten here, but the stack could not be told")?;
        }
        Ok(true)
    }

    /// By the refresh token if there is one, else by the password.
    fn renew(&mut self, transport: &Transport) -> Result<String> {
        if let Some(tokens) = self.tokens.take()
            && let Some(refresh_token) = &tokens.refresh_token
        {
            let pool = UserPool { transport, profile: &self.found.profile };
            match pool.refresh(refresh_token) {
                Ok(Reply::Tokens(mut new)) => {
                    new.refresh_token.get_or_insert_with(|| refresh_token.clone());
                    return self.keep(tokens.username, new);
                }
                // It has run out or was revoked: the password decides.
                Ok(Reply::Challenge(_)) => {}
                Err(error) if matches!(error.downcast_ref(), Some(SignInError::Denied { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        self.sign_in(transport, None)
    }

    fn answer(&self, pool: &UserPool<'_>, challenge: &Challenge, username: &str) -> Result<Reply> {
        const IN_TERMINAL: &str = "Run `clinchat login` for this profile in a terminal.";
        match challenge.name.as_str() {
            "NEW_PASSWORD_REQUIRED" => {
                let password = self.ask("A new password is required. New password: ", true, IN_TERMINAL)?;
                ensure!(password == self.ask("Again: ", true, IN_TERMINAL)?, "The two passwords differ: nothing was changed.");
                pool.respond(challenge, username, "NEW_PASSWORD", &password)
            }
            "SOFTWARE_TOKEN_MFA" => {
                let code = self.ask("Code of the authenticator app: ", false, IN_TERMINAL)?;
                pool.respond(challenge, username, "SOFTWARE_TOKEN_MFA_CODE", &code)
            }
            "SMS_MFA" => {
                let code = self.ask("Code of the text message: ", false, IN_TERMINAL)?;
                pool.respond(challenge, username, "SMS_MFA_CODE", &code)
            }
            other => bail!("The sign-in asks for {other}, which this command cannot answer: sign in on the chat page first."),
        }
    }

    fn ask(&self, what: &str, is_secret: bool, advice: &str) -> Result<String> {
        ensure!(self.is_interactive, "Nobody is signed in at {}, and there is no terminal to ask in. {advice}", self.found.name);
        let terminal = Term::stderr();
        terminal.write_str(what)?;
        let answer = if is_secret { terminal.read_secure_line()? } else { terminal.read_line()? };
        ensure!(!answer.trim().is_empty(), "Nothing was typed.");
        Ok(if is_secret { answer } else { answer.trim().to_owned() })
    }

    fn keep(&mut self, username: String, new: NewTokens) -> Result<String> {
        let tokens = Tokens {
            client_id: self.found.profile.client_id.clone(),
            username,
            id_token: new.id_token,
            refresh_token: new.refresh_token,
            expires_at: Timestamp::now().as_second() + new.expires_in,
        };
        write_private(&self.file, &serde_json::to_vec(&tokens)?)?;
        self.username = Some(tokens.username.clone());
        Ok(self.tokens.insert(tokens).id_token.clone())
    }
}

/// Reads what a token says. It is not checked: the API does that.
pub fn bearer(id_token: &str) -> Bearer {
    let claims = id_token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Value = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    let roles = claims["cognito:groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    Bearer {
        person: text("email").or_else(|| text("cognito:username")).unwrap_or_default(),
        roles: roles.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        tenant: text("custom:tenant"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_who_bears_it() {
        let claims = r#"{"email":"jo@hospital.example","cognito:groups":["clinician","auditor"],"custom:tenant":"main"}"#;
        let token = format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims));
        let expected = Bearer {
            person: "jo@hospital.example".into(),
            roles: vec!["clinician".into(), "auditor".into()],
            tenant: Some("main".into()),
        };
        assert_eq!(bearer(&token), expected);
        assert_eq!(bearer("nonsense"), Bearer::default());
    }
}
