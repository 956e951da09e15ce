//! The registry: one row per document, which every reader of its state sees. A state never outlives the work behind it:
//! a claim has an end, and what is read after it says so.

use super::attributes::Attributes;
use super::pages::{Format, Reason};
use super::receipt::Receipt;
use crate::fault::PortError;
use crate::ids::{DocumentId, Sequencer, SubjectId, TenantId};
use crate::phi::IdentifierCounts;
use crate::retrieval::IndexedVersion;
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a document is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A link was issued; nothing has arrived yet.
    AwaitingUpload,
    /// The indexer is at work.
    Indexing,
    /// Searchable.
    Indexed,
    /// Not searchable in this version; the reason says why.
    Failed,
    /// Asked to be deleted; the index still has to follow.
    Deleting,
    /// Gone from the bucket and from the index.
    Deleted,
}

impl Status {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingUpload => "awaiting_upload",
            Self::Indexing => "indexing",
            Self::Indexed => "indexed",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }
}

/// How far the indexer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Units finished: pages while reading, chunks while embedding.
    pub done: u32,
    /// Units in all, where known.
    pub total: u32,
}

/// A stage of indexing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reading pages.
    Extracting,
    /// Computing vectors.
    Embedding,
}

/// A row of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Which document.
    pub id: DocumentId,
    /// The wall.
    pub tenant: TenantId,
    /// Where its bytes are.
    pub key: String,
    /// What people call it.
    pub title: String,
    /// What is said about it.
    pub attributes: Attributes,
    /// What its name promises it to be.
    pub format: Option<Format>,
    /// Where it is on its way, as last written. Readers use [`Document::state_at`].
    pub status: Status,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// How far the indexer is.
    pub progress: Option<Progress>,
    /// Pages of the searchable version.
    pub pages: Option<u32>,
    /// Chunks of the searchable version.
    pub chunks: Option<u32>,
    /// Size in bytes, as announced or found.
    pub size_bytes: Option<u64>,
    /// Identifiers of people in the version that was read last, by kind; absent if none was read yet.
    pub identifiers: Option<IdentifierCounts>,
    /// The newest object version that was seen.
    pub version: Option<String>,
    /// The version that answers cite; the newest one, unless that one failed.
    pub searchable_version: Option<String>,
    /// The last event that was taken up.
    pub sequencer: Option<Sequencer>,
    /// Who uploaded it, where known.
    pub uploaded_by: Option<SubjectId>,
    /// What its last deletion ended with, if it had one.
    pub receipt: Option<Receipt>,
    /// First seen.
    pub created_at: Timestamp,
    /// Last written.
    pub updated_at: Timestamp,
    /// Until when the present state may last: the end of the claim, or of the upload link.
    pub valid_until: Option<Timestamp>,
}

impl Document {
    /// The state as a reader should see it now: a claim or an upload link that has run out is a failure, not a promise.
    pub fn state_at(&self, now: Timestamp) -> (Status, Option<Reason>) {
        let over = self.valid_until.is_some_and(|until| until < now);
        match self.status {
            Status::AwaitingUpload if over => (Status::Failed, Some(Reason::UploadExpired)),
            Status::Indexing | Status::Deleting if over => (Status::Failed, Some(Reason::Interrupted)),
            status => (status, self.reason),
        }
    }

