//! The names of things. Parsed once at the edge; inside there are no bare strings.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use ulid::Ulid;

/// An identifier that does not have the form it must have. Does not repeat the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} does not have the form of one")]
pub struct ParseIdError {
    /// Which kind of identifier, for the message.
    pub kind: &'static str,
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

string_id!(
    /// The outer wall: an organisation or department whose documents nobody else sees. `[a-z0-9][a-z0-9-]{0,31}`.
    TenantId
);
string_id!(
    /// A document: `doc_` and 26 characters, the same for every version of one object key.
    DocumentId
);
string_id!(
    /// A verified person or program (the token's `sub`).
    SubjectId
);
string_id!(
    /// One request or event, from the API to the audit row. Shown to people as `trace_id`.
    RequestId
);
string_id!(
    /// A conversation: a ULID.
    ConversationId
);

impl TenantId {
    /// Reads a tenant's name.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let well_formed = (1..=32).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed { Ok(Self(text.to_owned())) } else { Err(ParseIdError { kind: "tenant" }) }
    }
}

impl TenantId {
    /// Whose trail has what belongs to no tenant: what people do who have none, and what is found about all of them. No tenant is
    /// to be given this name.
    pub fn deployment() -> Self {
        Self("deployment".to_owned())
    }
}

impl DocumentId {
    /// The id of the document that lives at an object key. Derived, so that a straight upload needs no registry first
    /// and a second upload to the same key is a new version of the same document.
    pub fn for_key(tenant: &TenantId, key: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(tenant.as_str());
        hasher.update([0]);
        hasher.update(key);
        let mut first = [0_u8; 16];
        first.copy_from_slice(&hasher.finalize()[..16]);
        Self(format!("doc_{}", Ulid::from_bytes(first).to_string().to_ascii_lowercase()))
    }

    /// Reads an id that a caller sent.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let wrong = ParseIdError { kind: "document id" };
        let rest = text.strip_prefix("doc_").ok_or(wrong)?;
        let well_formed = rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(wrong) }
    }
}

impl SubjectId {
    /// Reads a token's subject: up to 128 printable ASCII characters.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let well_formed = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(ParseIdError { kind: "subject" }) }
    }

    /// The subject of work that no person asked for directly, such as an object put straight into the bucket.
    pub fn system(function: &'static str) -> Self {
        Self(format!("system:{function}"))
    }
}

impl RequestId {
    /// Reads a request id as the platform hands it over; anything odd in it is dropped rather than trusted.
    pub fn new(text: &str) -> Self {
        Self(text.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.=:;".contains(*c)).take(128).collect())
    }
}

impl ConversationId {
    /// Reads a conversation's id.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        Ulid::from_string(text).map(|id| Self(id.to_string())).map_err(|_| ParseIdError { kind: "conversation id" })
    }

    /// A new conversation.
    pub fn new(id: Ulid) -> Self {
        Self(id.to_string())
    }
}

/// The order of events on one object key, as S3 gives it: hexadecimal, compared after padding to equal length.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequencer(String);

impl Sequencer {
    /// S3's sequencers have 16 to 18 digits today; room for growth, and a fixed width so that text order is the order.
    const WIDTH: usize = 40;

    /// Reads a sequencer and brings it to the fixed width.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let well_formed = (1..=Self::WIDTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !well_formed {
            return Err(ParseIdError { kind: "sequencer" });
        }
        Ok(Self(format!("{:0>width$}", text.to_ascii_lowercase(), width = Self::WIDTH)))
    }

    /// The padded text: what is stored and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where new identifiers come from. Passed in, so that tests are deterministic.
pub trait IdSource: Send + Sync {
    /// A new identifier for something that happens now.
    fn next(&self, now: Timestamp) -> Ulid;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_narrow() {
        assert!(TenantId::parse("main").is_ok());
        for bad in ["", "-a", "Main", "a/b", "a.b", &"a".repeat(33)] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_key_has_one_document_and_tenants_differ() {
        let (main, west) = (TenantId::parse("main").unwrap(), TenantId::parse("west").unwrap());
        let id = DocumentId::for_key(&main, "tenants/main/a.pdf");
        assert_eq!(id, DocumentId::for_key(&main, "tenants/main/a.pdf"));
        assert_ne!(id, DocumentId::for_key(&west, "tenants/main/a.pdf"));
        assert_eq!(DocumentId::parse(id.as_str()), Ok(id));
        assert!(DocumentId::parse("doc_../../etc").is_err());
    }

    #[test]
    fn sequencers_compare_by_value_not_by_length() {
        let short = Sequencer::parse("ff").unwrap();
        let long = Sequencer::parse("0100").unwrap();
        assert!(short < long);
        assert_eq!(Sequencer::parse("00FF").unwrap(), short);
        assert!(Sequencer::parse("xyz").is_err());
    }

    #[test]
    fn request_ids_lose_what_could_break_a_log_line() {
        assert_eq!(RequestId::new("abc-1\n\"{}").as_str(), "abc-1");
    }
}
