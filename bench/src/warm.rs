//! Where the processor time of a warm answer goes: the question's vector, the search, any other vector, and everything else.
//! The parts that the functions run, in one process, with nothing but memory below.

use crate::answers::{index_file, model, project};
use crate::machine;
use crate::process::own_thread_ms;
use crate::sample::{Sample, table};
use anyhow::{Context as _, Result};
use domain::chat::extractive::ExtractiveModel;
use domain::chat::support::SupportChecker;
use domain::chat::{AnswerQuestion, Question, SupportPolicy};
use domain::context::Role;
use domain::ids::{ConversationId, IdSource as _, TenantId};
use domain::retrieval::{ChunkIndex as _, Embedder, Embedding, Filter, Query};
use embed::MiniLm;
use index::{SegmentIndex, SegmentWriter};
use serde_json::Value;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use testkit::{CountingIds, MemoryAuditLog, MemoryObjects, context, fixed_now};

/// Searched for the questions: enough for full passages, few enough to be indexed in seconds.
const DOCUMENTS: [&str; 4] = [
    "LGH-CP-014-sepsis.pdf",
    "LGH-CP-033-blood-transfusion.pdf",
    "LGH-OPS-004-visitor-policy.pdf",
    "LGH-PH-001-medicines-management.pdf",
];

/// Prints the figure.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    tokio::runtime::Builder::new_current_thread().build()?.block_on(measure())?;
    println!("load average at the end {}", machine::load());
    Ok(())
}

/// The model, and what it was used for since the last look.
struct Metered {
    model: MiniLm,
    used: Mutex<Used>,
}

#[derive(Default, Clone, Copy)]
struct Used {
    calls: usize,
    pieces: usize,
    cpu_ms: f64,
}

impl Metered {
    fn take(&self) -> Used {
        std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Embedder for Metered {
    fn model_id(&self) -> &str {
        self.model.model_id()
    }

    fn dimensions(&self) -> usize {
        embed::DIMENSIONS
    }

    fn embed(&self, text: &str) -> Embedding {
        let pieces = self.model.token_ids(text).len();
        let begun = own_thread_ms();
        let vector = Embedder::embed(&self.model, text);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.cpu_ms += own_thread_ms() - begun;
        used.calls += 1;
        used.pieces += pieces;
        vector
    }
}

#[derive(Default)]
struct Measured {
    answer: Sample,
    question: Sample,
    search: Sample,
    sentences: Sample,
    rest: Sample,
    compared: Sample,
    pieces: Sample,
}

async fn measure() -> Result<()> {
    let embedder = Arc::new(Metered { model: model()?, used: Mutex::default() });
    let objects = Arc::new(MemoryObjects::default());
    let chunks = index_documents(&objects, &embedder).await?;
    let index = SegmentIndex::new(objects, embed::MODEL_ID.to_owned());
    let (answerer, audit) = (ExtractiveModel::default(), MemoryAuditLog::default());
    let ids = CountingIds::default();
    let use_case = AnswerQuestion {
        index: &index,
        embedder: embedder.as_ref(),
        model: &answerer,
        fallback: None,
        checker: &SupportChecker::default(),
        policy: SupportPolicy::Drop,
        audit: &audit,
        ids: &ids,
        conversations: None,
        stages: &(),
    };
    let tenant = TenantId::parse("main")?;
    index.prime(&tenant).await?;

    let questions = fs::read_to_string(project().join("samples/questions.jsonl"))?;
    let mut measured = Measured::default();
    for line in questions.lines() {
        let sample: Value = serde_json::from_str(line).context("samples/questions.jsonl")?;
        let text = sample["question"].as_str().context("no question")?;
        // The parts first, then the whole: what the whole takes beyond its parts is the rest.
        let begun = own_thread_ms();
        let embedding = Embedder::embed(&embedder.model, text);
        let after_vector = own_thread_ms();
        index
            .search(
                &testkit::context(tenant.as_str(), &[]).scope(),
                &Query { text: text.to_owned(), embedding, filter: Filter::default() },
                domain::chat::PASSAGES,
            )
            .await?;
        let after_search = own_thread_ms();
        embedder.take();
        let question = Question::new(text, ConversationId::new(ids.next(fixed_now())), Filter::default())?;
        let asked = own_thread_ms();
        use_case.run(&context("main", &[Role::Clinician]), &question).await?;
        let after_answer = own_thread_ms();
        let used = embedder.take();
        let total = after_answer - asked;
        let own = after_vector - begun;
        measured.answer.add(total);
        measured.question.add(own);
        measured.search.add(after_search - after_vector);
        measured.sentences.add(used.cpu_ms - own);
        measured.rest.add(total - used.cpu_ms - (after_search - after_vector));
        measured.compared.add(used.calls as f64 - 1.0);
        measured.pieces.add(used.pieces as f64 - embedder.model.token_ids(text).len() as f64);
    }
    println!("{} sample questions over {chunks} chunks; CPU ms, median (minimum)", measured.answer.len());
    let heads = ["", "answer", "question's vector", "search", "other vectors", "rest"].map(str::to_owned).to_vec();
    let mut row = vec!["warm answer".to_owned()];
    let Measured { answer, question, search, sentences, rest, .. } = &measured;
    row.extend([answer, question, search, sentences, rest].map(ToString::to_string));
    println!("{}", table(&[heads, row]));
    println!(
        "texts embedded beside the question: {:.0}, word pieces of them {:.0}",
        measured.compared.median(),
        measured.pieces.median()
    );
    Ok(())
}

async fn index_documents(objects: &Arc<MemoryObjects>, embedder: &Metered) -> Result<usize> {
    let writer = SegmentWriter::new(objects.clone(), embed::MODEL_ID.to_owned());
    let mut count = 0;
    for name in DOCUMENTS {
        count += index_file(&writer, embedder, &project().join("samples/documents").join(name)).await?;
    }
    Ok(count)
}
