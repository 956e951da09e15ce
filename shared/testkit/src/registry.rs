//! The registry in memory, with the rules of the real one: a newer event takes over, a repeat waits, a stranger's token fails.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::documents::attributes::Attributes;
use domain::documents::index_object::file_name;
use domain::documents::pages::Format;
use domain::documents::registry::{
    Claim, Claimed, Document, DocumentPage, DocumentRegistry, Finish, IndexingRegistry, Progress, Status,
};
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::phi::IdentifierCounts;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone)]
struct Row {
    document: Document,
    claim: Option<String>,
}

type Rows = BTreeMap<(TenantId, DocumentId), Row>;

/// The registry in memory. A clone is the same registry.
#[derive(Clone, Default)]
pub struct MemoryRegistry {
    rows: Arc<Mutex<Rows>>,
    outage: Outage,
}

impl MemoryRegistry {
    /// A registry whose calls fail when this outage says so.
    pub fn with_outage(outage: Outage) -> Self {
        Self { outage, ..Self::default() }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_claim(&self, claim: &Claim, change: impl FnOnce(&mut Row)) -> Result<(), PortError> {
        match self.rows().get_mut(&(claim.tenant.clone(), claim.document_id.clone())) {
            Some(row) if row.claim.as_ref() == Some(&claim.token) => {
                change(row);
                Ok(())
            }
            _ => Err(PortError::Conflict { operation: "UpdateItem documents" }),
        }
    }
}

#[async_trait]
impl DocumentRegistry for MemoryRegistry {
    async fn announce(&self, document: &Document) -> Result<(), PortError> {
        let answer = self.outage.call("PutItem documents").await?;
        let row = Row { document: document.clone(), claim: None };
        self.rows().entry((document.tenant.clone(), document.id.clone())).or_insert(row);
        answer.with(())
    }

    async fn find(&self, tenant: &TenantId, id: &DocumentId) -> Result<Option<Document>, PortError> {
        let answer = self.outage.call("GetItem documents").await?;
        answer.with(self.rows().get(&(tenant.clone(), id.clone())).map(|row| row.document.clone()))
    }

    async fn list(&self, tenant: &TenantId, after: Option<&DocumentId>, limit: u32) -> Result<DocumentPage, PortError> {
        let answer = self.outage.call("Query documents").await?;
        let rows = self.rows();
        let mut later = rows.iter().filter(|((t, id), _)| t == tenant && after.is_none_or(|a| id > a));
        let documents: Vec<Document> = later.by_ref().take(limit as usize).map(|(_, row)| row.document.clone()).collect();
        let next = later.next().and(documents.last()).map(|d| d.id.clone());
        answer.with(DocumentPage { documents, next })
    }

    async fn cancel(&self, tenant: &TenantId, id: &DocumentId, now: Timestamp) -> Result<bool, PortError> {
        let answer = self.outage.call("UpdateItem documents").await?;
        let mut rows = self.rows();
        let waiting = rows.get_mut(&(tenant.clone(), id.clone())).filter(|row| row.document.status == Status::AwaitingUpload);
        let cancelled = waiting.is_some();
        if let Some(row) = waiting {
            (row.document.status, row.document.valid_until, row.document.updated_at) = (Status::Deleted, None, now);
        }
        answer.with(cancelled)
    }

    async fn describe(
        &self,
        tenant: &TenantId,
        id: &DocumentId,
        attributes: &Attributes,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let answer = self.outage.call("UpdateItem documents").await?;
        let mut rows = self.rows();
        let row = rows.get_mut(&(tenant.clone(), id.clone()));
        let Some(row) = row.filter(|row| row.document.attributes.revision + 1 == attributes.revision) else {
            return Err(PortError::Conflict { operation: "UpdateItem documents" });
        };
        if let Some(title) = &attributes.title {
            row.document.title.clone_from(title);
        }
        (row.document.attributes, row.document.updated_at) = (attributes.clone(), now);
        answer.with(())
    }

