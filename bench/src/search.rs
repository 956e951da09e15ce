//! What finding passages costs once the question has its vector: exact scores over every chunk, by word and by meaning.
//! Objects lie in memory, so that nothing but the index is measured.

use crate::sample::{Sample, table};
use crate::{answers, machine, peer, plot, process};
use anyhow::{Result, ensure};
use domain::documents::chunks::{Chunk, Span};
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::retrieval::{
    ChunkIndex as _, EmbeddedChunk, EmbeddedSentence, Embedding, Filter, IndexEntry, IndexWriter as _, Query,
};
use index::{SegmentIndex, SegmentWriter};
use serde::Deserialize;
use std::process::Command;
use std::sync::Arc;
use testkit::MemoryObjects;

/// Sizes of a tenant, in chunks: a ward's handbook, a hospital's library, and ten hospitals'.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Chunks of a document: some 20 pages.
const CHUNKS_OF_DOCUMENT: usize = 100;
/// Sentences of a chunk: each has a vector that a search reads if the chunk is found.
const SENTENCES_OF_CHUNK: usize = 4;
/// Words of a chunk, in the middle of what the chunker makes.
const WORDS_OF_CHUNK: usize = 75;
/// Different words in all documents.
const VOCABULARY: u32 = 20_000;
/// Searches of each size; the index is loaded anew `LOADS` times.
const SEARCHES: usize = 100;
const LOADS: usize = 15;
/// What chat asks for.
const LIMIT: usize = domain::chat::PASSAGES;

/// Prints the figure.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    println!(
        "generated chunks of {WORDS_OF_CHUNK} words and {SENTENCES_OF_CHUNK} sentences, {CHUNKS_OF_DOCUMENT} a document; top {LIMIT}; {SEARCHES} searches, {LOADS} loads; CPU ms, median (minimum)"
    );
    tokio::runtime::Builder::new_current_thread().build()?.block_on(measure())?;
    println!("load average at the end {}", machine::load());
    Ok(())
}

/// What one size costs.
#[derive(Default)]
struct Measured {
    search: Sample,
    words: Sample,
    meaning: Sample,
    load: Sample,
    objects_mb: f64,
    resident_mb: f64,
}

