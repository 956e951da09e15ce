//! The sample questions through the whole path in one process: the parsers, the chunker, the model, the index and the
//! extractive answer that the functions run. Prints how many answers hold the expected words and page, and how many
//! questions without an answer are refused.

use anyhow::{Context as _, Result, anyhow};
use domain::chat::extractive::ExtractiveModel;
use domain::chat::support::SupportChecker;
use domain::chat::{Answer, AnswerQuestion, Question, SupportPolicy};
use domain::context::Role;
use domain::documents::chunks;
use domain::ids::{ConversationId, DocumentId, IdSource as _, Sequencer, TenantId};
use domain::retrieval::{EmbeddedChunk, Embedder, Filter, IndexEntry, IndexWriter as _};
use embed::MiniLm;
use extract::{Limits, extract_in_child};
use index::{SegmentIndex, SegmentWriter};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use testkit::{CountingIds, MemoryAuditLog, MemoryObjects, context, fixed_now};

/// A line of `samples/questions.jsonl`.
#[derive(Deserialize)]
struct Sample {
    question: String,
    document: Option<String>,
    pages: Vec<u32>,
    contains: String,
}

/// The project's folder.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Loads the model that `make up` has fetched.
pub fn model() -> Result<MiniLm> {
    let path = project().join("models").join(embed::MODEL_FILE);
    MiniLm::load(&path).map_err(|e| anyhow!("{e}; run `python3 models/fetch.py`"))
}

/// Prints the figures.
pub fn run() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(measure())
}

async fn measure() -> Result<()> {
    let (objects, embedder, ids) = (Arc::new(MemoryObjects::default()), Arc::new(model()?), CountingIds::default());
    let writer = SegmentWriter::new(objects.clone(), embed::MODEL_ID.to_owned());
    let (documents, chunks) = index_samples(&writer, &embedder).await?;
    let reader = SegmentIndex::new(objects, embed::MODEL_ID.to_owned());
    let (model, audit) = (ExtractiveModel::default(), MemoryAuditLog::default());
    let use_case = AnswerQuestion {
        index: &reader,
        embedder: embedder.as_ref(),
        model: &model,
        fallback: None,
        checker: &SupportChecker::default(),
        policy: SupportPolicy::Drop,
        audit: &audit,
        ids: &ids,
        conversations: None,
        stages: &(),
    };

    let questions = fs::read_to_string(project().join("samples/questions.jsonl"))?;
    let (mut answerable, mut words, mut first, mut page, mut refused, mut unanswerable, mut held) = (0, 0, 0, 0, 0, 0, 0);
    let verbose = std::env::var_os("VERBOSE").is_some();
    for line in questions.lines() {
        let sample: Sample = serde_json::from_str(line).context("samples/questions.jsonl")?;
        let conversation = ConversationId::new(ids.next(fixed_now()));
        let question = Question::new(&sample.question, conversation, Filter::default())?;
        let answer = use_case.run(&context("main", &[Role::Clinician]), &question).await?;
        if sample.document.is_none() {
            unanswerable += 1;
            held += usize::from(answer.refusal.is_some());
        } else {
            answerable += 1;
            refused += usize::from(answer.refusal.is_some());
            let (has_words, is_first) = holds(&answer, &sample.contains);
            words += usize::from(has_words);
            first += usize::from(is_first);
            page += usize::from(cites(&answer, &sample.pages));
        }
        if verbose {
            show(&sample, &answer);
        }
    }
    println!("indexed     {documents} documents, {chunks} chunks");
    println!(
        "answerable  {answerable}: words {}, in the first sentence {}, page {}, refused {refused}",
        share(words, answerable),
        share(first, answerable),
        share(page, answerable)
    );
    println!("no answer   {unanswerable}: refused {}", share(held, unanswerable));
    Ok(())
}

async fn index_samples(writer: &SegmentWriter<MemoryObjects>, embedder: &MiniLm) -> Result<(usize, usize)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(project().join("samples/documents"))?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    files.sort();
    let mut chunks = 0;
    for file in &files {
        chunks += index_file(writer, embedder, file).await?;
    }
    Ok((files.len(), chunks))
}

/// Indexes a document as the indexer does; answers how many chunks it has.
pub async fn index_file(writer: &SegmentWriter<MemoryObjects>, embedder: &dyn Embedder, file: &Path) -> Result<usize> {
    let tenant = TenantId::parse("main")?;
    let name = file.file_name().and_then(|n| n.to_str()).context("a file name")?;
    let document = extract_in_child(&fs::read(file)?, name, &Limits::default())?;
    let title = document.title.clone().unwrap_or_else(|| name.to_owned());
    let chunks: Vec<_> = chunks::chunk(&document).into_iter().map(|c| EmbeddedChunk::embed(embedder, &title, c)).collect();
    let count = chunks.len();
    let entry = IndexEntry {
        document_id: DocumentId::for_key(&tenant, name),
        tenant,
        title,
        version: "1".into(),
        sequencer: Sequencer::parse("1")?,
        pages: document.pages.len() as u32,
        attributes: domain::documents::attributes::Attributes::default(),
        chunks,
    };
    writer.put(entry).await?;
    Ok(count)
}

/// Whether a sentence holds the words, and whether the first one does.
fn holds(answer: &Answer, words: &str) -> (bool, bool) {
    let fold = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let wanted = fold(words);
    let found = answer.sentences.iter().position(|s| fold(&s.text).contains(&wanted));
    (found.is_some(), found == Some(0))
}

fn cites(answer: &Answer, pages: &[u32]) -> bool {
    answer.sentences.iter().flat_map(|s| &s.citations).any(|c| pages.contains(&c.span.page))
}

fn share(part: usize, of: usize) -> String {
    format!("{part} ({:.1} %)", 100.0 * part as f64 / of.max(1) as f64)
}

fn show(sample: &Sample, answer: &Answer) {
    let (ok, _) = holds(answer, &sample.contains);
    let mark = match (&sample.document, answer.refusal) {
        (None, Some(_)) => "right: refused",
        (None, None) => "WRONG: answered",
        (Some(_), Some(_)) => "WRONG: refused",
        (Some(_), None) if ok => "right",
        (Some(_), None) => "WRONG: other words",
    };
    println!("\n[{mark}] {} -> {:?} {:?}", sample.question, sample.contains, sample.document);
    for sentence in &answer.sentences {
        println!("   - {} ({} p. {})", sentence.text, sentence.citations[0].title, sentence.citations[0].span.page);
    }
    for citation in &answer.nearest {
        println!("   ? {} ({} p. {})", citation.quote, citation.title, citation.span.page);
    }
}
