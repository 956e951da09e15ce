//! The port to a secret with versions and labels, as Secrets Manager keeps one. A version's text never changes; a label is on
//! one version at most, and moving it is one atomic step that fails if it is not where the caller says. Everything that a
//! rotation has to remember is in these labels, so that there is no second store that could disagree.

use super::{ApiKey, KeyVersion, SecretStage};
use crate::audit::Label;
use crate::fault::{Fault, PortError};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is in a version. It can be seen only by whoever says `expose`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// A text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the call that stores or reads it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// A version, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionState {
    /// What it is labelled with. A version without a label is gone, or will be.
    pub labels: BTreeSet<String>,
    /// When it was stored.
    pub created: Timestamp,
}

/// A secret, without its texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretState {
    /// The versions that have a label.
    pub versions: BTreeMap<KeyVersion, VersionState>,
    /// Whether the store calls the rotation by itself.
    pub is_rotation_enabled: bool,
    /// Whether it is scheduled for deletion.
    pub is_deleted: bool,
}

impl SecretState {
    /// The version that has a label.
    pub fn holder(&self, label: &str) -> Option<&KeyVersion> {
        self.versions.iter().find(|(_, version)| version.labels.contains(label)).map(|(id, _)| id)
    }

    /// The version in a stage.
    pub fn in_stage(&self, stage: SecretStage) -> Option<&KeyVersion> {
        self.holder(stage.as_str())
    }

    /// Whether a version has a label.
    pub fn has(&self, version: &KeyVersion, label: &str) -> bool {
        self.versions.get(version).is_some_and(|version| version.labels.contains(label))
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such secret.
    #[error("there is no such secret")]
    Missing,
    /// It is scheduled for deletion.
    #[error("the secret is scheduled for deletion")]
    Deleted,
    /// The version has another text already.
    #[error("the version has another text already")]
    Taken,
    /// The label is not where the caller thought that it was.
    #[error("the label is on another version")]
    Moved,
    /// No more labels or versions fit.
    #[error("the secret has as many versions as it can have")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl SecretError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Missing => Fault::Missing,
            Self::Deleted | Self::Taken | Self::Moved | Self::Full => Fault::Conflict,
            Self::Port(error) => error.fault(),
        }
    }
}

/// One secret.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Its versions and labels.
    async fn describe(&self) -> Result<SecretState, SecretError>;

    /// The text of a version; nothing if it has none, or is not there.
    async fn read(&self, version: &KeyVersion) -> Result<Option<SecretText>, SecretError>;

    /// Stores a text as a new version and puts a label on it, which the version that had it loses. The same text again changes
    /// nothing, its labels neither.
    async fn put(&self, version: &KeyVersion, text: &SecretText, label: &str) -> Result<(), SecretError>;

    /// Moves a label in one step: from a version, if one has it, to a version, or away. `Moved` if it is on another one.
    /// Where [`SecretStage::Current`] goes, [`SecretStage::Previous`] is left behind.
    async fn move_label(&self, label: &str, from: Option<&KeyVersion>, to: Option<&KeyVersion>) -> Result<(), SecretError>;
}

/// What is in a version: the key and which one it is. Written with its fields in one order, so that the same key is the same
/// text.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBody {
    /// The key.
    pub key: ApiKey,
    /// Its name in the pool, or at the provider; none if somebody put in the key alone.
    pub id: Option<Label>,
}

impl fmt::Debug for KeyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBody").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct BodyJson {
    api_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
}

/// The text holds no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret's text is not a key and not {{\"api_key\": \"...\"}}")]
pub struct ParseKeyBodyError;

impl KeyBody {
    /// Reads a text: the key alone, or `{"api_key": "...", "key_id": "..."}`.
    pub fn parse(text: &SecretText) -> Result<Self, ParseKeyBodyError> {
        let text = text.expose().trim();
        let body = if text.starts_with(['{', '[', '"']) {
            // By name only: a list would pass for the body, its first element for the key.
            let body = text.starts_with('{').then(|| serde_json::from_str::<BodyJson>(text).ok()).flatten();
            let body = body.ok_or(ParseKeyBodyError)?;
            let id = body.key_id.map(|id| Label::parse(&id)).transpose().map_err(|_| ParseKeyBodyError)?;
            Self { key: ApiKey::new(&body.api_key), id }
        } else {
            Self { key: ApiKey::new(text), id: None }
        };
        if body.key.is_well_formed() { Ok(body) } else { Err(ParseKeyBodyError) }
    }

    /// The text to store.
    pub fn text(&self) -> SecretText {
        let body = BodyJson { api_key: self.key.expose().to_owned(), key_id: self.id.as_ref().map(|id| id.as_str().to_owned()) };
        SecretText(serde_json::to_string(&body).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(String, Option<String>)> {
        let body = KeyBody::parse(&SecretText::new(text.to_owned())).ok()?;
        Some((body.key.expose().to_owned(), body.id.map(|id| id.as_str().to_owned())))
    }

    #[test]
    fn a_body_is_a_key_or_json_and_nothing_else() {
        assert_eq!(parse("AIza-1\n"), Some(("AIza-1".into(), None)));
        assert_eq!(parse("{\"api_key\": \" gsk_1 \"}"), Some(("gsk_1".into(), None)));
        assert_eq!(parse("{\"api_key\":\"a\",\"key_id\":\"k1\",\"x\":1}"), Some(("a".into(), Some("k1".into()))));
        let nothing = ["", " ", "{}", "{broken", "[\"a\"]", "\"a\"", "{\"api_key\":\"\"}", "{\"api_key\":5}", "two words"];
        for nothing in nothing.into_iter().chain(["{\"api_key\":\"a\",\"key_id\":\"Not an id\"}", "{\"api_key\":\"a\\nb\"}"]) {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_same_key_is_the_same_text_and_no_debug_shows_it() {
        let body = KeyBody { key: ApiKey::new("canary-1"), id: Label::parse("k1").ok() };
        assert_eq!(body.text().expose(), "{\"api_key\":\"canary-1\",\"key_id\":\"k1\"}");
        assert_eq!(KeyBody::parse(&body.text()).unwrap(), body);
        assert!(!format!("{body:?} {:?}", body.text()).contains("canary"));
    }
}
