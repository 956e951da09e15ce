//! S3 object created or removed to searchable or gone. SQS batches of `EventBridge` events; each message ends done, failed
//! with a visible reason, or comes again, and after the last delivery it is parked.

mod config;
mod event;
mod extractor;

pub use config::Config;
pub use extractor::ChildExtractor;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use deid::{Deidentifier, LoadTablesError};
use domain::audit::AuditLog;
use domain::documents::index_object::{
    Bounds, Extractor, IndexObject, IndexObjectError, Indexed, ObjectEvent, reason_code, tenant_of_key,
};
use domain::documents::keep_index::KeepIndex;
use domain::documents::registry::IndexingRegistry;
use domain::fault::PortError;
use domain::ids::{IdSource, RequestId};
use domain::objects::{ObjectHistory, ObjectReader};
use domain::phi::CountIdentifiers;
use domain::retrieval::{ChunkIndex, Embedder, IndexUpkeep, IndexWriter};
use embed::{LoadModelError, MiniLm};
use event::Event;
use index::{ManifestCatalogue, SegmentIndex, SegmentWriter};
use jiff::SignedDuration;
use lambda_runtime::Error;
use objects::Bucket;
use runtime::batch::BatchOutcome;
use runtime::ids::{SystemIds, now};
use runtime::telemetry::{Invocation, Unit};
use std::sync::Arc;
use store::{AuditTable, DocumentsTable, EngineRows};
use tracing::Instrument as _;
use vectors::{TieredIndex, TieredWriter, VectorBucket, VectorIndex};

/// What the function holds between invocations.
pub struct Indexer {
    /// The registry.
    pub registry: Box<dyn IndexingRegistry>,
    /// The documents.
    pub objects: Box<dyn ObjectReader>,
    /// The parsers.
    pub extractor: Box<dyn Extractor>,
    /// Counts identifiers of people.
    pub identifiers: Box<dyn CountIdentifiers>,
    /// The model.
    pub embedder: Box<dyn Embedder>,
    /// The index.
    pub index: Box<dyn IndexWriter>,
    /// The search that answers questions.
    pub search: Box<dyn ChunkIndex>,
    /// What the bucket keeps of documents.
    pub history: Box<dyn ObjectHistory>,
    /// The index's upkeep.
    pub upkeep: Box<dyn IndexUpkeep>,
    /// The audit trail.
    pub audit: Box<dyn AuditLog>,
    /// New ids.
    pub ids: Box<dyn IdSource>,
    /// Bounds.
    pub bounds: Bounds,
}

/// A file beside the binary cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StartIndexerError {
    /// The language model's.
    #[error(transparent)]
    Model(#[from] LoadModelError),
    /// The de-identifier's.
    #[error(transparent)]
    Identifiers(#[from] LoadTablesError),
}

impl Indexer {
    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Result<Self, StartIndexerError> {
        let index = Arc::new(Bucket::new(sdk, config.index_bucket.clone()));
        Ok(Self {
            registry: Box::new(DocumentsTable::new(sdk, config.documents_table.clone())),
            objects: Box::new(Bucket::new(sdk, config.documents_bucket.clone())),
            extractor: Box::new(ChildExtractor),
            identifiers: Box::new(Deidentifier::load(&config.identifiers_path)?),
            embedder: Box::new(MiniLm::load(&config.model_path)?),
            index: writer(config, sdk, index.clone()),
            search: search(config, sdk, index.clone()),
            history: Box::new(Bucket::new(sdk, config.documents_bucket.clone())),
            upkeep: Box::new(SegmentWriter::new(index, embed::MODEL_ID.to_owned())),
            audit: Box::new(AuditTable::new(sdk, config.audit_table.clone())),
            ids: Box::new(SystemIds),
            bounds: Bounds {
                claim_s: config.claim_s,
                size_bytes_max: config.upload_bytes_max,
                default_tenant: config.default_tenant.clone(),
                quarantine: config.quarantine.clone(),
            },
        })
    }
}

/// Writes segments; where the stack has a vector bucket, the vectors of the tenants that the registry names as well.
fn writer(config: &Config, sdk: &aws_types::SdkConfig, index: Arc<Bucket>) -> Box<dyn IndexWriter> {
    let model = embed::MODEL_ID.to_owned();
    let segments = Box::new(SegmentWriter::new(index.clone(), model.clone()));
    let Some(bucket) = &config.vector_bucket else { return segments };
    let vectors = Arc::new(VectorBucket::new(sdk, bucket.clone(), model.clone()));
    let engines = Arc::new(EngineRows::new(sdk, config.documents_table.clone()));
    Box::new(TieredWriter::new(segments, vectors, Arc::new(ManifestCatalogue::new(index, model)), engines))
}

/// Searches as the chat does, but loads only the documents that it is asked about.
fn search(config: &Config, sdk: &aws_types::SdkConfig, index: Arc<Bucket>) -> Box<dyn ChunkIndex> {
    let model = embed::MODEL_ID.to_owned();
    let segments = Box::new(SegmentIndex::of_named_documents(index.clone(), model.clone()));
    let Some(bucket) = &config.vector_bucket else { return segments };
    let catalogue = Arc::new(ManifestCatalogue::new(index.clone(), model.clone()));
    let vectors = VectorIndex::new(Arc::new(VectorBucket::new(sdk, bucket.clone(), model)), catalogue, index);
    let engines = Arc::new(EngineRows::new(sdk, config.documents_table.clone()));
    Box::new(TieredIndex::new(segments, Box::new(vectors), engines, now))
}

impl Indexer {
    /// Works on one event; an error means that it has to come again.
    pub async fn work(&self, event: &ObjectEvent) -> Result<Indexed, IndexObjectError> {
        let use_case = IndexObject {
            registry: self.registry.as_ref(),
            objects: self.objects.as_ref(),
            extractor: self.extractor.as_ref(),
            identifiers: self.identifiers.as_ref(),
            embedder: self.embedder.as_ref(),
            index: self.index.as_ref(),
            search: self.search.as_ref(),
            history: self.history.as_ref(),
            audit: self.audit.as_ref(),
            ids: self.ids.as_ref(),
            clock: &now,
            bounds: &self.bounds,
        };
        let indexed = use_case.run(event).await?;
        // The event is done; whether there are few objects or many matters to nobody but the next cold start.
        if let Some(tenant) = tenant_of_key(&event.key, self.bounds.default_tenant.as_ref())
            && let Err(error) = self.index.compact(&tenant).await
        {
            tracing::warn!(%error, detail = ?error, "not put together; the next event tries again");
        }
        Ok(indexed)
    }
}

/// What the upkeep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkept {
    /// Objects that nobody pointed at.
    pub swept: usize,
    /// Documents that were indexed anew.
    pub reindexed: usize,
    /// Documents that are still out of search: too little time, or another invocation has them in hand.
    pub left: usize,
}

