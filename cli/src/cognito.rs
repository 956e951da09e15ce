//! Signing in at the user pool: three unsigned calls, spoken directly so that this command needs no AWS SDK.

use crate::profile::Profile;
use crate::transport::{Transport, TransportError, decode, host};
use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Body;
use ureq::http::{Request, Response};

/// The user pool of a profile.
pub struct UserPool<'a> {
    pub transport: &'a Transport,
    pub profile: &'a Profile,
}

/// What a sign-in leads to.
pub enum Reply {
    /// Signed in.
    Tokens(NewTokens),
    /// Something more is asked for.
    Challenge(Challenge),
}

/// Fresh tokens. No `Debug`: they are secrets.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewTokens {
    pub id_token: String,
    /// Absent after a refresh: the old one goes on.
    pub refresh_token: Option<String>,
    /// Seconds.
    pub expires_in: i64,
}

/// What is asked for before tokens are given.
pub struct Challenge {
    pub name: String,
    session: Value,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The pool says no.
    #[error("{}", denied_words(code))]
    Denied {
        /// The pool's error code.
        code: String,
    },
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

fn denied_words(code: &str) -> String {
    match code {
        "NotAuthorizedException" | "UserNotFoundException" => {
            "The user name or the password is wrong, or the sign-in has run out.".into()
        }
        "PasswordResetRequiredException" => "The password must be reset: ask an administrator.".into(),
        "UserNotConfirmedException" => "The account is not confirmed yet: ask an administrator.".into(),
        "CodeMismatchException" | "ExpiredCodeException" => "The code is wrong or too old.".into(),
        "InvalidPasswordException" => "The new password does not fulfil the rules.".into(),
        "TooManyRequestsException" | "LimitExceededException" => "Too many attempts: wait a few minutes.".into(),
        other => format!("The sign-in failed ({other})."),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AuthReply {
    authentication_result: Option<NewTokens>,
    challenge_name: Option<String>,
    #[serde(default)]
    session: Value,
}

impl UserPool<'_> {
    /// With user name and password.
    pub fn sign_in(&self, username: &str, password: &str) -> Result<Reply> {
        self.authenticate(
            "InitiateAuth",
            &json!({
                "AuthFlow": "USER_PASSWORD_AUTH",
                "ClientId": self.profile.client_id,
                "AuthParameters": { "USERNAME": username, "PASSWORD": password },
            }),
        )
    }

    /// With the refresh token of an earlier sign-in.
    pub fn refresh(&self, refresh_token: &str) -> Result<Reply> {
        self.authenticate(
            "InitiateAuth",
            &json!({
                "AuthFlow": "REFRESH_TOKEN_AUTH",
                "ClientId": self.profile.client_id,
                "AuthParameters": { "REFRESH_TOKEN": refresh_token },
            }),
        )
    }

    /// Answers a challenge: `field` is the answer's name in the pool's language.
    pub fn respond(&self, challenge: &Challenge, username: &str, field: &str, answer: &str) -> Result<Reply> {
        self.authenticate(
            "RespondToAuthChallenge",
            &json!({
                "ChallengeName": challenge.name,
                "ClientId": self.profile.client_id,
                "Session": challenge.session,
                "ChallengeResponses": { "USERNAME": username, field: answer },
            }),
        )
    }

    /// Makes a refresh token worthless.
    pub fn revoke(&self, refresh_token: &str) -> Result<(), SignInError> {
        let response = self.call("RevokeToken", &json!({ "ClientId": self.profile.client_id, "Token": refresh_token }))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(SignInError::Denied { code: format!("status {}", status.as_u16()) }) }
    }

    fn authenticate(&self, action: &str, body: &Value) -> Result<Reply> {
        let response = self.call(action, body)?;
        let reply: AuthReply = decode(&host(&self.url()), response).map_err(SignInError::from)?;
        match (reply.authentication_result, reply.challenge_name) {
            (Some(tokens), _) => Ok(Reply::Tokens(tokens)),
            (None, Some(name)) => Ok(Reply::Challenge(Challenge { name, session: reply.session })),
            (None, None) => bail!("The sign-in brought neither tokens nor a challenge."),
        }
    }

    fn url(&self) -> String {
        let aws = || format!("https://cognito-idp.{}.amazonaws.com", self.profile.region);
        self.profile.endpoint.clone().unwrap_or_else(aws)
    }

    fn call(&self, action: &str, body: &Value) -> Result<Response<Body>, SignInError> {
        let url = self.url();
        let request = Request::post(format!("{}/", url.trim_end_matches('/')))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("AWSCognitoIdentityProviderService.{action}"))
            .body(body.to_string());
        let unusable = |_| TransportError::Unexpected { host: host(&url), what: "the address is unusable".into() };
        let mut response = self.transport.once(request.map_err(unusable)?, false)?;
        if response.status().is_client_error() {
            let said: Value = response.body_mut().read_json().unwrap_or_default();
            let code = said["__type"].as_str().unwrap_or("unknown");
            // Both `Code` and `namespace#Code` are in use.
            return Err(SignInError::Denied { code: code.rsplit('#').next().unwrap_or(code).to_owned() });
        }
        Ok(response)
    }
}
