//! The indexer's use case: something happened to an object; make the index and the registry say what is true now.
//!
//! The event is taken as a hint to look, not as the truth: events repeat, come late and out of order. What counts is
//! what is at the key when we look, and the event's sequencer decides whose look wins.

use super::attributes::Attributes;
use super::chunks::{self, Chunk};
use super::pages::{ExtractedDocument, Format, Reason};
use super::registry::{Claim, Claimed, Document, Finish, IndexingRegistry, Progress, Stage, Status};
use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Intent, Outcome};
use crate::context::{Actor, Context};
use crate::fault::{Fault, PortError};
use crate::ids::{DocumentId, IdSource, RequestId, Sequencer, SubjectId, TenantId};
use crate::objects::{Fetched, ObjectHead, ObjectHistory, ObjectReader};
use crate::phi::{CountIdentifiers, IdentifierCounts, Quarantine};
use crate::retrieval::{ChunkIndex, EmbeddedChunk, Embedder, IndexEntry, IndexWriter};
use crate::text;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The metadata key under which an announced upload carries its title, percent-encoded (S3 metadata is ASCII).
pub const META_TITLE: &str = "title";
/// Progress is written at most once per so many chunks: a write costs money and milliseconds, a person looks once a second.
const PROGRESS_EVERY: usize = 64;
/// More chunks than this are refused: at some 23 ms each on one processor they take half of the function's 15 minutes, and
/// with their vectors they fit its memory beside the model and the parser's child.
pub const CHUNKS_MAX: usize = 20_000;

/// Reads a document, page by page, under limits. Implementations survive any file.
#[async_trait]
pub trait Extractor: Send + Sync {
    /// The pages, or why there are none.
    async fn extract(&self, bytes: Vec<u8>, name: &str) -> Result<ExtractedDocument, Reason>;
}

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Something was put there.
    Put,
    /// What was there was deleted: then what was seen there before the event is withdrawn from search.
    Removal,
    /// Nothing happened, but what is there has to be indexed anew: the event is the last one that did happen.
    Reindex,
}

/// Something happened at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent {
    /// The object's key, decoded.
    pub key: String,
    /// Its place in the order of events on this key.
    pub sequencer: Sequencer,
    /// What it says. Only a hint: what counts is what is there.
    pub hint: Hint,
    /// Names the delivery in logs and audit rows.
    pub request_id: RequestId,
}

/// How an event ended. Every one of these means that the event needs no further delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexed {
    /// Searchable now.
    Done {
        /// Pages.
        pages: u32,
        /// Chunks.
        chunks: u32,
    },
    /// Not searchable, and the document's state says why.
    Failed(Reason),
    /// Gone.
    Removed,
    /// A newer event was already worked on.
    Stale,
    /// The key belongs to no tenant.
    Rejected,
}

/// Why an event has to be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum IndexObjectError {
    /// Another attempt at the same event is under way.
    #[error("another attempt is under way")]
    Busy,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl IndexObjectError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Busy => Fault::Transient,
            Self::Port(error) => error.fault(),
        }
    }
}

/// What bounds an attempt.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How long a claim lasts: the function's timeout, so that no state outlives the work behind it.
    pub claim_s: u32,
    /// Larger objects are refused unread.
    pub size_bytes_max: u64,
    /// The tenant of keys outside `tenants/<tenant>/`; `None` rejects them.
    pub default_tenant: Option<TenantId>,
    /// Documents that must hold no identifiers.
    pub quarantine: Option<Quarantine>,
}

/// Whose document a key is: `tenants/<tenant>/...`, or the default tenant's.
pub fn tenant_of_key(key: &str, default_tenant: Option<&TenantId>) -> Option<TenantId> {
    match key.strip_prefix("tenants/") {
        Some(rest) => TenantId::parse(rest.split_once('/')?.0).ok(),
        None => default_tenant.cloned(),
    }
}

/// The file name in a key.
pub fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// The use case with its ports.
pub struct IndexObject<'a> {
    /// The registry.
    pub registry: &'a dyn IndexingRegistry,
    /// The documents.
    pub objects: &'a dyn ObjectReader,
    /// The parsers.
    pub extractor: &'a dyn Extractor,
    /// Counts identifiers of people.
    pub identifiers: &'a dyn CountIdentifiers,
    /// The model.
    pub embedder: &'a dyn Embedder,
    /// The index.
    pub index: &'a dyn IndexWriter,
    /// The search that answers questions: a deletion is proven with it.
    pub search: &'a dyn ChunkIndex,
    /// What the bucket keeps of a document's bytes.
    pub history: &'a dyn ObjectHistory,
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
    /// The clock, read at the beginning and the end of the work.
    pub clock: &'a (dyn Fn() -> Timestamp + Send + Sync),
    /// Bounds.
    pub bounds: &'a Bounds,
}

