//! A chunk as a vector with metadata, and back.

use aws_sdk_s3vectors::types::{PutInputVector, VectorData};
use aws_smithy_types::{Document, Number};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::documents::attributes::Attributes;
use domain::documents::chunks::Chunk;
use domain::ids::DocumentId;
use domain::retrieval::{EmbeddedChunk, EmbeddedSentence, Embedding, SentenceMatch};
use domain::text::hexadecimal;
use jiff::civil::Date;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The service takes 40 KB of metadata per vector; some of it is names.
const METADATA_BYTES_MAX: usize = 38 << 10;
/// Stands for "everybody of the tenant" in an access list. No group can have this name.
pub const EVERYBODY: &str = "*";
/// Metadata that nothing is filtered by: it may be large.
pub const UNFILTERED: [&str; 4] = ["title", "version", "chunk", "sentences"];

/// Where a chunk of a version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The document.
    pub document: DocumentId,
    /// Which version of it, and which model's vectors.
    pub version: String,
}

/// What a version's keys begin with, after the document: no two versions or models share it.
pub fn version_hash(model: &str, version: &str) -> String {
    hexadecimal(&Sha256::digest(format!("{model}\0{version}"))[..8])
}

/// The key of a chunk.
pub fn key(document: &DocumentId, version_hash: &str, ordinal: u32) -> String {
    format!("{document}/{version_hash}/{ordinal}")
}

/// Reads a key.
pub fn parse_key(text: &str) -> Option<Key> {
    let mut parts = text.split('/');
    let key = Key { document: DocumentId::parse(parts.next()?).ok()?, version: parts.next()?.to_owned() };
    parts.next()?.parse::<u32>().ok().filter(|_| parts.next().is_none())?;
    Some(key)
}

/// What is the same for all chunks of a version.
pub struct Origin<'a> {
    pub document: &'a DocumentId,
    pub title: &'a str,
    pub version: &'a str,
    pub attributes: &'a Attributes,
}

/// A chunk's vector, and how many bytes it is in a request, at most. Without its sentences if it would be too large with
/// them; `None` if its text alone is.
pub fn record(of: &Origin<'_>, version_hash: &str, embedded: &EmbeddedChunk) -> Option<(PutInputVector, usize)> {
    let mut fields = described(of.document, of.attributes);
    fields.insert("page".into(), number(embedded.chunk.pages().0.into()));
    fields.insert("title".into(), Document::String(of.title.to_owned()));
    fields.insert("version".into(), Document::String(of.version.to_owned()));
    fields.insert("chunk".into(), Document::String(serde_json::to_string(&embedded.chunk).ok()?));
    let bare = bytes_of(&fields);
    let sentences = pack(&embedded.sentences);
    if !sentences.is_empty() && bare + sentences.len() <= METADATA_BYTES_MAX {
        fields.insert("sentences".into(), Document::String(sentences));
    }
    let metadata = bytes_of(&fields);
    if metadata > METADATA_BYTES_MAX {
        return None;
    }
    let key = key(of.document, version_hash, embedded.chunk.ordinal);
    // A number is at most `-0.00012345678`, with its comma.
    let bytes = key.len() + embedded.embedding.0.len() * 16 + metadata + 64;
    let vector = PutInputVector::builder()
        .key(key)
        .data(VectorData::Float32(embedded.embedding.0.clone()))
        .metadata(Document::Object(fields))
        .build();
    Some((vector.ok()?, bytes))
}

/// The metadata that is filtered by, but for the page.
pub fn described(document: &DocumentId, attributes: &Attributes) -> HashMap<String, Document> {
    let texts = |texts: Vec<&str>| Document::Array(texts.into_iter().map(|t| Document::String(t.to_owned())).collect());
    let mut groups: Vec<&str> = attributes.groups.iter().map(domain::documents::attributes::Group::as_str).collect();
    if groups.is_empty() {
        groups.push(EVERYBODY);
    }
    let mut fields = HashMap::from([
        ("document".to_owned(), Document::String(document.as_str().to_owned())),
        ("groups".to_owned(), texts(groups)),
    ]);
    // The service takes no empty list.
    if !attributes.tags.is_empty() {
        let tags = attributes.tags.iter().map(domain::documents::attributes::Tag::as_str).collect();
        fields.insert("tags".into(), texts(tags));
    }
    if let Some(date) = attributes.date {
        fields.insert("date".into(), number(day(date)));
    }
    fields
}

/// `2026-03-01` as 20260301: a number, in the order of days.
pub fn day(date: Date) -> u64 {
    u64::try_from(i64::from(date.year()) * 10_000 + i64::from(date.month()) * 100 + i64::from(date.day())).unwrap_or(0)
}

/// A whole number.
pub const fn number(value: u64) -> Document {
    Document::Number(Number::PosInt(value))
}

/// The bytes of metadata as JSON.
fn bytes_of(fields: &HashMap<String, Document>) -> usize {
    fn bytes(value: &Document) -> usize {
        match value {
            // As JSON: a quotation mark takes two bytes, a control character six.
            Document::String(text) => serde_json::to_string(text).map_or(usize::MAX / 4, |json| json.len()),
            Document::Array(items) => 2 + items.iter().map(|item| bytes(item) + 1).sum::<usize>(),
            _ => 24,
        }
    }
    fields.iter().map(|(name, value)| name.len() + 4 + bytes(value)).sum()
}

/// Sentences as `start u32, end u32, scale f32, dimensions * i8` each, in base64.
fn pack(sentences: &[EmbeddedSentence]) -> String {
    let mut bytes = Vec::new();
    for EmbeddedSentence { range, embedding } in sentences {
        let largest = embedding.0.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        bytes.extend((range.start as u32).to_le_bytes());
        bytes.extend((range.end as u32).to_le_bytes());
        bytes.extend(scale.to_le_bytes());
        bytes.extend(embedding.0.iter().map(|value| ((value / scale).round() as i8).cast_unsigned()));
    }
    STANDARD.encode(bytes)
}

/// The cosines of packed sentences with a question; none where they cannot be read: they are a help, not the text.
fn unpack(packed: &str, question: &Embedding) -> Vec<SentenceMatch> {
    let bytes = STANDARD.decode(packed).unwrap_or_default();
    let each = 12 + question.0.len();
    let whole = bytes.chunks_exact(each);
    if !whole.remainder().is_empty() {
        return Vec::new();
    }
    whole
        .map(|one| {
            let word = |at: usize| [one[at], one[at + 1], one[at + 2], one[at + 3]];
            let product: f32 = one[12..].iter().zip(&question.0).map(|(a, b)| f32::from(a.cast_signed()) * b).sum();
            SentenceMatch {
                range: u32::from_le_bytes(word(0)) as usize..u32::from_le_bytes(word(4)) as usize,
                cosine: product * f32::from_le_bytes(word(8)),
            }
        })
        .collect()
}

/// What a hit's metadata says.
pub struct Found {
    pub title: String,
    pub version: String,
    pub chunk: Chunk,
    pub sentences: Vec<SentenceMatch>,
}

/// Reads a hit's metadata; `None` if it is not ours.
pub fn found(metadata: &Document, question: &Embedding) -> Option<Found> {
    let fields = metadata.as_object()?;
    let text = |name: &str| fields.get(name).and_then(Document::as_string);
    Some(Found {
        title: text("title")?.to_owned(),
        version: text("version")?.to_owned(),
        chunk: serde_json::from_str(text("chunk")?).ok()?,
        sentences: text("sentences").map(|packed| unpack(packed, question)).unwrap_or_default(),
    })
}
