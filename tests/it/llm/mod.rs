//! Language models: the clients, the gate and the gateway against a double of the providers on real sockets.

mod bedrock;
mod calls;
mod egress;
mod failover;
mod leaks;

use crate::repository;
use ::deid::{Deidentifier, TABLES_FILE};
use ::llm::gateway::Bounds;
use ::llm::{Address, Gate, Gateway, HttpClient, HttpProvider, ProviderClient, Route};
use domain::breaker::{BreakerRules, Breakers};
use domain::chat::conversation::Background;
use domain::chat::{Prompt, Task};
use domain::context::{Context, Role};
use domain::documents::chunks::{Chunk, Span};
use domain::ids::{ConversationId, DocumentId, TenantId};
use domain::retrieval::{Embedding, Passage};
use domain::spending::{Caps, Catalogue, Grade, Ledger, Model, Provider};
use domain::text::Analyzer;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use testkit::{CountingIds, MemoryAlerts, MemoryAuditLog, MemoryBreakers, MemoryKeyRing, MemoryLedger};
use tests::llm_double::{Format, LlmDouble};

/// Tests wait only for what never comes: not for long, and long enough for a machine that has much else to do.
pub const BOUNDS: Bounds = Bounds {
    connect: Duration::from_millis(500),
    silence: Duration::from_millis(900),
    attempt: Duration::from_secs(2),
    rewriting: Duration::from_secs(30),
    answer: Duration::from_secs(30),
    store: Duration::from_secs(5),
    output_tokens_max: 1_024,
};

static DEIDENTIFIER: LazyLock<Arc<Deidentifier>> = LazyLock::new(|| {
    let path = repository::root().join("models").join(TABLES_FILE);
    Arc::new(Deidentifier::load(&path).expect("`make build` makes the tables"))
});

/// A day on which every default model has a price.
fn now() -> Timestamp {
    Timestamp::constant(1_795_000_000, 0)
}

fn gate() -> Gate {
    Gate { deidentifier: DEIDENTIFIER.clone(), covered: ::llm::Covered::Strict, blocked: BTreeSet::new() }
}

/// A model of the catalogue that is shipped.
fn model(format: Format, grade: Grade) -> Model {
    let provider = match format {
        Format::Gemini => Provider::Gemini,
        Format::OpenAi => Provider::Groq,
    };
    Catalogue::shipped().expect("a catalogue").default_model(provider, grade).expect("a default model").clone()
}

fn client(double: &LlmDouble, format: Format) -> Box<dyn ProviderClient> {
    let http = HttpClient::new(BOUNDS.connect).expect("certificates");
    let address = |url: String| Address::parse(&url).expect("an address");
    Box::new(match format {
        Format::Gemini => HttpProvider::gemini(http, address(double.gemini_url())),
        Format::OpenAi => HttpProvider::groq(http, address(double.groq_url())),
    })
}

/// Money in memory.
struct Money {
    books: MemoryLedger,
    audit: MemoryAuditLog,
    ledger: Ledger,
}

impl Money {
    fn with(caps: Caps) -> Self {
        let (books, audit) = (MemoryLedger::default(), MemoryAuditLog::default());
        let ledger = Ledger {
            store: Arc::new(books.clone()),
            caps,
            alerts: Arc::new(MemoryAlerts::default()),
            audit: Arc::new(audit.clone()),
            ids: Arc::new(CountingIds::default()),
        };
        Self { books, audit, ledger }
    }
}

/// Two providers behind one double, the first asked first.
struct Setup {
    double: LlmDouble,
    money: Money,
    keys: MemoryKeyRing,
    gateway: Gateway,
}

impl Setup {
    fn new(first: Format) -> Self {
        Self::with(first, Caps::default())
    }

    fn with(first: Format, caps: Caps) -> Self {
        let second = if first == Format::Gemini { Format::OpenAi } else { Format::Gemini };
        let double = LlmDouble::open(0).expect("a port");
        let (money, keys) = (Money::with(caps), MemoryKeyRing::of(&["key-current", "key-pending", "key-previous"]));
        let route = |format, keys: MemoryKeyRing| Route {
            client: client(&double, format),
            keys: Some(Box::new(keys)),
            usual: model(format, Grade::Usual),
            cheaper: Some(model(format, Grade::Cheaper)),
        };
        let gateway = Gateway {
            routes: vec![route(first, keys.clone()), route(second, MemoryKeyRing::of(&["key-second"]))],
            gate: gate(),
            ledger: money.ledger.clone(),
            breakers: Breakers {
                store: Arc::new(MemoryBreakers::default()),
                rules: BreakerRules::default(),
                ids: Arc::new(CountingIds::default()),
            },
            bounds: BOUNDS,
            clock: now,
            unanswered: || (),
            analyzer: Analyzer::default(),
        };
        Self { double, money, keys, gateway }
    }
}

/// What a question needs.
struct Case {
    context: Context,
    conversation: ConversationId,
    background: Background,
    embedding: Embedding,
    question: String,
    passages: Vec<Passage>,
}

impl Case {
    fn new(question: &str, texts: &[&str]) -> Self {
        let tenant = TenantId::parse("main").expect("a tenant");
        let passage = |(at, text): (usize, &&str)| {
            let length = text.chars().count();
            Passage {
                document_id: DocumentId::for_key(&tenant, &at.to_string()),
                title: "Handbook".into(),
                version: "v1".into(),
                chunk: Chunk {
                    ordinal: 0,
                    section: vec!["Doses".into()],
                    text: (*text).to_owned(),
                    spans: vec![Span { page: 1, start: 0, end: length }],
                    flags: vec![],
                },
                score: 1.0,
                cosine: 0.5,
                lexical: 1.0,
                sentences: vec![],
            }
        };
        Self {
            context: testkit::context("main", &[Role::Clinician]),
            conversation: ConversationId::parse("01KE8T4S00ABCDEFGHJKMNPQRS").expect("an id"),
            background: Background::default(),
            embedding: Embedding(vec![1.0]),
            question: question.to_owned(),
            passages: texts.iter().enumerate().map(passage).collect(),
        }
    }

    fn prompt(&self) -> Prompt<'_> {
        Prompt {
            context: &self.context,
            conversation: &self.conversation,
            question: &self.question,
            embedding: &self.embedding,
            passages: &self.passages,
            terms: &[],
            background: &self.background,
            task: Task::Answer,
        }
    }
}
