//! What people say about a document beside its content: title, tags, date, and who may see it. It can change at any time
//! without the document being read again. The registry's row is the truth, the index has a copy; the higher
//! [`Attributes::revision`] wins wherever two meet.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Tags of one document. With [`GROUPS_MAX`] groups they stay below the 2 KB that every known vector store takes to filter by.
pub const TAGS_MAX: usize = 10;
/// Groups of one document.
pub const GROUPS_MAX: usize = 10;
/// Letters of a tag.
const TAG_CHARS_MAX: usize = 32;
/// Bytes of a tag.
const TAG_BYTES_MAX: usize = 64;
/// Letters of a group.
const GROUP_CHARS_MAX: usize = 32;

/// Why something cannot be said about a document. Does not repeat what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseAttributesError {
    /// Not a tag.
    #[error("a tag is 1 to {TAG_CHARS_MAX} letters, digits, single spaces, dashes, dots and underscores")]
    Tag,
    /// Not a group.
    #[error("a group is 1 to {GROUP_CHARS_MAX} of a-z, 0-9 and dashes, and does not begin with a dash")]
    Group,
    /// Not a date.
    #[error("a date is written as YYYY-MM-DD")]
    Date,
    /// Too many tags.
    #[error("a document may have {TAGS_MAX} tags")]
    Tags,
    /// Too many groups.
    #[error("a document may have {GROUPS_MAX} groups")]
    Groups,
    /// The first day is after the last.
    #[error("the range of dates ends before it begins")]
    Range,
}

