//! Versions of a document: what the bucket keeps of them, the link to one, and the upload of a new one. A new version keeps the
//! document's id, tags, date and access groups; answers cite the version that they rest on.

use super::index_object::{META_TITLE, file_name};
use super::manage::{Announced, CONTENT_LINK_S, ManageDocumentsError, check_size, is_visible};
use super::pages::Format;
use super::registry::{Document, DocumentRegistry, Status};
use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Intent, Outcome};
use crate::context::{Act, Context};
use crate::ids::{DocumentId, IdSource};
use crate::objects::{Link, LinkSigner, ObjectHistory, ObjectReader, ObjectVersion, UploadTerms};

/// What the bytes of a new version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Exact size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// The media type, if the caller names one; must be the document's.
    pub media_type: Option<String>,
}

/// A document with the versions that can be opened, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The document.
    pub document: Document,
    /// Its versions.
    pub versions: Vec<ObjectVersion>,
}

/// The use cases with their ports.
pub struct ManageVersions<'a> {
    /// The registry.
    pub registry: &'a dyn DocumentRegistry,
    /// Signs links.
    pub links: &'a dyn LinkSigner,
    /// What the bucket keeps.
    pub history: &'a dyn ObjectHistory,
    /// What is in it now.
    pub objects: &'a dyn ObjectReader,
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
    /// Largest document in bytes.
    pub size_bytes_max: u64,
    /// Life of an upload link in seconds.
    pub upload_link_s: u32,
}

impl ManageVersions<'_> {
    /// The versions that the bucket keeps of a document whose content the caller may see. The look is in the trail first.
    pub async fn list(&self, context: &Context, id: &DocumentId) -> Result<Versions, ManageDocumentsError> {
        let versions = self.kept(context, id).await?;
        self.audit.append(&self.event(context, EventType::DocumentShown, id)).await?;
        Ok(versions)
    }

    async fn kept(&self, context: &Context, id: &DocumentId) -> Result<Versions, ManageDocumentsError> {
        context.allow(Act::OpenDocument)?;
        let document = self.open_to(context, id).await?;
        let versions = self.history.versions(&document.key).await?;
        Ok(Versions { document, versions })
    }

    /// A short-lived link to one version. The view is audited before the link leaves.
    pub async fn content(&self, context: &Context, id: &DocumentId, version: &str) -> Result<(Link, u32), ManageDocumentsError> {
        let Versions { document, versions } = self.kept(context, id).await?;
        let version = versions.iter().find(|kept| kept.version_id == version).ok_or(ManageDocumentsError::Missing)?;
        let name = file_name(&document.key);
        let link = self.links.content_link(&document.key, Some(&version.version_id), name, CONTENT_LINK_S).await?;
        let is_cited = document.searchable_version.as_deref() == Some(version.version_id.as_str());
        let event = self
            .event(context, EventType::DocumentViewed, id)
            .with("version", AuditValue::Code(if is_cited { "searchable" } else { "other" }));
        self.audit.append(&event).await?;
        Ok((link, CONTENT_LINK_S))
    }

    /// Answers a link to which exactly the announced bytes can be sent, as the next version of a document. Until they are
    /// indexed, answers go on citing the one before.
    pub async fn announce(
        &self,
        context: &Context,
        id: &DocumentId,
        new: &NewVersion,
    ) -> Result<Announced, ManageDocumentsError> {
        context.allow(Act::UploadDocument)?;
        let document = self.open_to(context, id).await?;
        let format = Format::from_name(file_name(&document.key)).ok_or(ManageDocumentsError::BadFormat)?;
        if new.media_type.as_deref().is_some_and(|named| !named.eq_ignore_ascii_case(format.media_type())) {
            return Err(ManageDocumentsError::BadFormat);
        }
        check_size(new.size_bytes, self.size_bytes_max)?;
        // What people call it was said when it first came, and travels with the bytes.
        let before = self.objects.head(&document.key).await?.ok_or(ManageDocumentsError::NoContent)?;
        let title = before.metadata.get(META_TITLE).map(|title| (META_TITLE, title.clone()));
        let terms = UploadTerms {
            size_bytes: new.size_bytes,
            media_type: format.media_type(),
            sha256: new.sha256,
            metadata: title.into_iter().collect(),
            expires_s: self.upload_link_s,
        };
        let event = AuditEvent { outcome: Outcome::Intended, ..self.event(context, EventType::DocumentUploadRequested, id) }
            .with("size_bytes", AuditValue::Count(new.size_bytes))
            .with("replaces", AuditValue::Code("version"));
        let intent = Intent::write(self.audit, event).await?;
        let link = self.links.upload_link(&document.key, &terms).await?;
        intent.end(self.audit, self.ids, context.now, Outcome::Success).await?;
        Ok(Announced { document, link, expires_s: self.upload_link_s })
    }

    /// A document whose content the caller may see. One that is being deleted has none.
    async fn open_to(&self, context: &Context, id: &DocumentId) -> Result<Document, ManageDocumentsError> {
        let row = self.registry.find(&context.tenant, id).await?;
        let is_there = |document: &Document| !matches!(document.status, Status::Deleting | Status::Deleted);
        let seen = row
            .filter(|document| is_there(document) && is_visible(context, document) && context.scope().sees(&document.attributes));
        seen.ok_or(ManageDocumentsError::Missing)
    }

    fn event(&self, context: &Context, event_type: EventType, id: &DocumentId) -> AuditEvent {
        AuditEvent::new(self.ids, context, event_type, Entity::Document(id.clone()), Outcome::Success)
    }
}