async fn measure() -> Result<()> {
    // First: what has been freed since is not what the model takes.
    let before = process::resident_mb(std::process::id())?;
    let model = answers::model()?;
    model.embed("How soon are antibiotics given?");
    let model_mb = process::resident_mb(std::process::id())? - before;
    let mut middle_mb = 0.0;
    let heads = ["chunks", "", "search", "by words", "by meaning", "load", "objects MB", "resident MB"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let (mut ours, mut theirs) = (plot::Line::new("ClinChat"), plot::Line::new("bm25s + numpy"));
    let mut skipped = None;
    for size in SIZES {
        let measured = one(size).await?;
        let Measured { search, words, meaning, load, objects_mb, resident_mb } = &measured;
        if size == 10_000 {
            middle_mb = *resident_mb;
        }
        let mut row = vec![size.to_string(), "ours".into()];
        row.extend([search, words, meaning, load].map(ToString::to_string));
        row.extend([format!("{objects_mb:.1}"), format!("{resident_mb:.1}")]);
        rows.push(row);
        ours.add(size as f64, search.median());
        match python(size) {
            Ok(peer) => {
                let mut row = vec![String::new(), "bm25s + numpy".into()];
                row.extend([&peer.search, &peer.words, &peer.meaning].map(ToString::to_string));
                row.extend([format!("{:.1}", peer.load_ms), String::new(), format!("{:.1}", peer.resident_mb)]);
                rows.push(row);
                let times = |theirs: f64, ours: f64| format!("{:.1}", theirs / ours);
                let mut row = vec![String::new(), "ratio".into()];
                row.extend(
                    [(&peer.search, search), (&peer.words, words), (&peer.meaning, meaning)]
                        .map(|(t, o)| times(t.median(), o.median())),
                );
                row.extend([times(peer.load_ms, load.median()), String::new(), times(peer.resident_mb, *resident_mb)]);
                rows.push(row);
                theirs.add(size as f64, peer.search.median());
            }
            Err(reason) => skipped = Some(reason),
        }
    }
    println!("{}", table(&rows));
    if let Some(reason) = skipped {
        println!("peer skipped: {reason:#}");
    }
    println!("model {model_mb:.1} MB resident; with 10,000 chunks {:.1} MB", model_mb + middle_mb);
    drop(model);
    if std::env::var_os("PLOT").is_some() {
        let file = answers::project().join("docs/search-cost.svg");
        std::fs::write(file, plot::draw("A search by size of the corpus", "chunks", "CPU ms", &[ours, theirs]))?;
    }
    Ok(())
}

async fn one(size: usize) -> Result<Measured> {
    let tenant = TenantId::parse("main")?;
    let scope = testkit::context(tenant.as_str(), &[]).scope();
    let (mut random, mut measured) = (Random(0x2545_f491_4f6c_dd1d), Measured::default());
    let objects = Arc::new(MemoryObjects::default());
    measured.objects_mb = fill(&objects, &tenant, size, &mut random).await? as f64 / 1e6;
    let before = process::resident_mb(std::process::id())?;
    let index = SegmentIndex::new(objects.clone(), embed::MODEL_ID.to_owned());
    index.prime(&tenant).await?;
    measured.resident_mb = process::resident_mb(std::process::id())? - before;
    for _ in 0..LOADS {
        let begun = process::own_thread_ms();
        SegmentIndex::new(objects.clone(), embed::MODEL_ID.to_owned()).prime(&tenant).await?;
        measured.load.add(process::own_thread_ms() - begun);
    }
    for _ in 0..SEARCHES {
        let (text, embedding) = (random.words(9), random.embedding());
        let no_text = Query { text: String::new(), embedding: embedding.clone(), filter: Filter::default() };
        let no_vector = Query { text: text.clone(), embedding: Embedding(Vec::new()), filter: Filter::default() };
        let both = Query { text, embedding, filter: Filter::default() };
        for (query, sample) in [(both, &mut measured.search), (no_vector, &mut measured.words), (no_text, &mut measured.meaning)]
        {
            let begun = process::own_thread_ms();
            let found = index.search(&scope, &query, LIMIT).await?;
            sample.add(process::own_thread_ms() - begun);
            ensure!(found.passages.len() == LIMIT && found.unreadable.is_empty(), "not everything was searched");
        }
    }
    Ok(measured)
}

/// What `peer/search.py` prints.
#[derive(Deserialize)]
struct Printed {
    search_ms: Vec<f64>,
    words_ms: Vec<f64>,
    meaning_ms: Vec<f64>,
    load_ms: f64,
    resident_mb: f64,
}

struct Peer {
    search: Sample,
    words: Sample,
    meaning: Sample,
    load_ms: f64,
    resident_mb: f64,
}

fn python(size: usize) -> Result<Peer> {
    let numbers = [size, WORDS_OF_CHUNK, VOCABULARY as usize, LIMIT, SEARCHES].map(|number| number.to_string());
    let output = Command::new(peer::python()?)
        .arg(answers::project().join("bench/peer/search.py"))
        .args(numbers)
        .envs([("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1")])
        .output()?;
    ensure!(output.status.success(), "peer/search.py failed: {}", peer::last_line(&output.stderr));
    let printed: Printed = serde_json::from_slice(&output.stdout)?;
    let sample = |values: Vec<f64>| {
        let mut sample = Sample::default();
        for value in values {
            sample.add(value);
        }
        sample
    };
    Ok(Peer {
        search: sample(printed.search_ms),
        words: sample(printed.words_ms),
        meaning: sample(printed.meaning_ms),
        load_ms: printed.load_ms,
        resident_mb: printed.resident_mb,
    })
}

/// Writes the documents, and answers their size.
async fn fill(objects: &Arc<MemoryObjects>, tenant: &TenantId, size: usize, random: &mut Random) -> Result<usize> {
    use domain::objects::ObjectReader as _;
    let writer = SegmentWriter::new(objects.clone(), embed::MODEL_ID.to_owned());
    for number in 0..size / CHUNKS_OF_DOCUMENT {
        let entry = IndexEntry {
            tenant: tenant.clone(),
            document_id: DocumentId::for_key(tenant, &number.to_string()),
            title: format!("Policy {number}"),
            version: "1".into(),
            sequencer: Sequencer::parse("1")?,
            pages: 20,
            attributes: domain::documents::attributes::Attributes::default(),
            chunks: (0..CHUNKS_OF_DOCUMENT)
                .map(|at| {
                    let chunk = random.chunk(at);
                    let sentences = (0..SENTENCES_OF_CHUNK).map(|sentence| EmbeddedSentence {
                        range: sentence * 100..(sentence + 1) * 100,
                        embedding: random.embedding(),
                    });
                    EmbeddedChunk { sentences: sentences.collect(), embedding: random.embedding(), chunk }
                })
                .collect(),
        };
        writer.put(entry).await?;
    }
    let mut bytes = 0;
    for key in objects.keys() {
        bytes += objects.head(&key).await?.map_or(0, |head| head.size_bytes as usize);
    }
    Ok(bytes)
}

/// Xorshift: the same documents in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Words whose frequency falls with their rank, as that of real words does (Zipf).
    fn words(&mut self, count: usize) -> String {
        let word = |share: f64| format!("word{:.0}", f64::from(VOCABULARY).powf(share));
        (0..count).map(|_| word(self.share())).collect::<Vec<_>>().join(" ")
    }

    fn chunk(&mut self, at: usize) -> Chunk {
        let text = self.words(WORDS_OF_CHUNK);
        let span = Span { page: at as u32 / 5 + 1, start: 0, end: text.chars().count() };
        Chunk { ordinal: at as u32, section: vec!["Dose and route".into()], text, spans: vec![span], flags: vec![] }
    }

    fn embedding(&mut self) -> Embedding {
        let mut vector: Vec<f32> = (0..embed::DIMENSIONS).map(|_| self.share() as f32 - 0.5).collect();
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        for value in &mut vector {
            *value /= length;
        }
        Embedding(vector)
    }
}