/// A short label, in lower case: `Sepsis` and `sepsis` are one tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// Reads a tag as a person writes it.
    pub fn parse(text: &str) -> Result<Self, ParseAttributesError> {
        let tag = text.trim().to_lowercase();
        let well_formed = (1..=TAG_CHARS_MAX).contains(&tag.chars().count())
            && tag.len() <= TAG_BYTES_MAX
            && tag.chars().all(|c| c.is_alphanumeric() || " -._".contains(c))
            && tag.starts_with(char::is_alphanumeric)
            && !tag.contains("  ");
        if well_formed { Ok(Self(tag)) } else { Err(ParseAttributesError::Tag) }
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// People of one tenant who may see certain documents, such as `oncology`. In the user pool it is the group `access:oncology`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Group(String);

impl Group {
    /// What the names of the user pool's groups begin with if they are an access group and not a role.
    pub const CLAIM_PREFIX: &str = "access:";

    /// Reads a group's name.
    pub fn parse(text: &str) -> Result<Self, ParseAttributesError> {
        let well_formed = (1..=GROUP_CHARS_MAX).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed { Ok(Self(text.to_owned())) } else { Err(ParseAttributesError::Group) }
    }

    /// Reads the name of a group of the user pool. Roles, and groups that are not ours, are no access group.
    pub fn from_claim(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix(Self::CLAIM_PREFIX)?).ok()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = ParseAttributesError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(label: $name) -> Self {
                label.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

as_text!(Tag);
as_text!(Group);

/// What is said about a document. The default, for objects put straight into the bucket: nothing, and everybody of the
/// tenant may see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// The title that a person gave it later; before that, the one of the upload or of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Labels to search under.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Tag>,
    /// The day that the document speaks of or is valid from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// Who may see it; empty means everybody of the tenant.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<Group>,
    /// Counts the changes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
const fn is_zero(revision: &u32) -> bool {
    *revision == 0
}

impl Attributes {
    /// Reads tags.
    pub fn tags<S: AsRef<str>>(texts: &[S]) -> Result<BTreeSet<Tag>, ParseAttributesError> {
        let tags: BTreeSet<Tag> = texts.iter().map(|text| Tag::parse(text.as_ref())).collect::<Result<_, _>>()?;
        if tags.len() <= TAGS_MAX { Ok(tags) } else { Err(ParseAttributesError::Tags) }
    }

    /// Reads groups.
    pub fn groups<S: AsRef<str>>(texts: &[S]) -> Result<BTreeSet<Group>, ParseAttributesError> {
        let groups: BTreeSet<Group> = texts.iter().map(|text| Group::parse(text.as_ref())).collect::<Result<_, _>>()?;
        if groups.len() <= GROUPS_MAX { Ok(groups) } else { Err(ParseAttributesError::Groups) }
    }

    /// What stays of it when the document is deleted: who could see it, so that nobody else learns that there was one.
    #[must_use]
    pub fn forgotten(&self) -> Self {
        Self { groups: self.groups.clone(), revision: self.revision, ..Self::default() }
    }

    /// The newer of two; of equal ones, this.
    #[must_use]
    pub fn or_newer(self, other: Self) -> Self {
        if other.revision > self.revision { other } else { self }
    }
}

/// Reads a day as `YYYY-MM-DD`, and nothing longer or shorter.
pub fn parse_date(text: &str) -> Result<Date, ParseAttributesError> {
    let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    text.parse().ok().filter(|_| is_plain).ok_or(ParseAttributesError::Date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_short_lower_case_labels() {
        assert_eq!(Tag::parse(" Sepsis 6 ").unwrap().as_str(), "sepsis 6");
        assert_eq!(Tag::parse("Étage-2").unwrap().as_str(), "étage-2");
        for bad in ["", " ", "-a", "a,b", "a/b", "a  b", "a\nb", "a\u{0}", &"a".repeat(33), &"日".repeat(22)] {
            assert_eq!(Tag::parse(bad), Err(ParseAttributesError::Tag), "{bad:?}");
        }
    }

    #[test]
    fn groups_are_told_from_roles_by_their_prefix() {
        assert_eq!(Group::from_claim("access:oncology"), Some(Group::parse("oncology").unwrap()));
        for other in ["oncology", "document-admin", "access:", "access:-x", "access:Onc", "Access:onc", "access:*"] {
            assert_eq!(Group::from_claim(other), None, "{other}");
        }
    }

    #[test]
    fn the_numbers_of_tags_and_groups_are_bounded() {
        let many: Vec<String> = (0..=TAGS_MAX).map(|n| format!("t{n}")).collect();
        assert_eq!(Attributes::tags(&many), Err(ParseAttributesError::Tags));
        assert_eq!(Attributes::groups(&many), Err(ParseAttributesError::Groups));
        assert_eq!(Attributes::tags(&many[1..]).unwrap().len(), TAGS_MAX);
        assert_eq!(Attributes::tags(&["a", "A", "a "]).unwrap().len(), 1, "repeats count once");
    }

    #[test]
    fn dates_are_days_that_there_are() {
        assert_eq!(parse_date("2024-02-29").unwrap().to_string(), "2024-02-29");
        for bad in ["", "2023-02-29", "2024-2-9", "20240229", "2024-02-29T00:00", "-002024-02-29", "+24-02-29", "0000-00-00"] {
            assert_eq!(parse_date(bad), Err(ParseAttributesError::Date), "{bad:?}");
        }
    }

    #[test]
    fn the_wire_form_leaves_out_what_is_not_said_and_takes_no_malformed_label() {
        let plain = serde_json::to_string(&Attributes::default()).unwrap();
        assert_eq!(plain, "{}");
        assert_eq!(serde_json::from_str::<Attributes>(&plain).unwrap(), Attributes::default());
        let full = r#"{"title":"T","tags":["sepsis"],"date":"2024-02-29","groups":["icu"],"revision":2}"#;
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Attributes>(full).unwrap()).unwrap(), full);
        assert!(serde_json::from_str::<Attributes>(r#"{"groups":["*"]}"#).is_err());
    }

    #[test]
    fn the_newer_of_two_wins() {
        let revision = |revision| Attributes { revision, ..Attributes::default() };
        assert_eq!(revision(1).or_newer(revision(2)).revision, 2);
        assert_eq!(revision(2).or_newer(revision(1)).revision, 2);
    }
}
