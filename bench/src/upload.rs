//! How long a person waits between "uploaded" and "found", and what the waiting is for: first on the local stack, from
//! outside; then stage by stage in this process, with the same crates.

use crate::answers::{model, project};
use crate::machine;
use crate::process;
use crate::sample::{Sample, table};
use crate::stack::{Look, Stack, sample};
use anyhow::{Context as _, Result, anyhow};
use domain::documents::chunks;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::retrieval::{EmbeddedChunk, IndexEntry, IndexWriter as _};
use embed::MiniLm;
use extract::{Limits, extract, extract_in_child};
use index::SegmentWriter;
use std::fs;
use std::sync::Arc;
use std::time::Instant;
use testkit::MemoryObjects;

/// The sample set's long documents, by pages: one near the 20 pages that the goal is about, one twice as long.
const DOCUMENTS: [&str; 2] = ["LGH-PH-001-medicines-management.pdf", "LGH-IPC-001-infection-control-manual.pdf"];
/// The builds that a stack is started with, and how often each document is uploaded there.
const STACKS: [(&str, &str, usize); 2] =
    [("release", "release binaries", 15), ("debug", "the development binaries that `make up` deploys", 5)];
/// Runs of the stages in this process.
const RUNS: usize = 15;

/// Prints the figure.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    for (build, what, uploads) in STACKS {
        println!("local stack with {what}: {uploads} uploads of each; wall s, median (minimum), states looked at every 50 ms");
        on_stack(build, uploads)?;
    }
    println!("stages in this process: {RUNS} runs, CPU ms, median (minimum)");
    tokio::runtime::Builder::new_current_thread().build()?.block_on(stages())?;
    println!("load average at the end {}", machine::load());
    Ok(())
}

/// Seconds from the moment that the bytes are in the bucket.
#[derive(Default)]
struct Waits {
    put: Sample,
    queue: Sample,
    extract: Sample,
    embed: Sample,
    total: Sample,
    answer: Sample,
    cpu: Sample,
}

fn on_stack(build: &str, uploads: usize) -> Result<()> {
    let stack = Stack::start(build)?;
    // The first event starts the function's process; a start is what the figure `cold` is about.
    let (id, arrived) = stack.upload("warm up.txt", b"Hand hygiene comes first, before every contact.")?;
    stack.follow(&id, arrived)?;
    let indexer = stack.function("indexer").context("the indexer's process")?;
    let heads =
        ["", "pages", "chunks", "put", "event, queue", "read pages", "embed, write", "searchable", "then asked", "indexer CPU s"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for name in DOCUMENTS {
        let (mut waits, bytes, mut last) = (Waits::default(), sample(name)?, None);
        for upload in 0..uploads {
            let cpu_before = process::total_ms(indexer)?;
            let begun = Instant::now();
            let (id, arrived) = stack.upload(&format!("{upload} {name}"), &bytes)?;
            waits.put.add((arrived - begun).as_secs_f64());
            let looks = stack.follow(&id, arrived)?;
            waits.cpu.add((process::total_ms(indexer)? - cpu_before) / 1e3);
            let begun = Instant::now();
            stack.ask("How often are concentrated potassium ampoules counted?")?;
            waits.answer.add(begun.elapsed().as_secs_f64());
            waits.add(&looks);
            last = looks.into_iter().last();
        }
        let row = last.context("no look")?.row;
        let samples = [&waits.put, &waits.queue, &waits.extract, &waits.embed, &waits.total, &waits.answer, &waits.cpu];
        let mut cells = vec![name.to_owned(), row["pages"].to_string(), row["chunks"].to_string()];
        cells.extend(samples.map(ToString::to_string));
        rows.push(cells);
    }
    println!("{}", table(&rows));
    Ok(())
}

impl Waits {
    fn add(&mut self, looks: &[Look]) {
        let first = |wanted: &dyn Fn(&Look) -> bool| looks.iter().find(|l| wanted(l)).map(|l| l.after.as_secs_f64());
        let searchable = first(&|l| l.status == "indexed").unwrap_or(0.0);
        // A stage that is over between two looks took no time that a person could see.
        let embedding = first(&|l| l.stage == "embedding").unwrap_or(searchable);
        let taken_up = first(&|l| l.status == "indexing").unwrap_or(embedding);
        self.queue.add(taken_up);
        self.extract.add(embedding - taken_up);
        self.embed.add(searchable - embedding);
        self.total.add(searchable);
    }
}

#[derive(Default)]
struct Stages {
    child_wall: Sample,
    read: Sample,
    chunk: Sample,
    embed: Sample,
    write: Sample,
    sum: Sample,
}

async fn stages() -> Result<()> {
    let embedder = model()?;
    let heads = ["", "pages", "chunks", "child wall", "read pages", "cut", "embed", "write segment", "sum", "sum per 20 pages"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for name in DOCUMENTS {
        let bytes = fs::read(project().join("samples/documents").join(name))?;
        let (mut measured, mut pages, mut count) = (Stages::default(), 0, 0);
        for _ in 0..RUNS {
            (pages, count) = once(name, &bytes, &embedder, &mut measured).await?;
        }
        let samples = [&measured.child_wall, &measured.read, &measured.chunk, &measured.embed, &measured.write, &measured.sum];
        let mut cells = vec![name.to_owned(), pages.to_string(), count.to_string()];
        cells.extend(samples.map(ToString::to_string));
        cells.push(format!("{:.0}", measured.sum.median() * 20.0 / pages as f64));
        rows.push(cells);
    }
    println!("{}", table(&rows));
    println!("child wall: the same pages read by a process of its own, as the indexer does it; read pages: in this process.");
    Ok(())
}

async fn once(name: &str, bytes: &[u8], embedder: &MiniLm, measured: &mut Stages) -> Result<(usize, usize)> {
    let begun = Instant::now();
    extract_in_child(bytes, name, &Limits::default())?;
    measured.child_wall.add(begun.elapsed().as_secs_f64() * 1e3);

    let mut at = process::own_thread_ms();
    let mut lap = || {
        let before = std::mem::replace(&mut at, process::own_thread_ms());
        at - before
    };
    let document = extract(bytes, name, &Limits::default()).map_err(|e| anyhow!("{e}"))?;
    let read = lap();
    let chunks = chunks::chunk(&document);
    let cut = lap();
    let title = document.title.clone().unwrap_or_else(|| name.to_owned());
    let vectors: Vec<_> = chunks.into_iter().map(|c| EmbeddedChunk::embed(embedder, &title, c)).collect();
    let embed = lap();
    let (pages, count) = (document.pages.len(), vectors.len());
    let tenant = TenantId::parse("main")?;
    let entry = IndexEntry {
        document_id: DocumentId::for_key(&tenant, name),
        tenant,
        title,
        version: "1".into(),
        sequencer: Sequencer::parse("1")?,
        pages: pages as u32,
        attributes: domain::documents::attributes::Attributes::default(),
        chunks: vectors,
    };
    lap();
    SegmentWriter::new(Arc::new(MemoryObjects::default()), embed::MODEL_ID.to_owned()).put(entry).await?;
    let write = lap();
    for (sample, value) in [
        (&mut measured.read, read),
        (&mut measured.chunk, cut),
        (&mut measured.embed, embed),
        (&mut measured.write, write),
        (&mut measured.sum, read + cut + embed + write),
    ] {
        sample.add(value);
    }
    Ok((pages, count))
}
