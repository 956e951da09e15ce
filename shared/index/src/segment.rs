//! A segment: one version of one document, ready to be searched, immutable, with its own checksum.
//!
//! ```text
//! "CCSEG2\n"            magic and format version
//! header                block: JSON (model, dimensions, document, tenant, title, version, sequencer, pages, chunks)
//! vectors               chunks * dimensions  i8
//! scales                chunks * f32         vector = scale * i8
//! lengths               chunks * u32         terms per chunk
//! dictionary            u32 count, count * u64 term hashes (sorted), (count + 1) * u32 offsets into the postings
//! postings              block: per term, (chunk delta, frequency) varints
//! texts                 (chunks + 1) * u32 offsets, block: per chunk, lz4 of its JSON
//! sentences             (chunks + 1) * u32 places of each chunk's first sentence, the last one is their count
//! sentence ranges       sentences * (u32 start, u32 end)   code points of the chunk's text
//! sentence scales       sentences * f32
//! sentence vectors      sentences * dimensions  i8
//! checksum              32 bytes SHA-256 of everything before
//! ```
//! Integers are little-endian; a block is a u32 length and that many bytes. The vectors of sentences are read for the few
//! chunks that a search returns; they lie apart from those of chunks, all of which every search reads.

use crate::codec::{Cursor, Truncated, put_block, put_u32, put_varint};
use crate::dot;
use crate::signs::{SignQuery, Signs};
use crate::terms::Terms;
use domain::documents::chunks::Chunk;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::retrieval::{EmbeddedSentence, Embedding, IndexEntry, SentenceMatch};
use domain::text::Analyzer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

const MAGIC: &[u8] = b"CCSEG2\n";
const CHECKSUM_BYTES: usize = 32;
/// A chunk's JSON is some 2 KB; this stops a forged length from asking for gigabytes.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// The segment format that this code writes. A manifest entry of another format is re-indexed, never mixed in.
pub const FORMAT: u32 = 2;

/// Wire form of the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Which model made the vectors.
    pub model: String,
    /// Length of each vector.
    pub dimensions: u32,
    /// The wall.
    pub tenant: TenantId,
    /// The document.
    pub document_id: DocumentId,
    /// Its title.
    pub title: String,
    /// Its version.
    pub version: String,
    /// The event that brought it.
    pub sequencer: Sequencer,
    /// Its pages.
    pub pages: u32,
    /// Its chunks.
    pub chunks: u32,
}

/// Why a segment cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BuildSegmentError {
    /// A vector has another length than the first.
    #[error("the vectors differ in length")]
    Dimensions,
    /// Over 4 GiB.
    #[error("the segment would be over its format's limit")]
    TooLarge,
}

/// Why bytes are not a segment that can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadSegmentError {
    /// Not a segment, or of a format that this code does not know.
    #[error("not a segment of a known format")]
    Foreign,
    /// The checksum does not match: damaged in transit or at rest.
    #[error("the checksum does not match")]
    Corrupt,
    /// The parts contradict each other.
    #[error("the segment contradicts itself")]
    Inconsistent,
}

impl From<Truncated> for ReadSegmentError {
    fn from(_: Truncated) -> Self {
        Self::Inconsistent
    }
}

