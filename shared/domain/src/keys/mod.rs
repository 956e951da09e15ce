//! Keys of providers outside the account: what one is, in which stage it can be, the port that brings them, and how one is
//! replaced by another without a question that fails (`rotation`; ADR 15).

pub mod pool;
pub mod rotation;
pub mod secret;

use crate::fault::PortError;
use async_trait::async_trait;
use jiff::Timestamp;
use std::fmt;

/// A key. Its value can be seen only by whoever says `expose`; it is in no log line and no error.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key of this value, without the white space that pasting brings.
    pub fn new(value: &str) -> Self {
        Self(value.trim().to_owned())
    }

    /// Whether it can stand in a header: visible ASCII, and not endless.
    pub fn is_well_formed(&self) -> bool {
        (1..=512).contains(&self.0.len()) && self.0.bytes().all(|b| b.is_ascii_graphic())
    }

    /// The value, for the header that it goes into.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// A version of a secret, by the store's own id: it may be logged and compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyVersion(pub String);

/// Where a version is in its rotation, as Secrets Manager names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretStage {
    /// In use.
    Current,
    /// Being introduced.
    Pending,
    /// Just replaced, and good for some time yet.
    Previous,
}

impl SecretStage {
    /// The order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Current, Self::Pending, Self::Previous];

    /// The store's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Pending => "AWSPENDING",
            Self::Previous => "AWSPREVIOUS",
        }
    }
}

/// A key and which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Which version.
    pub version: KeyVersion,
    /// The value.
    pub value: ApiKey,
}

/// The code of a [`KeyRing`]'s error if there is no version in use.
pub const NO_KEY: &str = "no key";
/// The code of a [`KeyRing`]'s error if the version in use holds something else.
pub const MALFORMED_KEY: &str = "malformed key";

/// Brings the keys of one provider.
#[async_trait]
pub trait KeyRing: Send + Sync {
    /// The key in use. It may have been read up to a minute ago. [`NO_KEY`] or [`MALFORMED_KEY`] if there is none: then
    /// [`KeyRing::after`] may bring another.
    async fn current(&self) -> Result<Key, PortError>;

    /// The next key to try after the provider refused these, read anew: the current one, the pending one, the previous one.
    /// `None` if every version was refused.
    async fn after(&self, refused: &[KeyVersion]) -> Result<Option<Key>, PortError>;
}

/// How often a provider has refused a version of a key to a question. Only the chat function sees that; only the rotation
/// acts on it.
#[async_trait]
pub trait RefusalLog: Send + Sync {
    /// Notes a refusal.
    async fn note(&self, provider: &'static str, version: &KeyVersion, now: Timestamp) -> Result<(), PortError>;

    /// How many there were since a time, to the minute.
    async fn count(&self, provider: &'static str, version: &KeyVersion, since: Timestamp) -> Result<u32, PortError>;

    /// Whether there was one of any version since a time, to the minute: one cheap question, so that it can be asked often.
    async fn has_any(&self, provider: &'static str, since: Timestamp) -> Result<bool, PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = Key { version: KeyVersion("v1".into()), value: ApiKey::new(" canary-4711\n") };
        assert_eq!(key.value.expose(), "canary-4711");
        assert!(!format!("{key:?}").contains("canary"));
    }
}