    /// Whether people see it in lists.
    pub fn is_listed(&self) -> bool {
        !matches!(self.status, Status::Deleted)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPage {
    /// The rows.
    pub documents: Vec<Document>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<DocumentId>,
}

/// What the documents API needs of the registry.
#[async_trait]
pub trait DocumentRegistry: Send + Sync {
    /// Writes the row of a document that is about to be uploaded.
    async fn announce(&self, document: &Document) -> Result<(), PortError>;

    /// One row of the tenant.
    async fn find(&self, tenant: &TenantId, id: &DocumentId) -> Result<Option<Document>, PortError>;

    /// Up to `limit` rows of the tenant in the order of their ids, after `after`.
    async fn list(&self, tenant: &TenantId, after: Option<&DocumentId>, limit: u32) -> Result<DocumentPage, PortError>;

    /// Ends a document of which nothing has arrived. `false` if something has.
    async fn cancel(&self, tenant: &TenantId, id: &DocumentId, now: Timestamp) -> Result<bool, PortError>;

    /// Writes what is said about a document, if its row is still the one before: [`PortError::Conflict`] if there is none or if it
    /// has another revision than one less than this.
    async fn describe(
        &self,
        tenant: &TenantId,
        id: &DocumentId,
        attributes: &Attributes,
        now: Timestamp,
    ) -> Result<(), PortError>;

    /// Notes that the document was asked to be deleted, and until when the indexer should have written the end of it.
    async fn mark_deleting(&self, tenant: &TenantId, id: &DocumentId, now: Timestamp, until: Timestamp) -> Result<(), PortError>;
}

/// Which event wants to be worked on, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The wall.
    pub tenant: TenantId,
    /// Which document.
    pub document_id: DocumentId,
    /// Where its bytes are.
    pub key: String,
    /// The event's place in the order.
    pub sequencer: Sequencer,
    /// Whether an event that is done is to be worked on once more.
    pub is_repeat: bool,
    /// Unique to this attempt: a later attempt's token makes this one's writes fail.
    pub token: String,
    /// Now.
    pub now: Timestamp,
    /// When the claim ends if nobody ends it.
    pub until: Timestamp,
    /// What readers see meanwhile: [`Status::Indexing`], or [`Status::Deleting`] if the event says that the object is gone.
    pub shown_as: Status,
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Go on. The row as it was before, if there was one.
    Yes(Option<Box<Document>>),
    /// This event, or a newer one of the same key, is done. Nothing is left to do.
    Stale,
    /// Another attempt at the same event is under way. Try later.
    Busy,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// Searchable.
    Indexed {
        /// The title, from the file if it names one.
        title: String,
        /// The object version.
        version: String,
        /// Pages.
        pages: u32,
        /// Chunks.
        chunks: u32,
        /// Size in bytes.
        size_bytes: u64,
    },
    /// This version cannot be searched.
    Failed {
        /// Why.
        reason: Reason,
        /// The object version, where one was seen.
        version: Option<String>,
        /// Size in bytes, where known.
        size_bytes: Option<u64>,
        /// The version before, if searches still see one.
        searchable: Option<IndexedVersion>,
    },
    /// Gone, and with it what people called it and said about it, but for who could see it.
    Deleted {
        /// Proof that nothing of it is found any more; none for a document that was gone already.
        receipt: Option<Box<Receipt>>,
    },
}

/// What the indexer needs of the registry.
#[async_trait]
pub trait IndexingRegistry: Send + Sync {
    /// One row of the tenant.
    async fn look_up(&self, tenant: &TenantId, id: &DocumentId) -> Result<Option<Document>, PortError>;

    /// Takes up an event, by one conditional write.
    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError>;

    /// Shows how far the attempt is. [`PortError::Conflict`] if a newer event has taken over.
    async fn progress(&self, claim: &Claim, progress: Progress) -> Result<(), PortError>;

    /// Notes how many identifiers the version holds. [`PortError::Conflict`] if a newer event has taken over.
    async fn identified(&self, claim: &Claim, counts: &IdentifierCounts) -> Result<(), PortError>;

    /// Ends the attempt. [`PortError::Conflict`] if a newer event has taken over.
    async fn finish(&self, claim: &Claim, finish: &Finish, now: Timestamp) -> Result<(), PortError>;

    /// Notes that searches no longer see the version before the one that failed. Does nothing in any other state.
    async fn withdraw(&self, tenant: &TenantId, id: &DocumentId) -> Result<(), PortError>;

    /// Gives the claim back so that a retry can take it up at once.
    async fn release(&self, claim: &Claim) -> Result<(), PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_state_outlives_its_work() {
        let tenant = TenantId::parse("main").unwrap();
        let second = |s| Timestamp::from_second(s).unwrap();
        let mut document = Document {
            id: DocumentId::for_key(&tenant, "k"),
            tenant,
            key: "k".into(),
            title: "t".into(),
            attributes: Attributes::default(),
            format: None,
            status: Status::Indexing,
            reason: None,
            progress: None,
            pages: None,
            chunks: None,
            size_bytes: None,
            identifiers: None,
            version: None,
            searchable_version: None,
            sequencer: None,
            uploaded_by: None,
            receipt: None,
            created_at: second(0),
            updated_at: second(0),
            valid_until: Some(second(10)),
        };
        assert_eq!(document.state_at(second(10)), (Status::Indexing, None));
        assert_eq!(document.state_at(second(11)), (Status::Failed, Some(Reason::Interrupted)));
        document.status = Status::AwaitingUpload;
        assert_eq!(document.state_at(second(11)), (Status::Failed, Some(Reason::UploadExpired)));
        document.status = Status::Indexed;
        assert_eq!(document.state_at(second(11)), (Status::Indexed, None));
    }
}
