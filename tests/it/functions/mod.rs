//! Events of `events/` through the functions' handlers, with fakes behind them.

mod access;
mod admin;
mod audit;
mod audit_alerts;
mod audit_pin;
mod audit_reconcile;
mod audit_seal;
mod chat;
mod conversations;
mod documents;
mod indexer;
mod limits;
mod schedules;
mod stream;
mod tampering;
mod trail;
mod upkeep;
mod versions;

use crate::repository;
use ::chat::Chat;
use ::documents::Documents;
use ::indexer::Indexer;
use domain::audit::{EventType, Outcome};
use domain::chat::SupportPolicy;
use domain::chat::extractive::ExtractiveModel;
use domain::chat::support::SupportChecker;
use domain::documents::index_object::Bounds;
use domain::documents::registry::{Document, DocumentRegistry as _};
use domain::ids::{DocumentId, TenantId};
use domain::limits::{Limits, Rule};
use domain::retrieval::Embedder as _;
use index::{SegmentIndex, SegmentWriter};
use jiff::SignedDuration;
use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use signing::KmsCipher;
use std::sync::Arc;
use testkit::{
    CountingIds, FixedExtractor, KnownIdentifiers, MemoryAdmissions, MemoryAuditLog, MemoryConversations, MemoryObjects,
    MemoryRegistry, Outage, WordEmbedder,
};

/// The request id in the sample events of the API.
const REQUEST_ID: &str = "JKJaXmPLvHcESHA=";
/// The subject in their claims.
const SUBJECT: &str = "7a1e3f52-0c4d-4e9b-8f6a-2b3c4d5e6f70";

/// A sample event.
fn event(name: &str) -> Value {
    serde_json::from_str(&repository::text(format!("events/{name}.json"))).expect("an event is JSON")
}

/// A sample event of the API with another body.
fn event_with_body(name: &str, body: &Value) -> Value {
    let mut event = event(name);
    event["body"] = body.to_string().into();
    event
}

/// Changes one of the verified claims of an event.
fn set_claim(event: &mut Value, name: &str, value: &str) {
    event["requestContext"]["authorizer"]["claims"][name] = value.into();
}

/// Points an event at a document.
fn set_document(event: &mut Value, id: &str) {
    event["pathParameters"] = json!({ "id": id });
}

/// Sends a body under another media type.
fn set_media_type(event: &mut Value, media_type: &str) {
    event["headers"]["Content-Type"] = media_type.into();
    event["multiValueHeaders"]["Content-Type"] = json!([media_type]);
}

/// The request that the platform makes of an event.
fn request(event: &Value) -> Request {
    lambda_http::request::from_str(&event.to_string()).expect("an API event")
}

/// A response, read.
#[derive(Debug)]
struct Reply {
    status: u16,
    media_type: String,
    text: String,
    body: Value,
}

impl From<Response<Body>> for Reply {
    fn from(response: Response<Body>) -> Self {
        let header = |name: &str| response.headers().get(name).map(|v| v.to_str().expect("ASCII").to_owned()).unwrap_or_default();
        let (status, media_type) = (response.status().as_u16(), header("content-type"));
        assert_eq!(header("cache-control"), "no-store", "answers quote documents");
        let Body::Text(text) = response.into_body() else { panic!("a response is text") };
        let body = serde_json::from_str(&text).expect("a response is JSON");
        Self { status, media_type, text, body }
    }
}

impl Reply {
    /// The problem's status and short name, after a check of what every problem has.
    fn problem(&self) -> (u16, &str) {
        assert_eq!(self.media_type, "application/problem+json", "{}", self.text);
        assert_eq!(self.body["status"], self.status);
        assert!(self.body["title"].as_str().is_some_and(|title| !title.is_empty()), "{}", self.text);
        assert_eq!(self.body["trace_id"], REQUEST_ID);
        let kind = self.body["type"].as_str().and_then(|kind| kind.strip_prefix("urn:clinchat:problem:"));
        (self.status, kind.expect("a problem of ours"))
    }

    /// The body of a success.
    fn ok(&self, status: u16) -> &Value {
        assert_eq!((self.status, self.media_type.as_str()), (status, "application/json"), "{}", self.text);
        &self.body
    }
}

/// One hospital in memory: what the functions share.
struct House {
    /// Cuts every store call off.
    outage: Outage,
    documents: MemoryObjects,
    index: MemoryObjects,
    registry: MemoryRegistry,
    audit: MemoryAuditLog,
    indexer: Indexer,
    /// None, unless a test is about them.
    limits: Limits,
    admissions: MemoryAdmissions,
    conversations: MemoryConversations,
}

