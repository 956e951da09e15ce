//! A hospital in memory: the chat function with fakes behind it, and language models behind real sockets if there are some. In a
//! process of its own (`chat-in-memory`) it runs on a Runtime API as the deployed function does.

use anyhow::{Context as _, Result};
use chat::Chat;
use deid::{Deidentifier, TABLES_FILE};
use domain::breaker::{BreakerRules, Breakers};
use domain::chat::extractive::ExtractiveModel;
use domain::chat::support::SupportChecker;
use domain::chat::{ChatModel, SupportPolicy};
use domain::documents::attributes::Attributes;
use domain::documents::chunks;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::limits::{Limits, Rule};
use domain::retrieval::{EmbeddedChunk, Embedder, IndexEntry, IndexWriter as _};
use domain::spending::{Caps, Catalogue, Grade, Ledger, LedgerRow, LedgerStore as _, Provider};
use domain::text::Analyzer;
use embed::MiniLm;
use index::{SegmentIndex, SegmentWriter};
use jiff::{SignedDuration, Timestamp};
use llm::gateway::Bounds;
use llm::{Address, Covered, Gate, Gateway, HttpClient, HttpProvider, ProviderClient, Route};
use serde::{Deserialize, Serialize};
use signing::KmsCipher;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use testkit::{
    CountingIds, MemoryAdmissions, MemoryAlerts, MemoryAuditLog, MemoryBreakers, MemoryConversations, MemoryKeyRing,
    MemoryLedger, MemoryObjects, WordEmbedder, document_of_paragraphs,
};

/// A document of a hospital.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sheet {
    /// Whose.
    pub tenant: String,
    /// Its title.
    pub title: String,
    /// Its paragraphs, with empty lines between them.
    pub text: String,
}

impl Sheet {
    /// A document of the tenant `main`.
    pub fn of_main(title: &str, text: &str) -> Self {
        Self { tenant: "main".into(), title: title.into(), text: text.into() }
    }
}

/// What a hospital is made of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Where Gemini and Groq are, in the order in which they are asked; nobody is asked without.
    pub models: Option<[String; 2]>,
    /// Its documents.
    pub documents: Vec<Sheet>,
    /// The file of the model that places texts in meaning space; without one, words do.
    #[serde(default)]
    pub embedding: Option<PathBuf>,
}

/// The hospital.
pub struct Hospital {
    /// The function.
    pub chat: Arc<Chat>,
    /// The trail.
    pub audit: MemoryAuditLog,
    /// The money.
    pub ledger: MemoryLedger,
    /// The conversations.
    pub conversations: MemoryConversations,
    /// What somebody was told.
    pub alerts: MemoryAlerts,
}

/// A day on which every default model has a price.
pub fn day() -> Timestamp {
    Timestamp::constant(1_795_000_000, 0)
}

