//! The small fakes: audit trail, ids, clock, embedder, parser.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::alert::{Alert, AlertSink};
use domain::audit::{AuditEvent, AuditLog};
use domain::context::{Actor, Context, Role};
use domain::documents::index_object::Extractor;
use domain::documents::pages::{Block, BlockKind, ExtractedDocument, Page, Reason};
use domain::fault::PortError;
use domain::ids::{IdSource, RequestId, SubjectId, TenantId};
use domain::phi::{CountIdentifiers, IdentifierCounts, IdentifierKind};
use domain::retrieval::{Embedder, Embedding};
use domain::text::Analyzer;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use ulid::Ulid;

/// The audit trail in memory. A clone is the same trail.
#[derive(Clone, Default)]
pub struct MemoryAuditLog {
    events: Arc<Mutex<Vec<AuditEvent>>>,
    down: Arc<AtomicBool>,
    outage: Outage,
}

impl MemoryAuditLog {
    /// A trail whose calls fail when this outage says so.
    pub fn with_outage(outage: Outage) -> Self {
        Self { outage, ..Self::default() }
    }

    /// The same trail, whose calls fail when this outage says so.
    #[must_use]
    pub fn seen_through(&self, outage: Outage) -> Self {
        Self { outage, ..self.clone() }
    }

    /// Everything that was appended.
    pub fn events(&self) -> Vec<AuditEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes every append fail.
    pub fn take_down(&self) {
        self.down.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl AuditLog for MemoryAuditLog {
    async fn append(&self, event: &AuditEvent) -> Result<(), PortError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(PortError::Unavailable { operation: "PutItem audit", code: "injected".into() });
        }
        let answer = self.outage.call("PutItem audit").await?;
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        answer.with(())
    }
}

/// Alerts in memory. A clone is the same sink.
#[derive(Clone, Default)]
pub struct MemoryAlerts {
    alerts: Arc<Mutex<Vec<Alert>>>,
    outage: Outage,
}

impl MemoryAlerts {
    /// A sink whose calls fail when this outage says so.
    pub fn with_outage(outage: Outage) -> Self {
        Self { outage, ..Self::default() }
    }

    /// The same sink, whose calls fail when this outage says so.
    #[must_use]
    pub fn seen_through(&self, outage: Outage) -> Self {
        Self { outage, ..self.clone() }
    }

    /// Everything that was published.
    pub fn alerts(&self) -> Vec<Alert> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl AlertSink for MemoryAlerts {
    async fn publish(&self, alert: &Alert) -> Result<(), PortError> {
        let answer = self.outage.call("Publish alert").await?;
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner).push(alert.clone());
        answer.with(())
    }
}

/// Ids that count up.
#[derive(Default)]
pub struct CountingIds(AtomicU64);

impl CountingIds {
    /// Ids that count up from a number: those of several functions must never be the same.
    pub const fn starting_at(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }
}

impl IdSource for CountingIds {
    fn next(&self, now: Timestamp) -> Ulid {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        Ulid::from_parts(u64::try_from(now.as_millisecond()).unwrap_or(0), count.into())
    }
}

/// Meaning as a bag of words hashed into 64 places: enough for "the same words are near".
pub struct WordEmbedder;

impl Embedder for WordEmbedder {
    fn model_id(&self) -> &'static str {
        "words-64"
    }

    fn dimensions(&self) -> usize {
        64
    }

    fn embed(&self, text: &str) -> Embedding {
        let mut vector = vec![0.0_f32; 64];
        for term in Analyzer::default().terms(text) {
            let place = term.bytes().fold(7_usize, |h, b| h.wrapping_mul(31).wrapping_add(b.into())) % 64;
            vector[place] += 1.0;
        }
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::EPSILON);
        for value in &mut vector {
            *value /= length;
        }
        Embedding(vector)
    }
}

/// A parser that reads every blank-line-separated piece as a paragraph of page 1, or fails as the bytes say (`!encrypted`).
pub struct FixedExtractor;

#[async_trait]
impl Extractor for FixedExtractor {
    async fn extract(&self, bytes: Vec<u8>, _: &str) -> Result<ExtractedDocument, Reason> {
        let text = String::from_utf8(bytes).map_err(|_| Reason::Unsupported)?;
        match text.as_str() {
            "!encrypted" => Err(Reason::Encrypted),
            "!malformed" => Err(Reason::Malformed),
            _ => Ok(document_of_paragraphs(&text)),
        }
    }
}

/// A one-page document whose paragraphs are the blank-line-separated pieces of a text.
pub fn document_of_paragraphs(text: &str) -> ExtractedDocument {
    let mut page = Page::empty(1);
    for paragraph in text.split("\n\n").filter(|p| !p.trim().is_empty()) {
        if !page.text.is_empty() {
            page.text.push_str("\n\n");
        }
        let start = page.text.chars().count();
        page.text.push_str(paragraph);
        page.blocks.push(Block::new(BlockKind::Paragraph, start, page.text.chars().count()));
    }
    ExtractedDocument { title: None, pages: vec![page] }
}

/// A Monday morning.
pub fn fixed_now() -> Timestamp {
    Timestamp::from_second(1_767_600_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A request of one person of one tenant.
pub fn context(tenant: &str, roles: &[Role]) -> Context {
    Context {
        actor: Actor {
            subject: SubjectId::parse("person-1").expect("a subject"),
            roles: roles.to_vec(),
            groups: BTreeSet::new(),
            department: None,
        },
        tenant: TenantId::parse(tenant).expect("a tenant"),
        request_id: RequestId::new("request-1"),
        now: fixed_now(),
    }
}

/// Knows some words as identifiers.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnownIdentifiers(pub &'static [(&'static str, IdentifierKind)]);

impl CountIdentifiers for KnownIdentifiers {
    fn count(&self, text: &str) -> IdentifierCounts {
        let counts = self.0.iter().map(|(word, kind)| (*kind, text.matches(word).count() as u32));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}
