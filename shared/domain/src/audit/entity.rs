//! What an event is about, and the details it may carry. Neither has a constructor for free text: ids are ours, keyed
//! pseudonyms, or labels that operators gave; details are counts, codes, times and ids.

use crate::ids::{ConversationId, DocumentId, ParseIdError, TenantId};
use crate::text::hexadecimal;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use ulid::Ulid;

/// A name that an operator gave to a thing: a model, a secret, a setting, a backup. `[a-z0-9][a-z0-9._:/-]{0,95}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Label(String);

impl Label {
    /// Reads a label.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let well_formed = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._:/-".contains(&b));
        if begins_well && well_formed && text.len() <= 96 {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseIdError { kind: "label" })
        }
    }

    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands for an identifier of another system: the same for the same identifier of a tenant, another for every other
/// tenant, and nothing can be read from it without the key (ADR 9).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Pseudonym(String);

impl Pseudonym {
    /// What every pseudonym begins with: the kind, and the generation of the key.
    pub const PREFIX: &'static str = "psn1_";

    /// From the first 16 bytes of a keyed digest.
    pub fn of(digest: &[u8; 32]) -> Self {
        Self(format!("{}{}", Self::PREFIX, crate::text::hexadecimal(&digest[..16])))
    }

    /// Reads a pseudonym that an auditor copied from a row.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let digits = text.strip_prefix(Self::PREFIX).unwrap_or_default();
        let well_formed = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if well_formed { Ok(Self(text.to_owned())) } else { Err(ParseIdError { kind: "pseudonym" }) }
    }

    /// The pseudonym as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The kinds of things of other systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideKind {
    /// A bill.
    Bill,
    /// An insurance claim.
    Claim,
    /// A person's or program's account.
    Account,
    /// A patient.
    Patient,
    /// A record about somebody.
    Record,
}

impl OutsideKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Bill, Self::Claim, Self::Account, Self::Patient, Self::Record];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bill => "bill",
            Self::Claim => "claim",
            Self::Account => "account",
            Self::Patient => "patient",
            Self::Record => "record",
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "entity_type", content = "entity_id", rename_all = "snake_case")]
pub enum Entity {
    /// A document.
    Document(DocumentId),
    /// The documents of a tenant.
    Documents(TenantId),
    /// A conversation.
    Conversation(ConversationId),
    /// The audit trail of a tenant.
    Trail(TenantId),
    /// A budget or a limit, by name.
    Limit(Label),
    /// A language model or its provider.
    Model(Label),
    /// A secret, by name, never by value.
    Secret(Label),
    /// A backup.
    Backup(Label),
    /// A route of the API.
    Route(Label),
    /// A setting of another system.
    Setting(Label),
    /// Another system.
    System(Label),
    /// Something of another system, by pseudonym.
    Outside(OutsideKind, Pseudonym),
}

impl Entity {
    /// The stable name of the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Document(_) => "document",
            Self::Documents(_) => "documents",
            Self::Conversation(_) => "conversation",
            Self::Trail(_) => "trail",
            Self::Limit(_) => "limit",
            Self::Model(_) => "model",
            Self::Secret(_) => "secret",
            Self::Backup(_) => "backup",
            Self::Route(_) => "route",
            Self::Setting(_) => "setting",
            Self::System(_) => "system",
            Self::Outside(kind, _) => kind.as_str(),
        }
    }

    /// The id.
    pub fn id(&self) -> &str {
        match self {
            Self::Document(id) => id.as_str(),
            Self::Documents(tenant) | Self::Trail(tenant) => tenant.as_str(),
            Self::Conversation(id) => id.as_str(),
            Self::Limit(label)
            | Self::Model(label)
            | Self::Secret(label)
            | Self::Backup(label)
            | Self::Route(label)
            | Self::Setting(label)
            | Self::System(label) => label.as_str(),
            Self::Outside(_, pseudonym) => pseudonym.as_str(),
        }
    }
}

/// A detail of an event: a number, one of our own codes, a time, or ids. There is no way to put text in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AuditValue {
    /// How many.
    Count(u64),
    /// One of our own constants.
    Code(&'static str),
    /// A name that an operator gave.
    Label(Label),
    /// When something happened, by another clock.
    Time(Timestamp),
    /// Documents, by id.
    Documents(Vec<DocumentId>),
    /// Another event, by id.
    #[serde(serialize_with = "event_id")]
    Event(Ulid),
    /// SHA-256 of bytes that are not kept here.
    #[serde(serialize_with = "hexadecimal_digest")]
    Digest([u8; 32]),
}

fn hexadecimal_digest<S: Serializer>(digest: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&hexadecimal(digest))
}

fn event_id<S: Serializer>(id: &Ulid, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_pseudonyms_take_no_text() {
        for good in ["gemini-3.1-flash", "clinchat/dev/gemini", "user:day", "a"] {
            assert_eq!(Label::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "Jane Doe", "jane doe", "-a", "é", &"a".repeat(97)] {
            assert!(Label::parse(bad).is_err(), "{bad:?}");
        }
        let pseudonym = Pseudonym::of(&[0xab; 32]);
        assert_eq!(pseudonym.as_str(), format!("psn1_{}", "ab".repeat(16)));
        assert_eq!(Pseudonym::parse(pseudonym.as_str()), Ok(pseudonym));
        for bad in ["psn1_", "jane", &format!("psn1_{}", "AB".repeat(16)), &format!("psn1_{}", "ab".repeat(17))] {
            assert!(Pseudonym::parse(bad).is_err(), "{bad:?}");
        }
    }
}