impl IndexObject<'_> {
    /// Makes the index and the registry say what is true of the key.
    pub async fn run(&self, event: &ObjectEvent) -> Result<Indexed, IndexObjectError> {
        let Some(tenant) = tenant_of_key(&event.key, self.bounds.default_tenant.as_ref()) else {
            return Ok(Indexed::Rejected);
        };
        let now = (self.clock)();
        let claim = Claim {
            document_id: DocumentId::for_key(&tenant, &event.key),
            tenant,
            key: event.key.clone(),
            sequencer: event.sequencer.clone(),
            token: self.ids.next(now).to_string(),
            now,
            until: now + SignedDuration::from_secs(i64::from(self.bounds.claim_s)),
            is_repeat: event.hint == Hint::Reindex,
            shown_as: if event.hint == Hint::Removal { Status::Deleting } else { Status::Indexing },
        };
        let row = match self.registry.claim(&claim).await? {
            Claimed::Stale if event.hint == Hint::Removal => return self.remove_late(&claim, event).await,
            Claimed::Stale => return Ok(Indexed::Stale),
            Claimed::Busy => return Err(IndexObjectError::Busy),
            Claimed::Yes(row) => row,
        };
        // The announcing person and who may see it, from our own row: an object's metadata is whatever its writer says.
        let agent = row.as_ref().and_then(|row| row.uploaded_by.clone()).unwrap_or_else(|| SubjectId::system("indexer"));
        let worked = self.work(&claim, event, &agent, row.as_deref()).await;
        match worked {
            // A newer event took over while we worked: it sees what we see, or newer. But it may have seen it before we withdrew
            // what was removed.
            Err(PortError::Conflict { .. }) if event.hint == Hint::Removal => self.remove_late(&claim, event).await,
            Err(PortError::Conflict { .. }) => Ok(Indexed::Stale),
            Err(error) => {
                // Best effort: if this fails too, the claim ends by itself.
                let _ = self.registry.release(&claim).await;
                Err(error.into())
            }
            Ok(indexed) => Ok(indexed),
        }
    }

    /// A removal that comes after a newer event: if that one's version could not be read, the version before is still
    /// searchable, and it is the one that was removed.
    async fn remove_late(&self, claim: &Claim, event: &ObjectEvent) -> Result<Indexed, IndexObjectError> {
        let searchable = self.index.searchable(&claim.tenant, &claim.document_id).await?;
        let withdraws = if searchable.is_some_and(|version| version.seen_at < claim.sequencer) {
            Some(self.intend(claim, event, &SubjectId::system("indexer"), EventType::DocumentDeleted).await?)
        } else {
            None
        };
        self.index.withdraw(&claim.tenant, &claim.document_id, &claim.sequencer).await?;
        if let Some(intent) = withdraws {
            self.end(intent, EventType::DocumentDeleted, Outcome::Success, &[]).await?;
        }
        let row = self.registry.look_up(&claim.tenant, &claim.document_id).await?;
        if row.is_some_and(|row| row.status == Status::Indexing) {
            // The newer event's attempt may have looked before this withdrawal and be about to write what it saw.
            return Err(IndexObjectError::Busy);
        }
        // Settled by the newer event: nothing older can come into the index any more.
        if self.index.searchable(&claim.tenant, &claim.document_id).await?.is_none() {
            self.registry.withdraw(&claim.tenant, &claim.document_id).await?;
        }
        Ok(Indexed::Stale)
    }

    async fn work(
        &self,
        claim: &Claim,
        event: &ObjectEvent,
        agent: &SubjectId,
        row: Option<&Document>,
    ) -> Result<Indexed, PortError> {
        let Some(head) = self.objects.head(&claim.key).await? else {
            let receipt = if let Some(row) = row.filter(|row| row.status != Status::Deleted) {
                Some(Box::new(self.remove_for_good(claim, event, agent, row).await?))
            } else {
                self.index.remove(&claim.tenant, &claim.document_id, &claim.sequencer).await?;
                None
            };
            self.registry.finish(claim, &Finish::Deleted { receipt }, (self.clock)()).await?;
            return Ok(Indexed::Removed);
        };
        let attributes = row.map_or_else(Attributes::default, |row| row.attributes.clone());
        let intent = self.intend(claim, event, agent, EventType::DocumentIndexed).await?;
        if event.hint == Hint::Removal {
            // Something came after the removal. Whether it can be read or not: what was there before is gone.
            self.index.withdraw(&claim.tenant, &claim.document_id, &claim.sequencer).await?;
        }
        match self.index_version(claim, attributes, &head).await? {
            Ok(Version { title, pages, chunks }) => {
                let details = [("pages", AuditValue::Count(pages.into())), ("chunks", AuditValue::Count(chunks.into()))];
                self.end(intent, EventType::DocumentIndexed, Outcome::Success, &details).await?;
                let version = version_of(&head);
                let finish = Finish::Indexed { title, version, pages, chunks, size_bytes: head.size_bytes };
                self.registry.finish(claim, &finish, (self.clock)()).await?;
                Ok(Indexed::Done { pages, chunks })
            }
            Err(reason) => {
                let searchable = self.index.hold(&claim.tenant, &claim.document_id, &claim.sequencer).await?;
                let details = [("reason", AuditValue::Code(reason_code(reason)))];
                self.end(intent, EventType::DocumentFailed, Outcome::Failure, &details).await?;
                let (version, size_bytes) = (Some(version_of(&head)), Some(head.size_bytes));
                self.registry.finish(claim, &Finish::Failed { reason, version, size_bytes, searchable }, (self.clock)()).await?;
                Ok(Indexed::Failed(reason))
            }
        }
    }

    async fn index_version(
        &self,
        claim: &Claim,
        attributes: Attributes,
        head: &ObjectHead,
    ) -> Result<Result<Version, Reason>, PortError> {
        let version = version_of(head);
        let title = attributes.title.clone().unwrap_or_else(|| title_of(head, &claim.key));
        if let Some(current) = self.index.searchable(&claim.tenant, &claim.document_id).await?
            && current.version == version
        {
            // A repeat, or a crash between the index's write and the registry's: nothing is embedded twice.
            self.index.confirm(&claim.tenant, &claim.document_id, &claim.sequencer).await?;
            if attributes.revision > 0 {
                // A change that was cut off between the registry and the index.
                self.index.describe(&claim.tenant, &claim.document_id, &attributes).await?;
            }
            return Ok(Ok(Version { title, pages: current.pages, chunks: current.chunks }));
        }
        if head.size_bytes > self.bounds.size_bytes_max {
            return Ok(Err(Reason::TooLarge));
        }
        let Fetched::Found { bytes, .. } = self.objects.get(&claim.key, head.version_id.as_deref(), None).await? else {
            // Gone between the two looks: another event is on its way.
            return Err(PortError::Conflict { operation: "read document" });
        };
        self.registry.progress(claim, Progress { stage: Stage::Extracting, done: 0, total: 0 }).await?;
        let document = match self.extractor.extract(bytes, file_name(&claim.key)).await {
            Ok(document) => document,
            Err(reason) => return Ok(Err(reason)),
        };
        let is_named = attributes.title.is_some() || head.metadata.contains_key(META_TITLE);
        let title = document.title.clone().filter(|_| !is_named).unwrap_or(title);
        let counts = self.count_identifiers(&title, &document);
        self.registry.identified(claim, &counts).await?;
        if self.bounds.quarantine.as_ref().is_some_and(|policy| policy.holds_back(&attributes, &counts)) {
            return Ok(Err(Reason::HoldsIdentifiers));
        }
        let chunks = chunks::chunk(&document);
        if chunks.is_empty() {
            return Ok(Err(Reason::Empty));
        }
        if chunks.len() > CHUNKS_MAX {
            return Ok(Err(Reason::TooLarge));
        }
        let pages = u32::try_from(document.pages.len()).unwrap_or(u32::MAX);
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let entry = IndexEntry {
            tenant: claim.tenant.clone(),
            document_id: claim.document_id.clone(),
            title: title.clone(),
            version,
            sequencer: claim.sequencer.clone(),
            pages,
            attributes,
            chunks: self.embed(claim, &title, chunks).await?,
        };
        self.index.put(entry).await?;
        Ok(Ok(Version { title, pages, chunks: count }))
    }

    fn count_identifiers(&self, title: &str, document: &ExtractedDocument) -> IdentifierCounts {
        let mut counts = self.identifiers.count(title);
        for page in &document.pages {
            for (kind, count) in self.identifiers.count(&page.text) {
                *counts.entry(kind).or_insert(0) += count;
            }
        }
        counts
    }

    async fn embed(&self, claim: &Claim, title: &str, chunks: Vec<Chunk>) -> Result<Vec<EmbeddedChunk>, PortError> {
        let total = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let mut embedded = Vec::with_capacity(chunks.len());
        for (at, chunk) in chunks.into_iter().enumerate() {
            if at % PROGRESS_EVERY == 0 {
                self.registry.progress(claim, Progress { stage: Stage::Embedding, done: at as u32, total }).await?;
            }
            embedded.push(EmbeddedChunk::embed(self.embedder, title, chunk));
        }
        Ok(embedded)
    }

    /// Says in the trail what is about to be done to the index, by whom it was caused.
    pub(super) async fn intend(
        &self,
        claim: &Claim,
        event: &ObjectEvent,
        agent: &SubjectId,
        event_type: EventType,
    ) -> Result<Intent, PortError> {
        let actor = Actor { subject: agent.clone(), roles: Vec::new(), groups: BTreeSet::new(), department: None };
        let (tenant, request_id) = (claim.tenant.clone(), event.request_id.clone());
        let context = Context { actor, tenant, request_id, now: (self.clock)() };
        let entity = Entity::Document(claim.document_id.clone());
        Intent::write(self.audit, AuditEvent::new(self.ids, &context, event_type, entity, Outcome::Intended)).await
    }

    /// Says what became of it.
    pub(super) async fn end(
        &self,
        intent: Intent,
        event_type: EventType,
        outcome: Outcome,
        details: &[(&'static str, AuditValue)],
    ) -> Result<(), PortError> {
        let ended = AuditEvent { event_type, ..intent.outcome(self.ids, (self.clock)(), outcome) };
        let ended = details.iter().fold(ended, |row, (name, value)| row.with(name, value.clone()));
        self.audit.append(&ended).await
    }
}

/// A version that is in the index.
struct Version {
    title: String,
    pages: u32,
    chunks: u32,
}

/// The version that citations name: the object's version, or a digest of its tag where the bucket has none.
fn version_of(head: &ObjectHead) -> String {
    match &head.version_id {
        Some(version) if version != "null" => version.clone(),
        _ => text::hexadecimal(&Sha256::digest(head.etag.as_bytes())[..16]),
    }
}

/// The title that an announced upload carries, else the file's name without its extension.
fn title_of(head: &ObjectHead, key: &str) -> String {
    if let Some(title) = head.metadata.get(META_TITLE).and_then(|t| super::manage::decode_title(t)) {
        return title;
    }
    let name = file_name(key);
    let stem = if Format::from_name(name).is_some() { name.rsplit_once('.').map_or(name, |(stem, _)| stem) } else { name };
    stem.replace('_', " ")
}

/// The reason's stable code.
pub const fn reason_code(reason: Reason) -> &'static str {
    match reason {
        Reason::Empty => "empty",
        Reason::Unsupported => "unsupported",
        Reason::Encrypted => "encrypted",
        Reason::Malformed => "malformed",
        Reason::TooLarge => "too_large",
        Reason::TooManyPages => "too_many_pages",
        Reason::Timeout => "timeout",
        Reason::NeedsOcr => "needs_ocr",
        Reason::HoldsIdentifiers => "holds_identifiers",
        Reason::UploadExpired => "upload_expired",
        Reason::Interrupted => "interrupted",
        Reason::Internal => "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_decides_the_tenant() {
        let main = TenantId::parse("main").unwrap();
        assert_eq!(tenant_of_key("tenants/west/a.pdf", Some(&main)), TenantId::parse("west").ok());
        assert_eq!(tenant_of_key("guidelines/a.pdf", Some(&main)), Some(main.clone()));
        assert_eq!(tenant_of_key("guidelines/a.pdf", None), None);
        for malformed in ["tenants/WEST/a.pdf", "tenants/a.pdf", "tenants//a.pdf"] {
            assert_eq!(tenant_of_key(malformed, Some(&main)), None, "{malformed} went to somebody");
        }
    }
}
