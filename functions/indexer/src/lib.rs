//! S3 object created or removed to searchable or gone. SQS batches of `EventBridge` events; each message ends done, failed
//! with a visible reason, or comes again, and after the last delivery it is parked.

mod config;
mod event;
mod extractor;

pub use config::Config;
pub use extractor::ChildExtractor;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::audit::AuditLog;
use domain::documents::index_object::{Bounds, Extractor, IndexObject, Indexed, reason_code};
use domain::documents::registry::IndexingRegistry;
use domain::ids::IdSource;
use domain::objects::ObjectReader;
use domain::retrieval::{Embedder, IndexWriter};
use embed::{LoadModelError, MiniLm};
use index::SegmentWriter;
use lambda_runtime::Error;
use objects::Bucket;
use runtime::batch::BatchOutcome;
use runtime::ids::{SystemIds, now};
use runtime::telemetry::{Invocation, Unit};
use std::sync::Arc;
use store::{AuditTable, DocumentsTable};
use tracing::Instrument as _;

/// What the function holds between invocations.
pub struct Indexer {
    /// The registry.
    pub registry: Box<dyn IndexingRegistry>,
    /// The documents.
    pub objects: Box<dyn ObjectReader>,
    /// The parsers.
    pub extractor: Box<dyn Extractor>,
    /// The model.
    pub embedder: Box<dyn Embedder>,
    /// The index.
    pub index: Box<dyn IndexWriter>,
    /// The audit trail.
    pub audit: Box<dyn AuditLog>,
    /// New ids.
    pub ids: Box<dyn IdSource>,
    /// Bounds.
    pub bounds: Bounds,
}

impl Indexer {
    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Result<Self, LoadModelError> {
        let index = Arc::new(Bucket::new(sdk, config.index_bucket.clone()));
        Ok(Self {
            registry: Box::new(DocumentsTable::new(sdk, config.documents_table.clone())),
            objects: Box::new(Bucket::new(sdk, config.documents_bucket.clone())),
            extractor: Box::new(ChildExtractor),
            embedder: Box::new(MiniLm::load(&config.model_path)?),
            index: Box::new(SegmentWriter::new(index, embed::MODEL_ID.to_owned())),
            audit: Box::new(AuditTable::new(sdk, config.audit_table.clone())),
            ids: Box::new(SystemIds),
            bounds: Bounds {
                claim_s: config.claim_s,
                size_bytes_max: config.upload_bytes_max,
                default_tenant: config.default_tenant.clone(),
            },
        })
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
        if ended == Ended::Again {
            outcome.retry(id);
        }
    }
    Ok(outcome.into_response())
}

/// How a message ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Worked(Indexed),
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
        Ok(event) => work(app, &event, id).instrument(tracing::info_span!("event", request_id = id)).await,
        Err(event::ReadEventError::Foreign) => Ended::Foreign,
        // Never ours to drop: it comes again, and is parked with its text after the last delivery.
        Err(event::ReadEventError::Malformed) => Ended::Again,
    };
    if let Ended::Worked(Indexed::Done { pages, chunks }) = ended {
        invocation.metric("Pages", Unit::Count, f64::from(pages));
        invocation.metric("Chunks", Unit::Count, f64::from(chunks));
    }
    invocation.end(ended.name());
    ended
}

async fn work(app: &Indexer, event: &domain::documents::index_object::ObjectEvent, id: &str) -> Ended {
    let use_case = IndexObject {
        registry: app.registry.as_ref(),
        objects: app.objects.as_ref(),
        extractor: app.extractor.as_ref(),
        embedder: app.embedder.as_ref(),
        index: app.index.as_ref(),
        audit: app.audit.as_ref(),
        ids: app.ids.as_ref(),
        clock: &now,
        bounds: &app.bounds,
    };
    match use_case.run(event).await {
        Ok(indexed) => Ended::Worked(indexed),
        Err(error) => {
            tracing::warn!(request_id = id, %error, detail = ?error, fault = ?error.fault(), "will come again");
            Ended::Again
        }
    }
}