/// The de-identifier with the tables that `make build` makes; read once a process.
pub fn deidentifier() -> Result<Arc<Deidentifier>> {
    static READ: OnceLock<Arc<Deidentifier>> = OnceLock::new();
    if let Some(read) = READ.get() {
        return Ok(read.clone());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(TABLES_FILE);
    let loaded = Arc::new(Deidentifier::load(&path).context("`make build` makes the tables")?);
    Ok(READ.get_or_init(|| loaded).clone())
}

impl Hospital {
    /// Builds one.
    pub async fn build(plan: &Plan) -> Result<Self> {
        let objects = Arc::new(MemoryObjects::default());
        let embedder: Arc<dyn Embedder> = match &plan.embedding {
            Some(path) => Arc::new(MiniLm::load(path)?),
            None => Arc::new(WordEmbedder),
        };
        let model_id = embedder.model_id().to_owned();
        let writer = SegmentWriter::new(objects.clone(), model_id.clone());
        for sheet in &plan.documents {
            writer.put(entry(sheet, embedder.as_ref())?).await?;
        }
        let (audit, ledger, conversations) = (MemoryAuditLog::default(), MemoryLedger::default(), MemoryConversations::default());
        let alerts = MemoryAlerts::default();
        let extractive = Box::new(ExtractiveModel::default());
        let (model, fallback): (Box<dyn ChatModel>, Option<Box<dyn ChatModel>>) = match &plan.models {
            None => (extractive, None),
            Some(urls) => (Box::new(gateway(urls, &audit, &ledger, &alerts)?), Some(extractive)),
        };
        let chat = Chat {
            index: Box::new(SegmentIndex::new(objects, model_id)),
            embedder,
            model,
            fallback,
            checker: SupportChecker::default(),
            policy: SupportPolicy::Drop,
            audit: Box::new(audit.clone()),
            ids: Box::new(CountingIds::default()),
            conversations: Box::new(conversations.clone()),
            cipher: Box::new(KmsCipher::with_secret(vec![7; 32])),
            conversation_life: SignedDuration::from_hours(12),
            limits: Limits { questions: Rule::new(0, None), uploads: Rule::new(0, None) },
            admissions: Box::new(MemoryAdmissions::default()),
        };
        Ok(Self { chat: Arc::new(chat), audit, ledger, conversations, alerts })
    }

    /// The attempts that are booked.
    pub async fn attempts(&self) -> Result<Vec<LedgerRow>> {
        let today = day().to_zoned(jiff::tz::TimeZone::UTC).date();
        Ok(self.ledger.rows(today).await?)
    }
}

fn entry(sheet: &Sheet, embedder: &dyn Embedder) -> Result<IndexEntry> {
    let tenant = TenantId::parse(&sheet.tenant)?;
    let document = document_of_paragraphs(&sheet.text);
    let chunks = chunks::chunk(&document).into_iter().map(|chunk| EmbeddedChunk::embed(embedder, &sheet.title, chunk));
    Ok(IndexEntry {
        document_id: DocumentId::for_key(&tenant, &sheet.title),
        tenant,
        title: sheet.title.clone(),
        version: "v1".into(),
        sequencer: Sequencer::parse("1")?,
        pages: 1,
        attributes: Attributes::default(),
        chunks: chunks.collect(),
    })
}

fn gateway(urls: &[String; 2], audit: &MemoryAuditLog, ledger: &MemoryLedger, alerts: &MemoryAlerts) -> Result<Gateway> {
    let bounds = Bounds::default();
    let http = HttpClient::new(bounds.connect)?;
    let catalogue = Catalogue::shipped()?;
    let route = |provider: Provider, url: &str| -> Result<Route> {
        let address = Address::parse(url)?;
        let client: Box<dyn ProviderClient> = match provider {
            Provider::Gemini => Box::new(HttpProvider::gemini(http.clone(), address)),
            _ => Box::new(HttpProvider::groq(http.clone(), address)),
        };
        let model = |grade| catalogue.default_model(provider, grade).cloned();
        let usual = model(Grade::Usual).context("the catalogue has a default model")?;
        Ok(Route { client, keys: Some(Box::new(MemoryKeyRing::of(&["key"]))), usual, cheaper: model(Grade::Cheaper) })
    };
    let ids = Arc::new(CountingIds::starting_at(1 << 32));
    Ok(Gateway {
        routes: vec![route(Provider::Gemini, &urls[0])?, route(Provider::Groq, &urls[1])?],
        gate: Gate { deidentifier: deidentifier()?, covered: Covered::Strict, blocked: BTreeSet::new() },
        ledger: Ledger {
            store: Arc::new(ledger.clone()),
            caps: Caps::default(),
            alerts: Arc::new(alerts.clone()),
            audit: Arc::new(audit.clone()),
            ids: ids.clone(),
        },
        breakers: Breakers { store: Arc::new(MemoryBreakers::default()), rules: BreakerRules::default(), ids },
        bounds,
        clock: day,
        analyzer: Analyzer::default(),
        unanswered: || (),
    })
}
