//! What finding passages costs once the question has its vector: exact scores over every chunk, by word and by meaning.
//! Objects lie in memory, so that nothing but the index is measured.

use crate::machine;
use crate::process;
use crate::sample::{Sample, table};
use anyhow::Result;
use domain::documents::chunks::{Chunk, Span};
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::retrieval::{ChunkIndex as _, Embedding, Filter, IndexEntry, IndexWriter as _, Query};
use index::{SegmentIndex, SegmentWriter};
use std::sync::Arc;
use testkit::MemoryObjects;

/// Sizes of a tenant, in chunks: a ward's handbook and a hospital's library.
const SIZES: [usize; 2] = [1_000, 10_000];
/// Chunks of a document: some 20 pages.
const CHUNKS_OF_DOCUMENT: usize = 100;
/// Words of a chunk, in the middle of what the chunker makes.
const WORDS_OF_CHUNK: usize = 75;
/// Different words in all documents.
const VOCABULARY: f64 = 20_000.0;
/// Searches of each size; the index is loaded anew `LOADS` times.
const SEARCHES: usize = 100;
const LOADS: usize = 15;
/// What chat asks for.
const LIMIT: usize = domain::chat::PASSAGES;

/// Prints the figure.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    println!(
        "generated chunks of {WORDS_OF_CHUNK} words, {CHUNKS_OF_DOCUMENT} a document; top {LIMIT}; {SEARCHES} searches, {LOADS} loads"
    );
    tokio::runtime::Builder::new_current_thread().build()?.block_on(measure())?;
    println!("load average at the end {}", machine::load());
    Ok(())
}

async fn measure() -> Result<()> {
    let heads = ["chunks", "search CPU ms", "load CPU ms", "objects MB", "RSS of the view MB"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let tenant = TenantId::parse("main")?;
    for size in SIZES {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let objects = Arc::new(MemoryObjects::default());
        let bytes = fill(&objects, &tenant, size, &mut random).await?;
        let (mut load, mut search) = (Sample::default(), Sample::default());
        let resident_before = process::resident_mb(std::process::id())?;
        let index = SegmentIndex::new(objects.clone(), embed::MODEL_ID.to_owned());
        index.prime(&tenant).await?;
        let resident = process::resident_mb(std::process::id())? - resident_before;
        for _ in 0..LOADS {
            let begun = process::own_thread_ms();
            SegmentIndex::new(objects.clone(), embed::MODEL_ID.to_owned()).prime(&tenant).await?;
            load.add(process::own_thread_ms() - begun);
        }
        for _ in 0..SEARCHES {
            let query = Query { text: random.words(9), embedding: random.embedding(), filter: Filter::default() };
            let begun = process::own_thread_ms();
            let found = index.search(&tenant, &query, LIMIT).await?;
            search.add(process::own_thread_ms() - begun);
            anyhow::ensure!(found.passages.len() == LIMIT && found.unreadable.is_empty(), "not everything was searched");
        }
        let megabytes = format!("{:.1}", bytes as f64 / 1e6);
        rows.push(vec![size.to_string(), search.to_string(), load.to_string(), megabytes, format!("{resident:.1}")]);
    }
    println!("{}", table(&rows));
    Ok(())
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
            chunks: (0..CHUNKS_OF_DOCUMENT).map(|at| (random.chunk(at), random.embedding())).collect(),
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
        let word = |share: f64| format!("word{:.0}", VOCABULARY.powf(share));
        (0..count).map(|_| word(self.share())).collect::<Vec<_>>().join(" ")
    }

    fn chunk(&mut self, at: usize) -> Chunk {
        let text = self.words(WORDS_OF_CHUNK);
        let span = Span { page: at as u32 / 5 + 1, start: 0, end: text.chars().count() };
        Chunk { ordinal: at as u32, section: vec!["Dose and route".into()], text, spans: vec![span] }
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
