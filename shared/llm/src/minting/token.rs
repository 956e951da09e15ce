//! A service account's token: a signed statement of who asks (RFC 7523, RS256), exchanged for an hour of access.

use super::said;
use crate::http::{Address, HttpClient, Patience, Refused};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use domain::keys::ApiKey;
use domain::keys::secret::SecretText;
use hyper::Method;
use hyper::body::Bytes;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::{Value, json};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const FORM: &str = "application/x-www-form-urlencoded";
const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
/// The longest that Google gives.
const SECONDS: i64 = 3_600;

/// The file that Google's console gives out for a service account.
#[derive(Deserialize)]
pub struct ServiceAccount {
    /// Where its keys are.
    pub project_id: String,
    client_email: String,
    private_key_id: String,
    private_key: String,
    token_uri: String,
}

/// Why a text is no service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseAccountError {
    /// Not JSON with these fields, or a project's name that cannot stand in an address.
    Shape,
    /// The key is no RSA key in PKCS 8.
    Key,
    /// The address is not encrypted.
    Address,
}

impl ParseAccountError {
    /// A code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Shape => "service_account_shape",
            Self::Key => "service_account_key",
            Self::Address => "service_account_address",
        }
    }
}

impl ServiceAccount {
    /// Reads the file.
    pub fn parse(text: &SecretText) -> Result<Self, ParseAccountError> {
        let account: Self = serde_json::from_str(text.expose()).map_err(|_| ParseAccountError::Shape)?;
        let is_name = |text: &str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-:.".contains(&b))
        };
        if !is_name(&account.project_id) {
            return Err(ParseAccountError::Shape);
        }
        account.pair()?;
        Address::parse(&account.token_uri).map_err(|_| ParseAccountError::Address)?;
        Ok(account)
    }

    fn pair(&self) -> Result<RsaKeyPair, ParseAccountError> {
        let base64: String = self.private_key.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = STANDARD.decode(base64).map_err(|_| ParseAccountError::Key)?;
        RsaKeyPair::from_pkcs8(&der).map_err(|_| ParseAccountError::Key)
    }

    /// The statement: who, what for, to whom, until when.
    fn assertion(&self, now: Timestamp) -> Result<String, ParseAccountError> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.private_key_id });
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now.as_second(),
            "exp": now.as_second() + SECONDS,
        });
        let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let pair = self.pair()?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| ParseAccountError::Key)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// A token for an hour; else a code.
    pub async fn token(&self, http: &HttpClient, now: Timestamp, patience: Patience) -> Result<ApiKey, String> {
        let address = Address::parse(&self.token_uri).map_err(|_| ParseAccountError::Address.code())?;
        let assertion = self.assertion(now).map_err(ParseAccountError::code)?;
        let form = Bytes::from(format!("grant_type={GRANT}&assertion={assertion}"));
        let got = http.exchange((Method::POST, &address, ""), None, Some((FORM, form)), patience).await;
        let bytes = got.map_err(|refused| match &refused {
            // `{"error": "invalid_grant"}`: not the form of Google's other answers.
            Refused::Status { body, .. } => serde_json::from_slice::<Value>(body)
                .ok()
                .and_then(|body| {
                    body["error"].as_str().filter(|e| e.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).map(str::to_owned)
                })
                .unwrap_or_else(|| said(&refused)),
            Refused::Call(_) => said(&refused),
        })?;
        let body: Value = serde_json::from_slice(&bytes).map_err(|_| "malformed")?;
        let token = ApiKey::new(body["access_token"].as_str().unwrap_or_default());
        if token.is_well_formed() { Ok(token) } else { Err("malformed".to_owned()) }
    }
}
