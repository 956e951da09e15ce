//! What a cold start reads of a tenant's index: requests and bytes, with every document an object of its own and with packs
//! as the indexer makes them, and what the manifest takes. Objects lie in memory behind a store that counts.

use crate::machine;
use crate::process::own_thread_ms;
use crate::sample::{Sample, table};
use anyhow::{Result, ensure};
use async_trait::async_trait;
use domain::documents::attributes::Attributes;
use domain::documents::chunks::{Chunk, Span};
use domain::fault::PortError;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::objects::{Fetched, ObjectHead, ObjectReader, ObjectWriter, WriteCondition};
use domain::retrieval::{ChunkIndex as _, EmbeddedChunk, EmbeddedSentence, Embedding, IndexEntry, IndexWriter as _};
use index::{Manifest, SegmentIndex, SegmentWriter, manifest_key};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Documents of a tenant: a ward, a small hospital, a group of hospitals.
const SIZES: [u64; 3] = [10, 300, 3_000];
/// Chunks of a document: some four pages. Sentences of a chunk, as the samples have them.
const CHUNKS: u32 = 20;
const SENTENCES: usize = 4;
/// What the requests of a start are allowed to be: a handful for any tenant.
const REQUESTS_MAX: u64 = 32;
/// Readings of the manifest.
const READS: usize = 15;

/// Prints the figure.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    println!("documents of {CHUNKS} chunks with {SENTENCES} sentences each, uploaded one after another");
    tokio::runtime::Builder::new_current_thread().build()?.block_on(measure())
}

async fn measure() -> Result<()> {
    let heads = ["documents", "", "GETs", "MB read", "MB written", "written per byte kept", "manifest KB", "its reading CPU ms"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for size in SIZES {
        for is_packed in [false, true] {
            rows.push(fill_and_start(size, is_packed).await?);
        }
    }
    println!("{}", table(&rows));
    Ok(())
}

async fn fill_and_start(size: u64, is_packed: bool) -> Result<Vec<String>> {
    let tenant = TenantId::parse("main")?;
    let objects = Arc::new(Counting::default());
    let writer = SegmentWriter::new(objects.clone(), embed::MODEL_ID.to_owned());
    for number in 0..size {
        writer.put(entry(&tenant, number)?).await?;
        if is_packed {
            writer.compact(&tenant).await?;
        }
    }
    let written = objects.segment_bytes.load(Ordering::Relaxed);
    objects.gets.store(0, Ordering::Relaxed);
    objects.read_bytes.store(0, Ordering::Relaxed);
    SegmentIndex::new(objects.clone(), embed::MODEL_ID.to_owned()).prime(&tenant).await?;
    let (gets, read) = (objects.gets.load(Ordering::Relaxed), objects.read_bytes.load(Ordering::Relaxed));
    ensure!(!is_packed || gets <= REQUESTS_MAX, "a start takes {gets} requests");
    let manifest = objects.objects().get(&manifest_key(&tenant)).map(|(bytes, _)| bytes.clone()).unwrap_or_default();
    let mut reading = Sample::default();
    for _ in 0..READS {
        let begun = own_thread_ms();
        Manifest::read(&manifest)?;
        reading.add(own_thread_ms() - begun);
    }
    let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    Ok(vec![
        size.to_string(),
        if is_packed { "packed" } else { "loose" }.to_owned(),
        gets.to_string(),
        megabytes(read),
        megabytes(written),
        format!("{:.1}", written as f64 / (read - manifest.len() as u64) as f64),
        format!("{:.0}", manifest.len() as f64 / 1e3),
        reading.to_string(),
    ])
}

fn entry(tenant: &TenantId, number: u64) -> Result<IndexEntry> {
    // As long as S3's own: the manifest holds one of each per document.
    let version = format!("{:032x}", u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let vector = |at: usize| Embedding((0..embed::DIMENSIONS).map(|d| ((d * 7 + at * 13) % 29) as f32 / 29.0 - 0.5).collect());
    let chunk = |at: u32| {
        let words = (0..75).map(|word| format!("word{}", (number * 31 + u64::from(at) * 17 + word * word) % 20_000));
        let text = words.collect::<Vec<_>>().join(" ");
        let length = text.chars().count();
        let spans = vec![Span { page: at / 5 + 1, start: 0, end: length }];
        let part = |s: usize| length * s / SENTENCES..length * (s + 1) / SENTENCES;
        let sentences = (0..SENTENCES).map(|s| EmbeddedSentence { range: part(s), embedding: vector(s) }).collect();
        let chunk = Chunk { ordinal: at, section: vec!["Dose and route".into()], text, spans, flags: vec![] };
        EmbeddedChunk { chunk, embedding: vector(at as usize), sentences }
    };
    Ok(IndexEntry {
        tenant: tenant.clone(),
        document_id: DocumentId::for_key(tenant, &number.to_string()),
        title: format!("Policy {number}"),
        version,
        sequencer: Sequencer::parse(&format!("{:018x}", 0x0062_e99a_88dc_4074_u64 + number))?,
        pages: CHUNKS / 5,
        attributes: Attributes::default(),
        chunks: (0..CHUNKS).map(chunk).collect(),
    })
}

/// A store that counts what is asked of it, and forgets what was replaced: thousands of manifests would not fit in memory.
#[derive(Default)]
struct Counting {
    /// By key: the bytes, and how many writes there were before.
    objects: Mutex<BTreeMap<String, (Vec<u8>, u64)>>,
    writes: AtomicU64,
    gets: AtomicU64,
    read_bytes: AtomicU64,
    segment_bytes: AtomicU64,
}

impl Counting {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, (Vec<u8>, u64)>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, bytes: usize) {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.read_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

#[async_trait]
impl ObjectReader for Counting {
    async fn head(&self, _: &str) -> Result<Option<ObjectHead>, PortError> {
        Err(PortError::Unexpected { operation: "HeadObject", code: "nobody asks".into() })
    }

    async fn get(&self, key: &str, _: Option<&str>, unless_etag: Option<&str>) -> Result<Fetched, PortError> {
        let fetched = match self.objects().get(key) {
            None => Fetched::Absent,
            Some((_, serial)) if unless_etag == Some(&serial.to_string()) => Fetched::NotModified,
            Some((bytes, serial)) => Fetched::Found { bytes: bytes.clone(), etag: serial.to_string() },
        };
        self.count(if let Fetched::Found { bytes, .. } = &fetched { bytes.len() } else { 0 });
        Ok(fetched)
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, PortError> {
        let part = self.objects().get(key).map(|(bytes, _)| bytes[range.start as usize..range.end as usize].to_vec());
        self.count(part.as_ref().map_or(0, Vec::len));
        Ok(part)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let objects = self.objects();
        Ok(objects
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, _)| key.clone())
            .collect())
    }

    async fn keys_before(&self, _: &str, _: Timestamp) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ObjectWriter for Counting {
    async fn put(&self, key: &str, bytes: Vec<u8>, _: WriteCondition) -> Result<String, PortError> {
        if key.rsplit_once('.').is_none_or(|(_, kind)| kind != "json") {
            self.segment_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        let serial = self.writes.fetch_add(1, Ordering::Relaxed);
        self.objects().insert(key.to_owned(), (bytes, serial));
        Ok(serial.to_string())
    }

    async fn remove(&self, key: &str) -> Result<(), PortError> {
        self.objects().remove(key);
        Ok(())
    }
}
