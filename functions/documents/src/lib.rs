//! The documents API: upload link, list, status, content link, description, delete.

mod config;
mod request;
mod response;

pub use config::Config;

use api::{Kind, Problem};
use domain::audit::AuditLog;
use domain::context::{Act, Context};
use domain::documents::manage::{ManageDocuments, ManageDocumentsError};
use domain::documents::registry::DocumentRegistry;
use domain::documents::versions::ManageVersions;
use domain::ids::IdSource;
use domain::limits::{AdmissionLog, AdmitRequest, Limit, Limits};
use domain::objects::{LinkSigner, ObjectHistory, ObjectReader, ObjectWriter};
use domain::retrieval::IndexWriter;
use index::{ManifestCatalogue, SegmentWriter};
use lambda_http::{Body, Request, Response};
use objects::Bucket;
use runtime::ids::SystemIds;
use runtime::telemetry::Invocation;
use std::sync::Arc;
use store::{AuditTable, DocumentsTable, EngineRows, LimitsTable};
use vectors::{TieredWriter, VectorBucket};

/// What the function holds between invocations.
pub struct Documents {
    /// The registry.
    pub registry: Box<dyn DocumentRegistry>,
    /// Signs links.
    pub links: Box<dyn LinkSigner>,
    /// Removes objects.
    pub objects: Box<dyn ObjectWriter>,
    /// What is in the bucket now.
    pub reader: Box<dyn ObjectReader>,
    /// What it keeps of what was there before.
    pub history: Box<dyn ObjectHistory>,
    /// What searches see of a document.
    pub index: Box<dyn IndexWriter>,
    /// The audit trail.
    pub audit: Box<dyn AuditLog>,
    /// New ids.
    pub ids: Box<dyn IdSource>,
    /// Largest document in bytes.
    pub upload_bytes_max: u64,
    /// Life of an upload link in seconds.
    pub upload_link_s: u32,
    /// How often one person may upload.
    pub limits: Limits,
    /// Who uploaded how often.
    pub admissions: Box<dyn AdmissionLog>,
}