/// A term's place in the dictionary: FNV-1a, 64 bits. Two of a tenant's terms share one with probability below 1e-9.
pub fn term_hash(term: &str) -> u64 {
    term.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Scales a vector to int8. `value = scale * quantised`.
pub fn quantise(vector: &[f32]) -> (f32, Vec<i8>) {
    let largest = vector.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    if largest <= 0.0 {
        return (0.0, vec![0; vector.len()]);
    }
    let scale = largest / 127.0;
    (scale, vector.iter().map(|v| (v / scale).round() as i8).collect())
}

/// Writes a document version as a segment.
pub fn build(entry: &IndexEntry, model: &str) -> Result<Vec<u8>, BuildSegmentError> {
    let sentences = || entry.chunks.iter().flat_map(|c| &c.sentences);
    let vectors = || entry.chunks.iter().map(|c| &c.embedding).chain(sentences().map(|s| &s.embedding));
    let dimensions = entry.chunks.first().map_or(0, |c| c.embedding.0.len());
    if vectors().any(|Embedding(v)| v.len() != dimensions) {
        return Err(BuildSegmentError::Dimensions);
    }
    let count = u32::try_from(entry.chunks.len()).map_err(|_| BuildSegmentError::TooLarge)?;
    let header = Header {
        model: model.to_owned(),
        dimensions: dimensions as u32,
        tenant: entry.tenant.clone(),
        document_id: entry.document_id.clone(),
        title: entry.title.clone(),
        version: entry.version.clone(),
        sequencer: entry.sequencer.clone(),
        pages: entry.pages,
        chunks: count,
    };
    let mut out = MAGIC.to_vec();
    put_block(&mut out, &serde_json::to_vec(&header).unwrap_or_default());

    let quantised: Vec<_> = entry.chunks.iter().map(|c| quantise(&c.embedding.0)).collect();
    put_vectors(&mut out, &quantised);
    put_scales(&mut out, &quantised);

    let (lengths, postings) = postings(entry);
    for length in &lengths {
        put_u32(&mut out, *length);
    }
    put_u32(&mut out, postings.len() as u32);
    for hash in postings.keys() {
        out.extend_from_slice(&hash.to_le_bytes());
    }
    let mut packed = Vec::new();
    for list in postings.values() {
        put_u32(&mut out, packed.len() as u32);
        let mut before = 0;
        for (chunk, frequency) in list {
            put_varint(&mut packed, chunk - before);
            put_varint(&mut packed, *frequency);
            before = *chunk;
        }
    }
    put_u32(&mut out, packed.len() as u32);
    put_block(&mut out, &packed);

    let mut texts = Vec::new();
    for embedded in &entry.chunks {
        put_u32(&mut out, texts.len() as u32);
        texts.extend(lz4_flex::compress_prepend_size(&serde_json::to_vec(&embedded.chunk).unwrap_or_default()));
    }
    put_u32(&mut out, u32::try_from(texts.len()).map_err(|_| BuildSegmentError::TooLarge)?);
    put_block(&mut out, &texts);

    let mut first = 0_u32;
    put_u32(&mut out, first);
    for embedded in &entry.chunks {
        first += embedded.sentences.len() as u32;
        put_u32(&mut out, first);
    }
    for EmbeddedSentence { range, .. } in sentences() {
        put_u32(&mut out, range.start as u32);
        put_u32(&mut out, range.end as u32);
    }
    let quantised: Vec<_> = sentences().map(|s| quantise(&s.embedding.0)).collect();
    put_scales(&mut out, &quantised);
    put_vectors(&mut out, &quantised);
    let checksum = Sha256::digest(&out);
    out.extend_from_slice(&checksum);
    Ok(out)
}

fn put_vectors(out: &mut Vec<u8>, quantised: &[(f32, Vec<i8>)]) {
    out.extend(quantised.iter().flat_map(|(_, v)| v.iter().map(|b| b.cast_unsigned())));
}

fn put_scales(out: &mut Vec<u8>, quantised: &[(f32, Vec<i8>)]) {
    out.extend(quantised.iter().flat_map(|(scale, _)| scale.to_le_bytes()));
}

/// By term hash: (chunk, frequency), in the order of chunks.
type Postings = BTreeMap<u64, Vec<(u32, u32)>>;

/// Terms per chunk, and per term the chunks that have it and how often.
fn postings(entry: &IndexEntry) -> (Vec<u32>, Postings) {
    let analyzer = Analyzer::default();
    let mut lengths = Vec::with_capacity(entry.chunks.len());
    let mut lists = Postings::new();
    for (at, embedded) in entry.chunks.iter().enumerate() {
        let terms = analyzer.terms(&embedded.chunk.searchable_text(&entry.title));
        lengths.push(terms.len() as u32);
        let mut frequencies: BTreeMap<u64, u32> = BTreeMap::new();
        for term in &terms {
            *frequencies.entry(term_hash(term)).or_default() += 1;
        }
        for (hash, frequency) in frequencies {
            lists.entry(hash).or_default().push((at as u32, frequency));
        }
    }
    (lengths, lists)
}

/// The chunks that have a term.
#[derive(Debug, Clone, Copy)]
pub struct PostingList<'a>(&'a [u8]);