impl Indexer {
    /// Sweeps, and indexes anew what a new model or format has put out of search, as far as there is time. Several at once
    /// share the work: each takes what no other has claimed.
    pub async fn keep(&self, id: &str) -> Result<Upkept, PortError> {
        let begun = now();
        let upkeep = KeepIndex { index: self.upkeep.as_ref(), registry: self.registry.as_ref() };
        let mut done = Upkept { swept: upkeep.sweep(begun).await?, ..Upkept::default() };
        let half_time = begun + SignedDuration::from_secs(i64::from(self.bounds.claim_s / 2));
        for event in upkeep.outdated(&RequestId::new(id)).await? {
            // What is begun by then is finished: no document takes longer than the other half.
            let has_time = now() <= half_time || done.reindexed == 0;
            match if has_time { self.work(&event).await.ok() } else { None } {
                Some(_) => done.reindexed += 1,
                None => done.left += 1,
            }
        }
        Ok(done)
    }
}

/// Works through a batch. One bad message never holds up its neighbours.
pub async fn handle(app: &Indexer, batch: SqsEvent) -> Result<SqsBatchResponse, Error> {
    let mut outcome = BatchOutcome::default();
    for message in &batch.records {
        let Some(id) = message.message_id.as_deref().filter(|id| !id.is_empty()) else {
            // An unnamed failure would be read as "all of them": let the whole batch come again instead.
            return Err("a message has no id".into());
        };
        let ended = one(app, message, id).await;
        tracing::info!(request_id = id, outcome = ended.name(), reason = ended.reason(), "worked on an event");
        // What is left of an upkeep takes another one: the message comes again.
        if ended == Ended::Again || matches!(ended, Ended::Kept(upkept) if upkept.left > 0) {
            outcome.retry(id);
        }
    }
    Ok(outcome.into_response())
}

/// How a message ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Worked(Indexed),
    Kept(Upkept),
    Foreign,
    Again,
}

impl Ended {
    const fn name(self) -> &'static str {
        match self {
            Self::Worked(Indexed::Done { .. }) => "indexed",
            Self::Worked(Indexed::Failed(_)) => "failed",
            Self::Worked(Indexed::Removed) => "removed",
            Self::Worked(Indexed::Stale) => "stale",
            Self::Worked(Indexed::Rejected) => "rejected",
            Self::Kept(_) => "kept",
            Self::Foreign => "foreign",
            Self::Again => "retry",
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Worked(Indexed::Failed(reason)) => reason_code(reason),
            Self::Worked(Indexed::Rejected) => "no_tenant",
            _ => "",
        }
    }
}

async fn one(app: &Indexer, message: &SqsMessage, id: &str) -> Ended {
    let mut invocation = Invocation::begin("indexer", id);
    let ended = match event::read(message, id) {
        Ok(Event::Upkeep) => match app.keep(id).instrument(tracing::info_span!("upkeep", request_id = id)).await {
            Ok(upkept) => Ended::Kept(upkept),
            Err(error) => {
                tracing::warn!(request_id = id, %error, detail = ?error, fault = ?error.fault(), "will come again");
                Ended::Again
            }
        },
        Ok(Event::Object(event)) => match app.work(&event).instrument(tracing::info_span!("event", request_id = id)).await {
            Ok(indexed) => Ended::Worked(indexed),
            Err(error) => {
                tracing::warn!(request_id = id, %error, detail = ?error, fault = ?error.fault(), "will come again");
                Ended::Again
            }
        },
        Err(event::ReadEventError::Foreign) => Ended::Foreign,
        // Never ours to drop: it comes again, and is parked with its text after the last delivery.
        Err(event::ReadEventError::Malformed) => Ended::Again,
    };
    if let Ended::Worked(Indexed::Done { pages, chunks }) = ended {
        invocation.metric("Pages", Unit::Count, f64::from(pages));
        invocation.metric("Chunks", Unit::Count, f64::from(chunks));
    }
    if let Ended::Kept(upkept) = ended {
        invocation.metric("SweptObjects", Unit::Count, upkept.swept as f64);
        invocation.metric("ReindexedDocuments", Unit::Count, upkept.reindexed as f64);
        invocation.metric("OutdatedDocuments", Unit::Count, upkept.left as f64);
    }
    invocation.end(ended.name());
    ended
}
