//! The documents API's use cases: announce an upload, list, show, link to the content, describe, delete. A document that the
//! caller's groups do not allow to see answers as if it were not there.

use super::attributes::{Attributes, Group, Tag};
use super::index_object::META_TITLE;
use super::pages::Format;
use super::receipt::Receipt;
use super::registry::{Document, DocumentPage, DocumentRegistry, Status};
use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Intent, Outcome};
use crate::context::{Act, Context, NotAllowed};
use crate::fault::{Fault, PortError};
use crate::ids::{DocumentId, IdSource};
use crate::objects::{Link, LinkSigner, ObjectWriter, UploadTerms};
use crate::retrieval::IndexWriter;
use jiff::SignedDuration;
use jiff::civil::Date;
use std::collections::BTreeSet;

/// Rows per page of a list, and the most a caller may ask for: one registry read stays well under its 1 MB.
pub const LIST_LIMIT_MAX: u32 = 200;
/// Rows per read of the registry: what one query brings in a single answer of its 1 MB, with long titles.
const LIST_ROWS: u32 = 500;
/// Long enough for a file name, short enough for the object metadata it travels in (2 KB after encoding).
const NAME_CHARS_MAX: usize = 200;
/// Object metadata may have 2 KB in all, and a title is percent-encoded there: a letter can take twelve bytes.
const TITLE_BYTES_MAX: usize = 1_800;
/// The bucket's event and the indexer take seconds; after an hour the event is lost or parked, and the state must say so.
const DELETING_S: i64 = 3_600;
/// A content link is opened at once by the page that asked for it.
pub(super) const CONTENT_LINK_S: u32 = 300;

/// What a caller announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// File name, with the extension that tells the format.
    pub name: String,
    /// What people call it; the file's own title or its name if absent.
    pub title: Option<String>,
    /// Exact size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// The media type, if the caller names one; must be the one of the name's extension.
    pub media_type: Option<String>,
    /// Labels to search under.
    pub tags: BTreeSet<Tag>,
    /// The day that the document speaks of or is valid from.
    pub date: Option<Date>,
    /// Who may see it; empty means everybody of the tenant.
    pub groups: BTreeSet<Group>,
}

/// What is to be said about a document from now on; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The title.
    pub title: Option<String>,
    /// The tags.
    pub tags: Option<BTreeSet<Tag>>,
    /// The date; `Some(None)` takes it away.
    pub date: Option<Option<Date>>,
    /// The groups.
    pub groups: Option<BTreeSet<Group>>,
}

impl Description {
    fn apply(&self, attributes: &Attributes) -> Attributes {
        let before = attributes.clone();
        Attributes {
            title: self.title.clone().or(before.title),
            tags: self.tags.clone().unwrap_or(before.tags),
            date: self.date.unwrap_or(before.date),
            groups: self.groups.clone().unwrap_or(before.groups),
            revision: before.revision,
        }
    }
}

/// The answer to an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The row that was written.
    pub document: Document,
    /// Where to send the bytes.
    pub link: Link,
    /// Life of the link in seconds.
    pub expires_s: u32,
}

/// Why a documents request was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManageDocumentsError {
    /// The caller's roles do not allow it.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// There is no such document, or it is another tenant's: the same answer.
    #[error("there is no such document")]
    Missing,
    /// The file name is empty, too long, or has control characters or slashes.
    #[error("the name must be 1 to {NAME_CHARS_MAX} characters without slashes or control characters")]
    BadName,
    /// The title is empty, too long, or has control characters.
    #[error("the title must be 1 to {NAME_CHARS_MAX} characters without control characters")]
    BadTitle,
    /// The extension is none of the accepted ones, or the media type is another's.
    #[error("accepted are .pdf, .docx, .html, .md, .txt and .csv, with the media type of the extension")]
    BadFormat,
    /// The size is zero or over the limit.
    #[error("the size must be 1 to {limit} bytes")]
    BadSize {
        /// The limit in bytes.
        limit: u64,
    },
    /// Groups were to be set or taken away that the caller is not in.
    #[error("only groups that one is in can be set or taken away; others take the role access-admin")]
    ForeignGroups,
    /// Nothing was uploaded yet, or it is gone.
    #[error("the document has no content to open")]
    NoContent,
    /// It is not deleted, or nothing of it had ever arrived.
    #[error("there is no receipt: the document is not deleted, or nothing of it had arrived")]
    NoReceipt,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ManageDocumentsError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotAllowed(_) | Self::ForeignGroups => Fault::Denied,
            Self::Missing => Fault::Missing,
            Self::BadName | Self::BadTitle | Self::BadFormat | Self::BadSize { .. } => Fault::Caller,
            Self::NoContent | Self::NoReceipt => Fault::Conflict,
            Self::Port(error) => error.fault(),
        }
    }
}