impl House {
    fn new() -> Self {
        let outage = Outage::default();
        let documents = MemoryObjects::with_outage(outage.clone());
        let index = MemoryObjects::with_outage(outage.clone());
        let registry = MemoryRegistry::with_outage(outage.clone());
        let audit = MemoryAuditLog::with_outage(outage.clone());
        let conversations = MemoryConversations::with_outage(outage.clone());
        let indexer = Indexer {
            registry: Box::new(registry.clone()),
            objects: Box::new(documents.clone()),
            extractor: Box::new(FixedExtractor),
            identifiers: Box::new(KnownIdentifiers::default()),
            embedder: Box::new(WordEmbedder),
            index: Box::new(SegmentWriter::new(Arc::new(index.clone()), WordEmbedder.model_id().to_owned())),
            search: Box::new(SegmentIndex::of_named_documents(Arc::new(index.clone()), WordEmbedder.model_id().to_owned())),
            history: Box::new(documents.clone()),
            upkeep: Box::new(SegmentWriter::new(Arc::new(index.clone()), WordEmbedder.model_id().to_owned())),
            audit: Box::new(audit.clone()),
            ids: Box::new(CountingIds::default()),
            // An attempt that was cut off is over at once: the next delivery need not wait for its claim to end.
            bounds: Bounds { claim_s: 0, size_bytes_max: 10_000, default_tenant: TenantId::parse("main").ok(), quarantine: None },
        };
        let limits = Limits { questions: Rule::new(0, None), uploads: Rule::new(0, None) };
        Self {
            outage,
            documents,
            index,
            registry,
            audit,
            indexer,
            limits,
            admissions: MemoryAdmissions::default(),
            conversations,
        }
    }

    /// A new instance of the chat function.
    fn chat(&self) -> Chat {
        Chat {
            index: Box::new(SegmentIndex::new(Arc::new(self.index.clone()), WordEmbedder.model_id().to_owned())),
            embedder: Arc::new(WordEmbedder),
            model: Box::new(ExtractiveModel::default()),
            fallback: None,
            checker: SupportChecker::default(),
            policy: SupportPolicy::Drop,
            audit: Box::new(self.audit.clone()),
            ids: Box::new(CountingIds::default()),
            conversations: Box::new(self.conversations.clone()),
            cipher: Box::new(KmsCipher::with_secret(vec![7; 32])),
            conversation_life: SignedDuration::from_hours(12),
            limits: self.limits.clone(),
            admissions: Box::new(self.admissions.clone()),
        }
    }

    /// A new instance of the documents function.
    fn documents(&self) -> Documents {
        Documents {
            registry: Box::new(self.registry.clone()),
            links: Box::new(self.documents.clone()),
            objects: Box::new(self.documents.clone()),
            reader: Box::new(self.documents.clone()),
            history: Box::new(self.documents.clone()),
            index: Box::new(SegmentWriter::new(Arc::new(self.index.clone()), WordEmbedder.model_id().to_owned())),
            audit: Box::new(self.audit.clone()),
            ids: Box::new(CountingIds::default()),
            upload_bytes_max: 50 << 20,
            upload_link_s: 3_600,
            limits: self.limits.clone(),
            admissions: Box::new(self.admissions.clone()),
        }
    }

    async fn ask(&self, event: &Value) -> Reply {
        ::chat::handle(&self.chat(), &request(event)).await.into()
    }

    async fn call(&self, event: &Value) -> Reply {
        ::documents::handle(&self.documents(), &request(event)).await.into()
    }

    /// Asks as the sample event does, with another question.
    async fn question(&self, question: &str) -> Reply {
        self.ask(&event_with_body("chat.ask", &json!({ "question": question }))).await
    }

    /// Hands a batch to the indexer; answers the ids of the messages that come again.
    async fn deliver(&self, batch: &Value) -> Vec<String> {
        let batch = serde_json::from_value(batch.clone()).expect("an SQS batch");
        let response = ::indexer::handle(&self.indexer, batch).await.expect("every message has an id");
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    /// Uploads a text and has it indexed; answers the document's id.
    async fn index(&self, key: &str, text: &str, sequencer: u64) -> DocumentId {
        self.documents.upload(key, text.as_bytes(), &[]);
        assert_eq!(self.deliver(&object_event("Object Created", key, sequencer)).await, [""; 0]);
        document_id(key)
    }

    /// The registry's row of a key.
    async fn row(&self, key: &str) -> Option<Document> {
        self.registry.find(&tenant(key), &document_id(key)).await.expect("the registry is up")
    }

    /// What happened so far. What was only intended is not yet among it.
    fn history(&self) -> Vec<EventType> {
        let events = self.audit.events();
        events.iter().filter(|event| event.outcome != Outcome::Intended).map(|event| event.event_type).collect()
    }
}

/// A house with documents.
async fn hospital_with(documents: &[(&str, &str)]) -> House {
    let house = House::new();
    for (at, (title, text)) in documents.iter().enumerate() {
        house.index(&format!("tenants/main/{title}.txt"), text, at as u64 + 1).await;
    }
    house
}

fn tenant(key: &str) -> TenantId {
    let main = TenantId::parse("main").expect("a tenant");
    domain::documents::index_object::tenant_of_key(key, Some(&main)).expect("a key of a tenant")
}

fn document_id(key: &str) -> DocumentId {
    DocumentId::for_key(&tenant(key), key)
}

/// A batch of one event on a key, in the sample event's form.
fn object_event(kind: &str, key: &str, sequencer: u64) -> Value {
    let mut batch = event("indexer.object-created");
    let mut body: Value = serde_json::from_str(batch["Records"][0]["body"].as_str().expect("a body")).expect("JSON");
    body["detail-type"] = kind.into();
    if kind == "Object Deleted" {
        body["detail"]["deletion-type"] = "Delete Marker Created".into();
    }
    body["detail"]["object"]["key"] = key.into();
    body["detail"]["object"]["sequencer"] = format!("{sequencer:018X}").into();
    batch["Records"][0]["body"] = body.to_string().into();
    batch["Records"][0]["messageId"] = format!("message-{sequencer}").into();
    batch
}