impl Documents {
    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Self {
        let bucket = Bucket::new(sdk, config.documents_bucket.clone());
        let index = Arc::new(Bucket::new(sdk, config.index_bucket.clone()));
        Self {
            registry: Box::new(DocumentsTable::new(sdk, config.documents_table.clone())),
            links: Box::new(bucket.clone()),
            objects: Box::new(bucket.clone()),
            reader: Box::new(bucket.clone()),
            history: Box::new(bucket),
            index: writer(config, sdk, index),
            audit: Box::new(AuditTable::new(sdk, config.audit_table.clone())),
            ids: Box::new(SystemIds),
            upload_bytes_max: config.upload_bytes_max,
            upload_link_s: config.upload_link_s,
            limits: Limits { uploads: config.uploads.clone(), ..Limits::default() },
            admissions: Box::new(LimitsTable::new(sdk, config.limits_table.clone())),
        }
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

/// Answers one request. Every outcome is a response.
pub async fn handle(app: &Documents, request: &Request) -> Response<Body> {
    let id = api::request_id(request);
    let invocation = Invocation::begin("documents", id.as_str());
    let (outcome, response) = match answer(app, request).await {
        Ok((outcome, response)) => (outcome, response),
        Err(problem) => {
            let problem = api::recorded(problem, request, runtime::ids::now(), app.audit.as_ref(), app.ids.as_ref()).await;
            (problem.code(), problem.into_response(id.as_str()))
        }
    };
    invocation.end(outcome);
    response
}

async fn answer(app: &Documents, request: &Request) -> Result<(&'static str, Response<Body>), Problem> {
    let context = api::context(request, runtime::ids::now())?;
    let use_case = ManageDocuments {
        registry: app.registry.as_ref(),
        links: app.links.as_ref(),
        objects: app.objects.as_ref(),
        index: app.index.as_ref(),
        audit: app.audit.as_ref(),
        ids: app.ids.as_ref(),
        size_bytes_max: app.upload_bytes_max,
        upload_link_s: app.upload_link_s,
    };
    let versions = ManageVersions {
        registry: app.registry.as_ref(),
        links: app.links.as_ref(),
        history: app.history.as_ref(),
        objects: app.reader.as_ref(),
        audit: app.audit.as_ref(),
        ids: app.ids.as_ref(),
        size_bytes_max: app.upload_bytes_max,
        upload_link_s: app.upload_link_s,
    };
    let refused = |error| refusal(&context, &error);
    let (method, template) = api::route(request);
    Ok(match (method, template.as_str()) {
        ("POST", "/documents") => {
            let announcement = request::announcement(request)?;
            admit(app, &context).await?;
            let announced = use_case.announce(&context, &announcement).await.map_err(refused)?;
            ("announced", api::json(201, &response::announced(&announced, context.now)))
        }
        ("GET", "/documents") => {
            let (after, limit) = request::page(request)?;
            let tag = request::tag(request)?;
            let page = use_case.list(&context, tag.as_ref(), after.as_ref(), limit).await.map_err(refused)?;
            ("listed", api::json(200, &response::page(&page, context.now)))
        }
        ("GET", "/documents/{id}") => {
            let document = use_case.show(&context, &request::document_id(request)?).await.map_err(refused)?;
            ("shown", api::json(200, &response::document(&document, context.now)))
        }
        ("GET", "/documents/{id}/content") => {
            let id = request::document_id(request)?;
            let linked = match api::query_parameter(request, "version") {
                None => use_case.content(&context, &id).await,
                Some(version) => versions.content(&context, &id, &version).await,
            };
            let (link, expires_s) = linked.map_err(refused)?;
            ("linked", api::json(200, &response::content(&link, expires_s)))
        }
        ("GET", "/documents/{id}/versions") => {
            let found = versions.list(&context, &request::document_id(request)?).await.map_err(refused)?;
            ("versions_listed", api::json(200, &response::versions(&found)))
        }
        ("GET", "/documents/{id}/receipt") => {
            let receipt = use_case.receipt(&context, &request::document_id(request)?).await.map_err(refused)?;
            ("receipt_shown", api::json(200, &response::receipt(&receipt)))
        }
        ("POST", "/documents/{id}/versions") => {
            let (id, new) = (request::document_id(request)?, request::new_version(request)?);
            admit(app, &context).await?;
            let announced = versions.announce(&context, &id, &new).await.map_err(refused)?;
            ("version_announced", api::json(201, &response::announced(&announced, context.now)))
        }
        ("PATCH", "/documents/{id}") => {
            let (id, description) = (request::document_id(request)?, request::description(request)?);
            let document = use_case.describe(&context, &id, &description).await.map_err(refused)?;
            ("described", api::json(200, &response::document(&document, context.now)))
        }
        ("DELETE", "/documents/{id}") => {
            let document = use_case.delete(&context, &request::document_id(request)?).await.map_err(refused)?;
            ("deleting", api::json(202, &response::document(&document, context.now)))
        }
        _ => return Err(Problem::new(Kind::NoSuchRoute, "This function answers the routes below /v1/documents.")),
    })
}

/// Counts an upload. Who may not upload at all uses up nothing.
async fn admit(app: &Documents, context: &Context) -> Result<(), Problem> {
    if context.allow(Act::UploadDocument).is_err() {
        return Ok(());
    }
    let admit =
        AdmitRequest { limits: &app.limits, log: app.admissions.as_ref(), audit: app.audit.as_ref(), ids: app.ids.as_ref() };
    admit.run(context, Limit::Uploads).await.map_err(|error| {
        tracing::warn!(request_id = context.request_id.as_str(), %error, "not admitted");
        Problem::from_fault(error.fault(), Kind::BadDocument, "")
    })
}

fn refusal(context: &Context, error: &ManageDocumentsError) -> Problem {
    tracing::warn!(request_id = context.request_id.as_str(), %error, detail = ?error, "refused");
    let detail = match error {
        ManageDocumentsError::Port(_) => "It changed meanwhile. Look at it again.".to_owned(),
        ours => ours.to_string(),
    };
    Problem::from_fault(error.fault(), Kind::BadDocument, detail)
}