/// The use cases with their ports.
pub struct ManageDocuments<'a> {
    /// The registry.
    pub registry: &'a dyn DocumentRegistry,
    /// Signs links.
    pub links: &'a dyn LinkSigner,
    /// Removes objects.
    pub objects: &'a dyn ObjectWriter,
    /// What searches see.
    pub index: &'a dyn IndexWriter,
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
    /// Largest document in bytes.
    pub size_bytes_max: u64,
    /// Life of an upload link in seconds.
    pub upload_link_s: u32,
}

impl ManageDocuments<'_> {
    /// Answers a link to which exactly the announced bytes can be sent.
    pub async fn announce(&self, context: &Context, announcement: &Announcement) -> Result<Announced, ManageDocumentsError> {
        context.allow(Act::UploadDocument)?;
        check_groups(context, &BTreeSet::new(), &announcement.groups)?;
        let name = announcement.name.trim();
        check_name(name)?;
        if let Some(title) = &announcement.title {
            check_title(title)?;
        }
        let format = Format::from_name(name).ok_or(ManageDocumentsError::BadFormat)?;
        if announcement.media_type.as_deref().is_some_and(|named| !named.eq_ignore_ascii_case(format.media_type())) {
            return Err(ManageDocumentsError::BadFormat);
        }
        check_size(announcement.size_bytes, self.size_bytes_max)?;
        let key = format!("tenants/{}/{}/{}", context.tenant, self.ids.next(context.now), object_name(name));
        let title =
            announcement.title.clone().unwrap_or_else(|| name.rsplit_once('.').map_or(name, |(stem, _)| stem).replace('_', " "));
        let has_attributes = !announcement.tags.is_empty() || announcement.date.is_some() || !announcement.groups.is_empty();
        let document = Document {
            id: DocumentId::for_key(&context.tenant, &key),
            tenant: context.tenant.clone(),
            key,
            title,
            attributes: Attributes {
                title: None,
                tags: announcement.tags.clone(),
                date: announcement.date,
                groups: announcement.groups.clone(),
                revision: u32::from(has_attributes),
            },
            format: Some(format),
            status: Status::AwaitingUpload,
            reason: None,
            progress: None,
            pages: None,
            chunks: None,
            identifiers: None,
            size_bytes: Some(announcement.size_bytes),
            version: None,
            searchable_version: None,
            sequencer: None,
            uploaded_by: Some(context.actor.subject.clone()),
            receipt: None,
            created_at: context.now,
            updated_at: context.now,
            valid_until: Some(context.now + SignedDuration::from_secs(self.upload_link_s.into())),
        };
        let mut metadata = std::collections::BTreeMap::new();
        if let Some(title) = &announcement.title {
            metadata.insert(META_TITLE, encode_title(title));
        }
        let terms = UploadTerms {
            size_bytes: announcement.size_bytes,
            media_type: format.media_type(),
            sha256: announcement.sha256,
            metadata,
            expires_s: self.upload_link_s,
        };
        // The row and the link outlive a death of this function: the trail says first that they are coming.
        let entity = Entity::Document(document.id.clone());
        let event = AuditEvent::new(self.ids, context, EventType::DocumentUploadRequested, entity, Outcome::Intended)
            .with("size_bytes", AuditValue::Count(announcement.size_bytes));
        let intent = Intent::write(self.audit, event).await?;
        self.registry.announce(&document).await?;
        let link = self.links.upload_link(&document.key, &terms).await?;
        intent.end(self.audit, self.ids, context.now, Outcome::Success).await?;
        Ok(Announced { document, link, expires_s: self.upload_link_s })
    }

    /// One page of the documents that the caller may see, with this tag if one is named. What is left out shows nowhere, not
    /// even as a shorter page.
    pub async fn list(
        &self,
        context: &Context,
        tag: Option<&Tag>,
        after: Option<&DocumentId>,
        limit: u32,
    ) -> Result<DocumentPage, ManageDocumentsError> {
        context.allow(Act::ListDocuments)?;
        let limit = limit.clamp(1, LIST_LIMIT_MAX) as usize;
        let mut documents: Vec<Document> = Vec::new();
        let mut after = after.cloned();
        // One more than asked for tells whether there is a next page.
        while documents.len() <= limit {
            let page = self.registry.list(&context.tenant, after.as_ref(), LIST_ROWS).await?;
            let wanted =
                |d: &Document| d.is_listed() && is_visible(context, d) && tag.is_none_or(|t| d.attributes.tags.contains(t));
            documents.extend(page.documents.into_iter().filter(wanted));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let has_more = documents.len() > limit;
        documents.truncate(limit);
        let next = documents.last().filter(|_| has_more).map(|last| last.id.clone());
        let all = Entity::Documents(context.tenant.clone());
        let event = AuditEvent::new(self.ids, context, EventType::DocumentsListed, all, Outcome::Success);
        self.audit.append(&event.with("rows", AuditValue::Count(documents.len() as u64))).await?;
        Ok(DocumentPage { documents, next })
    }

    /// The row of a document that the caller may see; any other is as good as absent.
    async fn row(&self, context: &Context, id: &DocumentId) -> Result<Document, ManageDocumentsError> {
        let row = self.registry.find(&context.tenant, id).await?;
        row.filter(|document| is_visible(context, document)).ok_or(ManageDocumentsError::Missing)
    }

    /// One document.
    pub async fn show(&self, context: &Context, id: &DocumentId) -> Result<Document, ManageDocumentsError> {
        context.allow(Act::ListDocuments)?;
        let document = self.row(context, id).await?;
        let entity = Entity::Document(id.clone());
        self.audit.append(&AuditEvent::new(self.ids, context, EventType::DocumentShown, entity, Outcome::Success)).await?;
        Ok(document)
    }

    /// Says something else about a document: in the registry, and in what searches see, without reading it again. The registry
    /// comes first; if the index could not follow, the same call again makes it.
    pub async fn describe(
        &self,
        context: &Context,
        id: &DocumentId,
        description: &Description,
    ) -> Result<Document, ManageDocumentsError> {
        let regroups_only = description.title.is_none() && description.tags.is_none() && description.date.is_none();
        if !regroups_only || context.allow(Act::GrantAccess).is_err() {
            context.allow(Act::EditDocument)?;
        }
        if let Some(title) = &description.title {
            check_title(title)?;
        }
        let mut document = self.row(context, id).await?;
        if matches!(document.status, Status::Deleting | Status::Deleted) {
            return Err(ManageDocumentsError::Missing);
        }
        let mut attributes = description.apply(&document.attributes);
        check_groups(context, &document.attributes.groups, &attributes.groups)?;
        let is_change = attributes != document.attributes;
        let event =
            AuditEvent::new(self.ids, context, EventType::DocumentDescribed, Entity::Document(id.clone()), Outcome::Success)
                .with("tags", AuditValue::Count(attributes.tags.len() as u64))
                .with("groups", AuditValue::Count(attributes.groups.len() as u64))
                .with("access_changed", AuditValue::Count(u64::from(attributes.groups != document.attributes.groups)));
        let intent = Intent::write(self.audit, event).await?;
        if is_change {
            attributes.revision += 1;
            self.registry.describe(&context.tenant, id, &attributes, context.now).await?;
            document.updated_at = context.now;
        }
        self.index.describe(&context.tenant, id, &attributes).await?;
        intent.end(self.audit, self.ids, context.now, Outcome::Success).await?;
        document.title = attributes.title.clone().unwrap_or(document.title);
        document.attributes = attributes;
        Ok(document)
    }

    /// A short-lived link to the bytes that answers cite. The view is audited before the link leaves.
    pub async fn content(&self, context: &Context, id: &DocumentId) -> Result<(Link, u32), ManageDocumentsError> {
        context.allow(Act::OpenDocument)?;
        let document = self.row(context, id).await?;
        // The list shows an access admin every document; what is in them is for those who are named.
        if !context.scope().sees(&document.attributes) {
            return Err(ManageDocumentsError::Missing);
        }
        let version = match document.status {
            Status::Deleting | Status::Deleted => return Err(ManageDocumentsError::Missing),
            _ => document.searchable_version.as_ref().or(document.version.as_ref()).ok_or(ManageDocumentsError::NoContent)?,
        };
        let name = super::index_object::file_name(&document.key);
        let link = self.links.content_link(&document.key, Some(version), name, CONTENT_LINK_S).await?;
        self.audit
            .append(&AuditEvent::new(
                self.ids,
                context,
                EventType::DocumentViewed,
                Entity::Document(id.clone()),
                Outcome::Success,
            ))
            .await?;
        Ok((link, CONTENT_LINK_S))
    }

    /// What the deletion of a document ended with. The look is in the trail first.
    pub async fn receipt(&self, context: &Context, id: &DocumentId) -> Result<Receipt, ManageDocumentsError> {
        let document = self.show(context, id).await?;
        document.receipt.filter(|_| document.status == Status::Deleted).ok_or(ManageDocumentsError::NoReceipt)
    }

    /// Removes the document. The index follows on the bucket's event; until then the state says `deleting`.
    pub async fn delete(&self, context: &Context, id: &DocumentId) -> Result<Document, ManageDocumentsError> {
        context.allow(Act::DeleteDocument)?;
        let mut document = self.row(context, id).await?;
        if document.status == Status::Deleted {
            return Ok(document);
        }
        let entity = Entity::Document(id.clone());
        let event = AuditEvent::new(self.ids, context, EventType::DocumentDeleteRequested, entity, Outcome::Intended);
        let intent = Intent::write(self.audit, event).await?;
        if document.status == Status::AwaitingUpload && self.registry.cancel(&context.tenant, id, context.now).await? {
            // Nothing has arrived, so nothing has to be waited for. The bytes may be arriving this moment all the same.
            self.objects.remove(&document.key).await?;
            intent.end(self.audit, self.ids, context.now, Outcome::Success).await?;
            document.status = Status::Deleted;
            return Ok(document);
        }
        let until = context.now + SignedDuration::from_secs(DELETING_S);
        self.registry.mark_deleting(&context.tenant, id, context.now, until).await?;
        self.objects.remove(&document.key).await?;
        intent.end(self.audit, self.ids, context.now, Outcome::Success).await?;
        document.status = Status::Deleting;
        document.reason = None;
        Ok(document)
    }
}

