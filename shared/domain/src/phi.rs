//! Protected health information by the names of the law: the 18 identifiers of HIPAA's Safe Harbor, 45 CFR 164.514(b)(2)(i).
//! The de-identifier counts by them, a document's status shows the counts, and a policy may refuse some of them.

use crate::documents::attributes::{Attributes, Tag};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One of the 18 kinds, in the order of the law (A) to (R).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// (A) Names.
    Name,
    /// (B) Every place smaller than a state: street, town, postal code; also the name of a facility, which gives the place.
    Place,
    /// (C) Every part of a date but the year, and ages over 89.
    Date,
    /// (D) Telephone numbers.
    Phone,
    /// (E) Fax numbers.
    Fax,
    /// (F) Addresses of electronic mail.
    Email,
    /// (G) Social security numbers.
    SocialSecurityNumber,
    /// (H) Medical record numbers.
    MedicalRecordNumber,
    /// (I) Numbers of health plan beneficiaries.
    HealthPlanNumber,
    /// (J) Account numbers.
    AccountNumber,
    /// (K) Numbers of certificates and licences.
    LicenseNumber,
    /// (L) Vehicles: identification numbers and plates.
    Vehicle,
    /// (M) Devices: identifiers and serial numbers.
    Device,
    /// (N) Addresses on the web.
    Url,
    /// (O) Addresses of the Internet Protocol.
    IpAddress,
    /// (P) Biometric identifiers. No text holds one; the name is here so that the list is whole.
    Biometric,
    /// (Q) Photographs of faces. Likewise.
    Photograph,
    /// (R) Any other unique number, characteristic or code.
    Other,
}

impl IdentifierKind {
    /// All of them, in the order of the law.
    pub const ALL: [Self; 18] = [
        Self::Name,
        Self::Place,
        Self::Date,
        Self::Phone,
        Self::Fax,
        Self::Email,
        Self::SocialSecurityNumber,
        Self::MedicalRecordNumber,
        Self::HealthPlanNumber,
        Self::AccountNumber,
        Self::LicenseNumber,
        Self::Vehicle,
        Self::Device,
        Self::Url,
        Self::IpAddress,
        Self::Biometric,
        Self::Photograph,
        Self::Other,
    ];

    /// The stable name, which is what serde writes too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Place => "place",
            Self::Date => "date",
            Self::Phone => "phone",
            Self::Fax => "fax",
            Self::Email => "email",
            Self::SocialSecurityNumber => "social_security_number",
            Self::MedicalRecordNumber => "medical_record_number",
            Self::HealthPlanNumber => "health_plan_number",
            Self::AccountNumber => "account_number",
            Self::LicenseNumber => "license_number",
            Self::Vehicle => "vehicle",
            Self::Device => "device",
            Self::Url => "url",
            Self::IpAddress => "ip_address",
            Self::Biometric => "biometric",
            Self::Photograph => "photograph",
            Self::Other => "other",
        }
    }

    /// Reads the stable name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How many identifiers of each kind; those that do not occur are left out.
pub type IdentifierCounts = BTreeMap<IdentifierKind, u32>;

/// Counts identifiers. Says how many and of which kind, never which.
pub trait CountIdentifiers: Send + Sync {
    /// Those of a text.
    fn count(&self, text: &str) -> IdentifierCounts;
}

/// Which documents are held to hold none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collection {
    /// All of them.
    Everything,
    /// Those with this tag when they are indexed.
    Tagged(Tag),
}

/// A policy: a document of the collection that holds identifiers of these kinds is not indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    collection: Collection,
    kinds: BTreeSet<IdentifierKind>,
}

/// The setting is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quarantine is `off`, `all` or `tag:<tag>`, and then ` kinds:<kind>,<kind>` if not the default kinds")]
pub struct ParseQuarantineError;

impl Quarantine {
    /// Kinds that a protocol or a policy has no reason to hold. Names, places and dates are not among them: guidelines have
    /// authors, addresses and days of issue.
    const DEFAULT: [IdentifierKind; 4] = [
        IdentifierKind::SocialSecurityNumber,
        IdentifierKind::MedicalRecordNumber,
        IdentifierKind::HealthPlanNumber,
        IdentifierKind::AccountNumber,
    ];

    /// Reads a setting: `off`, `all` or `tag:<tag>`, with ` kinds:<kind>,<kind>` behind it for other than the default ones.
    pub fn parse(text: &str) -> Result<Option<Self>, ParseQuarantineError> {
        let (collection, kinds) =
            text.split_once(" kinds:").map_or((text, None), |(collection, kinds)| (collection, Some(kinds)));
        let collection = match collection {
            "off" => return Ok(None),
            "all" => Collection::Everything,
            tagged => {
                let tag = tagged.strip_prefix("tag:").ok_or(ParseQuarantineError)?;
                Collection::Tagged(Tag::parse(tag).map_err(|_| ParseQuarantineError)?)
            }
        };
        let kinds = match kinds {
            None => Self::DEFAULT.into_iter().collect(),
            Some(names) => names
                .split(',')
                .map(|name| IdentifierKind::parse(name.trim()).ok_or(ParseQuarantineError))
                .collect::<Result<_, _>>()?,
        };
        Ok(Some(Self { collection, kinds }))
    }

    /// Whether a document has to stay out of the index.
    pub fn holds_back(&self, attributes: &Attributes, counts: &IdentifierCounts) -> bool {
        let is_in = match &self.collection {
            Collection::Everything => true,
            Collection::Tagged(tag) => attributes.tags.contains(tag),
        };
        is_in && counts.keys().any(|kind| self.kinds.contains(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IntoDeserializer as _;

    #[test]
    fn a_quarantine_is_read_or_refused() {
        assert_eq!(Quarantine::parse("off"), Ok(None));
        let all = Quarantine::parse("all").unwrap().unwrap();
        assert!(all.kinds.contains(&IdentifierKind::MedicalRecordNumber) && !all.kinds.contains(&IdentifierKind::Name));
        let tagged = Quarantine::parse("tag:Public kinds:name,date").unwrap().unwrap();
        assert_eq!(tagged.collection, Collection::Tagged(Tag::parse("public").unwrap()));
        assert_eq!(tagged.kinds, BTreeSet::from([IdentifierKind::Name, IdentifierKind::Date]));
        for malformed in ["", "on", "tag:", "all kinds:", "all kinds:shoe size"] {
            assert_eq!(Quarantine::parse(malformed), Err(ParseQuarantineError), "{malformed:?}");
        }
    }

    #[test]
    fn only_the_collection_and_only_the_kinds_are_held_back() {
        let policy = Quarantine::parse("tag:public").unwrap().unwrap();
        let tagged = Attributes { tags: BTreeSet::from([Tag::parse("public").unwrap()]), ..Attributes::default() };
        let counts = |kind| IdentifierCounts::from([(kind, 1)]);
        assert!(policy.holds_back(&tagged, &counts(IdentifierKind::MedicalRecordNumber)));
        assert!(!policy.holds_back(&tagged, &counts(IdentifierKind::Name)));
        assert!(!policy.holds_back(&Attributes::default(), &counts(IdentifierKind::MedicalRecordNumber)));
    }

    #[test]
    fn a_kind_has_one_name() {
        for kind in IdentifierKind::ALL {
            assert_eq!(IdentifierKind::parse(kind.as_str()), Some(kind));
            let name: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = kind.as_str().into_deserializer();
            assert_eq!(IdentifierKind::deserialize(name), Ok(kind));
        }
    }
}
