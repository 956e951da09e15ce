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

/// A segment in memory. Texts stay compressed until they are shown.
#[derive(Debug)]
pub struct Segment {
    /// What it is.
    pub header: Header,
    /// The object that it lies in: itself, or a pack that its neighbours share.
    bytes: Arc<Vec<u8>>,
    vectors: Range<usize>,
    scales: Vec<f32>,
    lengths: Vec<u32>,
    terms: Vec<u64>,
    term_offsets: Vec<u32>,
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
        let terms = cursor.u64s(count)?;
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
            && terms.is_sorted_by(|a, b| a < b)
            && offsets_fit(&term_offsets, postings.len())
            && offsets_fit(&text_offsets, texts.len())
            && offsets_fit(&sentences, sentence_count);
        if !consistent {
            return Err(ReadSegmentError::Inconsistent);
        }
        let bytes = object.clone();
        Ok(Self {
            header,
            bytes,
            vectors,
            scales,
            lengths,
            terms,
            term_offsets,
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
    pub fn terms_total(&self) -> u64 {
        self.lengths.iter().map(|l| u64::from(*l)).sum()
    }

    /// Terms in one chunk.
    pub fn length(&self, chunk: u32) -> u32 {
        self.lengths.get(chunk as usize).copied().unwrap_or(0)
    }

    /// Calls `visit(chunk, frequency)` for each chunk that has the term, and answers how many there are.
    pub fn postings(&self, hash: u64, mut visit: impl FnMut(u32, u32)) -> u32 {
        let Some(at) = find(&self.terms, hash) else { return 0 };
        let list = &self.bytes[self.postings.clone()][self.term_offsets[at] as usize..self.term_offsets[at + 1] as usize];
        let mut cursor = Cursor::new(list);
        let (mut chunk, mut count) = (0_u32, 0);
        while let (Ok(delta), Ok(frequency)) = (cursor.varint(), cursor.varint()) {
            chunk = chunk.saturating_add(delta);
            visit(chunk, frequency);
            count += 1;
        }
        count
    }

    /// Calls `visit(chunk, cosine)` for every chunk. `query` and its scale are the question's quantised vector.
    pub fn cosines(&self, scale: f32, query: &[i8], mut visit: impl FnMut(u32, f32)) {
        let dimensions = self.header.dimensions as usize;
        if dimensions == 0 || query.len() != dimensions {
            return;
        }
        let products = dot::products(&self.bytes[self.vectors.clone()], query);
        for (chunk, (product, own_scale)) in products.into_iter().zip(&self.scales).enumerate() {
            visit(chunk as u32, product as f32 * own_scale * scale);
        }
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

fn offsets_fit(offsets: &[u32], length: usize) -> bool {
    offsets.is_sorted() && offsets.last().is_some_and(|last| *last as usize == length)
}

/// The place of a hash in a sorted list. Hashes are spread evenly, so it is near its share of the range; halving the whole
/// list would fetch a dozen cache lines from each of a thousand segments.
fn find(sorted: &[u64], hash: u64) -> Option<usize> {
    let guess = ((u128::from(hash) * sorted.len() as u128) >> 64) as usize;
    let (mut from, mut to, mut step) = (guess, guess, 8);
    while from > 0 && sorted[from - 1] >= hash {
        from = from.saturating_sub(step);
        step *= 2;
    }
    step = 8;
    while to < sorted.len() && sorted[to] <= hash {
        to = (to + step).min(sorted.len());
        step *= 2;
    }
    sorted[from..to].binary_search(&hash).ok().map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::documents::chunks::Span;
    use domain::retrieval::EmbeddedChunk;
    use domain::text;
    use proptest::prelude::*;

    fn entry(texts: &[&str]) -> IndexEntry {
        let tenant = TenantId::parse("main").unwrap();
        IndexEntry {
            document_id: DocumentId::for_key(&tenant, "k"),
            tenant,
            title: "Handbook".into(),
            version: "v1".into(),
            sequencer: Sequencer::parse("1").unwrap(),
            pages: 1,
            attributes: domain::documents::attributes::Attributes::default(),
            chunks: texts
                .iter()
                .enumerate()
                .map(|(at, text)| {
                    let span = Span { page: 1, start: 0, end: text.chars().count() };
                    let chunk =
                        Chunk { ordinal: at as u32, section: vec![], text: (*text).into(), spans: vec![span], flags: vec![] };
                    let sentences = text::sentences(text)
                        .into_iter()
                        .map(|range| EmbeddedSentence { embedding: Embedding(vec![range.start as f32, 1.0, 0.0]), range });
                    let embedding = Embedding(vec![0.6, -0.8, at as f32 / 10.0]);
                    EmbeddedChunk { chunk, embedding, sentences: sentences.collect() }
                })
                .collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let entry = entry(&["Give fluids early", "Fluids, fluids and antibiotics"]);
        let segment = Segment::read(build(&entry, "m").unwrap()).unwrap();
        assert_eq!(segment.len(), 2);
        assert_eq!(segment.chunk(1).unwrap(), entry.chunks[1].chunk);
        let mut seen = Vec::new();
        assert_eq!(segment.postings(term_hash("fluid"), |c, f| seen.push((c, f))), 2);
        assert_eq!(seen, [(0, 1), (1, 2)]);
        assert_eq!(segment.postings(term_hash("absent"), |_, _| panic!("visited")), 0);
        let (scale, query) = quantise(&[0.6, -0.8, 0.0]);
        let mut cosines = Vec::new();
        segment.cosines(scale, &query, |_, cosine| cosines.push(cosine));
        assert!((cosines[0] - 1.0).abs() < 0.01 && (cosines[1] - 1.0).abs() < 0.01, "{cosines:?}");
        assert!(segment.chunk(2).is_err());
    }

    #[test]
    fn each_chunk_has_its_own_sentences() {
        let entry = entry(&["Give fluids. Give more fluids.", "", "Stop."]);
        let mut object = vec![7; 5];
        let bytes = build(&entry, "m").unwrap();
        object.extend(&bytes);
        object.push(9);
        let segment = Segment::read_in(&Arc::new(object), 5..5 + bytes.len()).unwrap();
        let (scale, query) = quantise(&[0.0, 1.0, 0.0]);
        let found = |chunk| segment.sentences(chunk, scale, &query);
        let cosines: Vec<_> = found(0).iter().map(|s| (s.range.clone(), (s.cosine * 100.0).round() / 100.0)).collect();
        assert_eq!(cosines, [(0..12, 1.0), (13..30, 1.02)], "not to unit length here: 1/13 in steps of 13/127");
        assert_eq!((found(1).len(), found(2)[0].range.clone(), found(3).len()), (0, 0..5, 0));
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let bytes = build(&entry(&["Give fluids early"]), "m").unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Segment::read(damaged).is_err(), "flip at {at} went unseen");
            assert!(Segment::read(bytes[..at].to_vec()).is_err(), "cut at {at} went unseen");
        }
    }

    proptest! {
        #[test]
        fn a_hash_is_found_wherever_hashes_cluster(
            hashes in proptest::collection::btree_set(prop_oneof![any::<u64>(), 0_u64..300, (u64::MAX - 300)..=u64::MAX], 0..200),
            other: u64,
        ) {
            let sorted: Vec<u64> = hashes.into_iter().collect();
            for hash in sorted.iter().copied().chain([other, 0, u64::MAX]) {
                prop_assert_eq!(find(&sorted, hash), sorted.binary_search(&hash).ok());
            }
        }
    }

    proptest! {
        #[test]
        fn a_forged_body_with_a_right_checksum_never_panics(body: Vec<u8>, query: [i8; 3]) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(body);
            let checksum = Sha256::digest(&bytes);
            bytes.extend_from_slice(&checksum);
            if let Ok(segment) = Segment::read(bytes) {
                segment.cosines(1.0, &query, |_, _| ());
                let _ = segment.chunk(0);
                let _ = segment.sentences(0, 1.0, &query);
            }
        }

        #[test]
        fn quantising_keeps_the_direction(vector in prop::collection::vec(-1.0_f32..1.0, 1..50)) {
            let (scale, quantised) = quantise(&vector);
            for (value, q) in vector.iter().zip(quantised) {
                prop_assert!((value - scale * f32::from(q)).abs() <= scale * 0.501 + f32::EPSILON);
            }
        }
    }
}