    async fn mark_deleting(&self, tenant: &TenantId, id: &DocumentId, now: Timestamp, until: Timestamp) -> Result<(), PortError> {
        let answer = self.outage.call("UpdateItem documents").await?;
        match self.rows().get_mut(&(tenant.clone(), id.clone())) {
            Some(row) => {
                row.document = Document {
                    status: Status::Deleting,
                    reason: None,
                    valid_until: Some(until),
                    updated_at: now,
                    ..row.document.clone()
                };
                answer.with(())
            }
            None => Err(PortError::Conflict { operation: "UpdateItem documents" }),
        }
    }
}

fn new_document(claim: &Claim) -> Document {
    Document {
        id: claim.document_id.clone(),
        tenant: claim.tenant.clone(),
        key: claim.key.clone(),
        title: file_name(&claim.key).to_owned(),
        attributes: Attributes::default(),
        format: Format::from_name(&claim.key),
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
        created_at: claim.now,
        updated_at: claim.now,
        valid_until: None,
    }
}

#[async_trait]
impl IndexingRegistry for MemoryRegistry {
    async fn look_up(&self, tenant: &TenantId, id: &DocumentId) -> Result<Option<Document>, PortError> {
        self.find(tenant, id).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        let answer = self.outage.call("UpdateItem documents").await?;
        let mut rows = self.rows();
        let key = (claim.tenant.clone(), claim.document_id.clone());
        let before = rows.get(&key).cloned();
        if let Some(Row { document, claim: held }) = &before
            && let Some(sequencer) = &document.sequencer
        {
            let over = match held {
                Some(_) => document.valid_until.is_some_and(|until| until < claim.now),
                None => claim.is_repeat,
            };
            if *sequencer == claim.sequencer && held.is_some() && !over {
                return answer.with(Claimed::Busy);
            }
            if *sequencer > claim.sequencer || (*sequencer == claim.sequencer && !over) {
                return answer.with(Claimed::Stale);
            }
        }
        let document = before.as_ref().map_or_else(|| new_document(claim), |row| row.document.clone());
        let title = if document.title.is_empty() { file_name(&claim.key).to_owned() } else { document.title.clone() };
        let document = Document {
            title,
            status: claim.shown_as,
            reason: None,
            progress: None,
            sequencer: Some(claim.sequencer.clone()),
            valid_until: Some(claim.until),
            updated_at: claim.now,
            ..document
        };
        rows.insert(key, Row { document, claim: Some(claim.token.clone()) });
        answer.with(Claimed::Yes(before.map(|row| Box::new(row.document))))
    }

    async fn progress(&self, claim: &Claim, progress: Progress) -> Result<(), PortError> {
        let answer = self.outage.call("UpdateItem documents").await?;
        self.with_claim(claim, |row| row.document.progress = Some(progress))?;
        answer.with(())
    }

    async fn identified(&self, claim: &Claim, counts: &IdentifierCounts) -> Result<(), PortError> {
        let answer = self.outage.call("UpdateItem documents").await?;
        self.with_claim(claim, |row| row.document.identifiers = Some(counts.clone()))?;
        answer.with(())
    }

    async fn finish(&self, claim: &Claim, finish: &Finish, now: Timestamp) -> Result<(), PortError> {
        let answer = self.outage.call("UpdateItem documents").await?;
        self.with_claim(claim, |row| {
            row.claim = None;
            let document = &mut row.document;
            (document.valid_until, document.progress, document.updated_at) = (None, None, now);
            match finish {
                Finish::Indexed { title, version, pages, chunks, size_bytes } => {
                    (document.status, document.reason) = (Status::Indexed, None);
                    document.title.clone_from(title);
                    document.version = Some(version.clone());
                    document.searchable_version = Some(version.clone());
                    (document.pages, document.chunks, document.size_bytes) = (Some(*pages), Some(*chunks), Some(*size_bytes));
                }
                Finish::Failed { reason, version, size_bytes, searchable } => {
                    (document.status, document.reason) = (Status::Failed, Some(*reason));
                    document.version = version.clone().or_else(|| document.version.clone());
                    document.size_bytes = size_bytes.or(document.size_bytes);
                    document.searchable_version = searchable.as_ref().map(|s| s.version.clone());
                    (document.pages, document.chunks) =
                        (searchable.as_ref().map(|s| s.pages), searchable.as_ref().map(|s| s.chunks));
                }
                Finish::Deleted { receipt } => {
                    (document.status, document.reason, document.searchable_version) = (Status::Deleted, None, None);
                    (document.pages, document.chunks, document.identifiers) = (None, None, None);
                    document.title.clear();
                    document.attributes = document.attributes.forgotten();
                    if let Some(receipt) = receipt {
                        document.receipt = Some(receipt.as_ref().clone());
                    }
                }
            }
        })?;
        answer.with(())
    }

    async fn withdraw(&self, tenant: &TenantId, id: &DocumentId) -> Result<(), PortError> {
        let answer = self.outage.call("UpdateItem documents").await?;
        if let Some(row) = self.rows().get_mut(&(tenant.clone(), id.clone()))
            && row.document.status == Status::Failed
        {
            row.document.searchable_version = None;
            (row.document.pages, row.document.chunks) = (None, None);
        }
        answer.with(())
    }

    async fn release(&self, claim: &Claim) -> Result<(), PortError> {
        let answer = self.outage.call("UpdateItem documents").await?;
        self.with_claim(claim, |row| row.document.valid_until = Some(claim.now - SignedDuration::from_millis(1)))?;
        answer.with(())
    }
}