/// Whether the caller sees that there is such a document.
pub(super) fn is_visible(context: &Context, document: &Document) -> bool {
    context.scope().sees(&document.attributes) || context.allow(Act::GrantAccess).is_ok()
}

/// Whoever is in a group speaks for it; for the others there is a role.
fn check_groups(context: &Context, before: &BTreeSet<Group>, after: &BTreeSet<Group>) -> Result<(), ManageDocumentsError> {
    let speaks_for = |group: &Group| context.actor.groups.contains(group);
    if before.symmetric_difference(after).all(speaks_for) || context.allow(Act::GrantAccess).is_ok() {
        Ok(())
    } else {
        Err(ManageDocumentsError::ForeignGroups)
    }
}

pub(super) const fn check_size(size_bytes: u64, limit: u64) -> Result<(), ManageDocumentsError> {
    if 1 <= size_bytes && size_bytes <= limit { Ok(()) } else { Err(ManageDocumentsError::BadSize { limit }) }
}

fn check_name(name: &str) -> Result<(), ManageDocumentsError> {
    let well_formed =
        (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(|c| c.is_control() || c == '/' || c == '\\');
    if well_formed { Ok(()) } else { Err(ManageDocumentsError::BadName) }
}

fn check_title(title: &str) -> Result<(), ManageDocumentsError> {
    let well_formed = (1..=NAME_CHARS_MAX).contains(&title.trim().chars().count())
        && !title.chars().any(char::is_control)
        && encode_title(title).len() <= TITLE_BYTES_MAX;
    if well_formed { Ok(()) } else { Err(ManageDocumentsError::BadTitle) }
}

/// The name inside the object key: without the characters that S3's guide tells to avoid.
fn object_name(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || "/\\{}^%`[]\"<>~#|".contains(c) { '_' } else { c }).collect()
}

/// Percent-encodes everything but unreserved ASCII: object metadata holds ASCII only.
fn encode_title(title: &str) -> String {
    title.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(char::from(b));
        } else {
            use std::fmt::Write as _;
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

/// Reads what [`encode_title`] wrote; `None` if it is not that.
pub(crate) fn decode_title(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(b) = rest.next() {
        if b == b'%' {
            let digit = |b: u8| char::from(b).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(b);
        }
    }
    String::from_utf8(bytes).ok().filter(|t| check_title(t).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn titles_survive_the_metadata(title in "[^\\p{C}]{1,60}") {
            prop_assume!(check_title(&title).is_ok());
            prop_assert_eq!(decode_title(&encode_title(&title)), Some(title));
        }

        #[test]
        fn decoding_never_panics(text in "\\PC{0,60}") {
            let _ = decode_title(&text);
        }
    }
}
