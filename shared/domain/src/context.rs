//! Who asks, for whom, when: handed to every use case.

use crate::documents::attributes::{Attributes, Group};
use crate::ids::{ParseIdError, RequestId, SubjectId, TenantId};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// What a person may do. The names are the user pool's groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Asks questions and opens cited pages.
    Clinician,
    /// Uploads and deletes documents.
    DocumentAdmin,
    /// Reads the audit trail.
    Auditor,
    /// Runs the system.
    Operator,
    /// Decides who may see which document.
    AccessAdmin,
    /// Another system that reports events to the audit trail, and may do nothing else.
    AuditSource,
}

impl Role {
    /// Reads a group's name. Groups that are not ours (a federated directory has many) are no role.
    pub fn from_group(group: &str) -> Option<Self> {
        Some(match group {
            "clinician" => Self::Clinician,
            "document-admin" => Self::DocumentAdmin,
            "auditor" => Self::Auditor,
            "operator" => Self::Operator,
            "access-admin" => Self::AccessAdmin,
            "audit-source" => Self::AuditSource,
            _ => return None,
        })
    }

    /// The group's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clinician => "clinician",
            Self::DocumentAdmin => "document-admin",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::AccessAdmin => "access-admin",
            Self::AuditSource => "audit-source",
        }
    }
}

/// A verified person or program and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The token's `sub`.
    pub subject: SubjectId,
    /// The roles, without repeats.
    pub roles: Vec<Role>,
    /// The access groups that the person is in.
    pub groups: BTreeSet<Group>,
    /// The department that pays for what the person asks, if there is one.
    pub department: Option<Department>,
}

/// A department that has a budget of its own: what comes after `department:` in the name of a group of the user pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Department(String);

impl Department {
    /// What the names of the user pool's groups begin with if they are a department.
    pub const CLAIM_PREFIX: &str = "department:";

    /// Reads a department's name: `[a-z0-9][a-z0-9-]{0,31}`.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let well_formed = (1..=32).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed { Ok(Self(text.to_owned())) } else { Err(ParseIdError { kind: "department" }) }
    }

    /// Reads the name of a group of the user pool.
    pub fn from_claim(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix(Self::CLAIM_PREFIX)?).ok()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Something that takes a role. One entry per kind of act, so that the whole policy is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Ask a question.
    Ask,
    /// See which documents there are and their state.
    ListDocuments,
    /// Open a document's content.
    OpenDocument,
    /// Upload a document.
    UploadDocument,
    /// Delete a document.
    DeleteDocument,
    /// Change a document's title, tags or date.
    EditDocument,
    /// See what language models cost.
    ViewCost,
    /// List every document of the tenant, and set groups that one is not in. Opening one still takes a group of it.
    GrantAccess,
    /// Report another system's events to the audit trail.
    ReportEvents,
    /// Search the audit trail and take parts of it out.
    ReadTrail,
}

impl Act {
    /// The roles that may do this. Deny by default: who is not named may not.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Ask | Self::OpenDocument => &[Role::Clinician, Role::DocumentAdmin],
            Self::ListDocuments => &[Role::Clinician, Role::DocumentAdmin, Role::Operator, Role::AccessAdmin],
            Self::UploadDocument | Self::DeleteDocument | Self::EditDocument => &[Role::DocumentAdmin],
            Self::GrantAccess => &[Role::AccessAdmin],
            Self::ViewCost => &[Role::Operator],
            Self::ReportEvents => &[Role::AuditSource],
            Self::ReadTrail => &[Role::Auditor],
        }
    }
}

/// The caller's roles do not allow the act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this needs one of the roles: {}", .needed.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", "))]
pub struct NotAllowed {
    /// Any of these would do.
    pub needed: &'static [Role],
}

/// One request or event.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who acts.
    pub actor: Actor,
    /// For which tenant. Taken from the verified token or the object's key, never from a body.
    pub tenant: TenantId,
    /// Follows the question from the API to the audit row.
    pub request_id: RequestId,
    /// The time of the request.
    pub now: Timestamp,
}

impl Context {
    /// Whether the actor may do this.
    pub fn allow(&self, act: Act) -> Result<(), NotAllowed> {
        let needed = act.roles();
        if self.actor.roles.iter().any(|role| needed.contains(role)) { Ok(()) } else { Err(NotAllowed { needed }) }
    }

    /// What the actor may see.
    pub fn scope(&self) -> Scope {
        Scope { tenant: self.tenant.clone(), groups: self.actor.groups.clone() }
    }
}

/// The part of the documents that somebody may see. Only a [`Context`] makes one, so its groups are those of the verified
/// token: a search cannot be asked for without saying for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    tenant: TenantId,
    groups: BTreeSet<Group>,
}

impl Scope {
    /// The wall.
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The access groups.
    pub const fn groups(&self) -> &BTreeSet<Group> {
        &self.groups
    }

    /// Whether a document of this tenant may be seen.
    pub fn sees(&self, attributes: &Attributes) -> bool {
        attributes.groups.is_empty() || !attributes.groups.is_disjoint(&self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(roles: &[Role]) -> Context {
        Context {
            actor: Actor {
                subject: SubjectId::parse("person-1").unwrap(),
                roles: roles.to_vec(),
                groups: BTreeSet::new(),
                department: None,
            },
            tenant: TenantId::parse("main").unwrap(),
            request_id: RequestId::new("r"),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn nobody_without_a_role_may_do_anything() {
        let acts = [Act::Ask, Act::ListDocuments, Act::OpenDocument, Act::UploadDocument, Act::DeleteDocument];
        for act in acts.into_iter().chain([Act::EditDocument, Act::GrantAccess, Act::ReportEvents, Act::ReadTrail]) {
            assert!(context(&[]).allow(act).is_err());
        }
    }

    #[test]
    fn a_document_is_seen_by_everybody_or_by_its_groups() {
        let groups = |names: &[&str]| Attributes::groups(names).unwrap();
        let scope = |names: &[&str]| {
            let mut context = context(&[Role::Clinician]);
            context.actor.groups = groups(names);
            context.scope()
        };
        let of = |names: &[&str]| Attributes { groups: groups(names), ..Attributes::default() };
        for (theirs, documents, expected) in [
            (&[][..], &[][..], true),
            (&["icu"], &[], true),
            (&[], &["icu"], false),
            (&["icu"], &["icu"], true),
            (&["icu"], &["ward"], false),
            (&["icu", "ward"], &["theatre", "ward"], true),
        ] {
            assert_eq!(scope(theirs).sees(&of(documents)), expected, "{theirs:?} {documents:?}");
        }
    }

    #[test]
    fn clinicians_ask_but_do_not_upload() {
        let clinician = context(&[Role::Clinician]);
        assert!(clinician.allow(Act::Ask).is_ok());
        assert!(clinician.allow(Act::OpenDocument).is_ok());
        assert!(clinician.allow(Act::UploadDocument).is_err());
        assert!(context(&[Role::Auditor]).allow(Act::Ask).is_err());
    }

    #[test]
    fn group_names_round_trip() {
        for role in [Role::Clinician, Role::DocumentAdmin, Role::Auditor, Role::Operator, Role::AccessAdmin, Role::AuditSource] {
            assert_eq!(Role::from_group(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_group("admin"), None);
    }
}