impl PostingList<'_> {
    /// How many chunks: of the two numbers for each, each ends in the one byte of it that is below 0x80.
    pub fn count(self) -> usize {
        self.0.iter().filter(|byte| **byte < 0x80).count() / 2
    }

    /// Calls `visit(chunk, frequency)` for each chunk.
    #[inline]
    pub fn for_each(self, mut visit: impl FnMut(u32, u32)) {
        let mut cursor = Cursor::new(self.0);
        let mut chunk = 0_u32;
        while let (Ok(delta), Ok(frequency)) = (cursor.varint(), cursor.varint()) {
            chunk = chunk.saturating_add(delta);
            visit(chunk, frequency);
        }
    }
}

/// A segment in memory. Texts stay compressed until they are shown.
#[derive(Debug)]
pub struct Segment {
    /// What it is.
    pub header: Header,
    /// The object that it lies in: itself, or a pack that its neighbours share.
    bytes: Arc<Vec<u8>>,
    vectors: Range<usize>,
    signs: Signs,
    scales: Vec<f32>,
    lengths: Vec<u32>,
    terms_total: u64,
    terms: Terms,
    postings: Range<usize>,
    text_offsets: Vec<u32>,
    texts: Range<usize>,
    sentences: Vec<u32>,
    sentence_ranges: Range<usize>,
    sentence_scales: Range<usize>,
    sentence_vectors: Range<usize>,
}

impl Segment {
    /// A segment that is an object of its own.
    pub fn read(bytes: Vec<u8>) -> Result<Self, ReadSegmentError> {
        let whole = 0..bytes.len();
        Self::read_in(&Arc::new(bytes), whole)
    }

    /// A segment inside an object. Checks its bytes once, so that searching needs no further checks.
    pub fn read_in(object: &Arc<Vec<u8>>, range: Range<usize>) -> Result<Self, ReadSegmentError> {
        let bytes = object.get(range).ok_or(ReadSegmentError::Inconsistent)?;
        let body_length = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(ReadSegmentError::Foreign)?;
        let (body, checksum) = bytes.split_at(body_length);
        if !body.starts_with(MAGIC) {
            return Err(ReadSegmentError::Foreign);
        }
        if Sha256::digest(body).as_slice() != checksum {
            return Err(ReadSegmentError::Corrupt);
        }
        let position = |part: &[u8]| {
            let start = part.as_ptr().addr() - object.as_ptr().addr();
            start..start + part.len()
        };
        let mut cursor = Cursor::new(&body[MAGIC.len()..]);
        let header: Header = serde_json::from_slice(cursor.block()?).map_err(|_| ReadSegmentError::Foreign)?;
        let (chunks, dimensions) = (header.chunks as usize, header.dimensions as usize);
        let vectors = position(cursor.bytes(chunks.checked_mul(dimensions).ok_or(ReadSegmentError::Inconsistent)?)?);
        let scales = cursor.f32s(chunks)?;
        let lengths = cursor.u32s(chunks)?;
        let count = cursor.u32()? as usize;
        let hashes = cursor.u64s(count)?;
        let term_offsets = cursor.u32s(count + 1)?;
        let postings = position(cursor.block()?);
        let text_offsets = cursor.u32s(chunks + 1)?;
        let texts = position(cursor.block()?);
        let sentences = cursor.u32s(chunks + 1)?;
        let sentence_count = sentences.last().map_or(0, |last| *last as usize);
        let sized = |each: usize| sentence_count.checked_mul(each).ok_or(ReadSegmentError::Inconsistent);
        let sentence_ranges = position(cursor.bytes(sized(8)?)?);
        let sentence_scales = position(cursor.bytes(sized(4)?)?);
        let sentence_vectors = position(cursor.bytes(sized(dimensions)?)?);
        let consistent = cursor.is_empty()
            && offsets_fit(&term_offsets, postings.len())
            && offsets_fit(&text_offsets, texts.len())
            && offsets_fit(&sentences, sentence_count);
        if !consistent {
            return Err(ReadSegmentError::Inconsistent);
        }
        let terms = Terms::new(hashes, term_offsets).ok_or(ReadSegmentError::Inconsistent)?;
        let signs = Signs::of(&object[vectors.clone()], dimensions);
        let bytes = object.clone();
        Ok(Self {
            header,
            bytes,
            vectors,
            signs,
            scales,
            terms_total: lengths.iter().map(|length| u64::from(*length)).sum(),
            lengths,
            terms,
            postings,
            text_offsets,
            texts,
            sentences,
            sentence_ranges,
            sentence_scales,
            sentence_vectors,
        })
    }

    /// How many chunks.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// Terms in all chunks together.
    pub const fn terms_total(&self) -> u64 {
        self.terms_total
    }

    /// Terms in each chunk.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// Which chunks have the term; none if no chunk has it.
    pub fn postings(&self, hash: u64) -> Option<PostingList<'_>> {
        let list = self.terms.find(hash)?;
        Some(PostingList(&self.bytes[self.postings.start + list.start..self.postings.start + list.end]))
    }

    /// Puts the cosines of these chunks in their places of `cosines`, which has one for each chunk. `query` and its scale are
    /// the question's quantised vector; nothing happens if it is of another length.
    pub fn cosines(&self, chunks: Range<usize>, scale: f32, query: &[i8], cosines: &mut [f32]) {
        let dimensions = self.header.dimensions as usize;
        if dimensions == 0 || query.len() != dimensions {
            return;
        }
        let vectors = &self.bytes[self.vectors.clone()][chunks.start * dimensions..chunks.end * dimensions];
        let products = dot::products(vectors, query);
        for ((cosine, product), own_scale) in cosines[chunks.clone()].iter_mut().zip(products).zip(&self.scales[chunks]) {
            *cosine = product as f32 * own_scale * scale;
        }
    }

    /// The same for all chunks from the signs of the vectors alone: near, and much less to read.
    pub fn estimates(&self, query: &SignQuery, cosines: &mut [f32]) {
        self.signs.estimates(query, cosines);
    }

    /// A chunk's sentences and their cosines. `query` and its scale are the question's quantised vector.
    pub fn sentences(&self, chunk: u32, scale: f32, query: &[i8]) -> Vec<SentenceMatch> {
        let (at, dimensions) = (chunk as usize, self.header.dimensions as usize);
        let (Some(from), Some(to)) = (self.sentences.get(at), self.sentences.get(at + 1)) else { return Vec::new() };
        if dimensions == 0 || query.len() != dimensions {
            return Vec::new();
        }
        let part = |all: &Range<usize>, each: usize| &self.bytes[all.clone()][*from as usize * each..*to as usize * each];
        let products = dot::products(part(&self.sentence_vectors, dimensions), query);
        let ranges = part(&self.sentence_ranges, 8).as_chunks::<4>().0.as_chunks::<2>().0;
        let scales = part(&self.sentence_scales, 4).as_chunks().0;
        products
            .into_iter()
            .zip(ranges)
            .zip(scales)
            .map(|((product, [start, end]), own_scale)| SentenceMatch {
                range: u32::from_le_bytes(*start) as usize..u32::from_le_bytes(*end) as usize,
                cosine: product as f32 * f32::from_le_bytes(*own_scale) * scale,
            })
            .collect()
    }

    /// One chunk's text and places.
    pub fn chunk(&self, chunk: u32) -> Result<Chunk, ReadSegmentError> {
        let at = chunk as usize;
        let (Some(from), Some(to)) = (self.text_offsets.get(at), self.text_offsets.get(at + 1)) else {
            return Err(ReadSegmentError::Inconsistent);
        };
        let packed = &self.bytes[self.texts.clone()][*from as usize..*to as usize];
        let size = Cursor::new(packed).u32()? as usize;
        if size > CHUNK_BYTES_MAX {
            return Err(ReadSegmentError::Inconsistent);
        }
        let json = lz4_flex::decompress_size_prepended(packed).map_err(|_| ReadSegmentError::Inconsistent)?;
        serde_json::from_slice(&json).map_err(|_| ReadSegmentError::Inconsistent)
    }
}

/// The headers of the segments that lie in an object, wherever they are in it.
pub fn headers(object: &[u8]) -> impl Iterator<Item = Header> {
    let starts = object.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC).map(|(at, _)| at + MAGIC.len());
    starts.filter_map(|at| serde_json::from_slice(Cursor::new(&object[at..]).block().ok()?).ok())
}

fn offsets_fit(offsets: &[u32], length: usize) -> bool {
    offsets.is_sorted() && offsets.last().is_some_and(|last| *last as usize == length)
}

#[cfg(test)]
mod tests;
