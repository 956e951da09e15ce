//! What the API sends and takes (version 1). `--json` prints the same shapes.

use domain::spending::MicroDollars;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A document. Optional fields are absent where they are not known.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Document {
    pub id: String,
    pub title: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Who may see it; empty if everybody of the tenant may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    pub status: Status,
    /// Stable code of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Identifiers of people, by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifiers: Option<BTreeMap<String, u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searchable_version: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

/// Where a document is on its way. A stack that is newer than this command may know more states.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Status(pub String);

impl Status {
    /// Searchable.
    pub fn is_indexed(&self) -> bool {
        self.0 == "indexed"
    }

    /// Not searchable, and nothing more will happen.
    pub fn is_failed(&self) -> bool {
        self.0 == "failed"
    }

    /// Gone, or on its way out.
    pub fn is_leaving(&self) -> bool {
        self.0 == "deleting" || self.0 == "deleted"
    }

    /// For people.
    pub fn words(&self) -> String {
        self.0.replace('_', " ")
    }
}

/// How far the indexer is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Progress {
    pub stage: String,
    pub done: u32,
    pub total: u32,
}

/// A page of the list.
#[derive(Debug, Deserialize)]
pub struct DocumentPage {
    pub documents: Vec<Document>,
    pub next: Option<String>,
}

/// What is announced before an upload.
#[derive(Debug, Serialize)]
pub struct Announcement<'a> {
    pub name: &'a str,
    pub size_bytes: u64,
    pub sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<&'a str>,
}

/// What is announced before a new version of a document.
#[derive(Debug, Serialize)]
pub struct NewVersion {
    pub size_bytes: u64,
    pub sha256: String,
}

/// What the deletion of a document ended with, and its digest.
#[derive(Debug, Deserialize, Serialize)]
pub struct SignedOff {
    pub receipt: domain::documents::receipt::Receipt,
    pub sha256: String,
}

/// The versions of a document, the newest first.
#[derive(Debug, Deserialize, Serialize)]
pub struct Versions {
    pub document_id: String,
    pub versions: Vec<KeptVersion>,
}

/// One version.
#[derive(Debug, Deserialize, Serialize)]
pub struct KeptVersion {
    pub version: String,
    pub size_bytes: u64,
    pub written_at: String,
    pub is_newest: bool,
    pub is_searchable: bool,
}

/// What is to be said about a document; what is absent stays.
#[derive(Debug, Default, Serialize)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub struct Description<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
}

/// The answer to it.
#[derive(Deserialize)]
pub struct Announced {
    pub document: Document,
    pub upload: Link,
}

/// A short-lived link. Whoever has it can use it, so it has no `Debug`.
#[derive(Deserialize, Serialize)]
pub struct Link {
    pub method: String,
    pub url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    pub expires_in_s: u32,
}

/// A question.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the API's names")]
pub struct Question<'a> {
    pub question: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<Filters<'a>>,
}

/// What a question is limited to.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filters<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// An answer, or a refusal.
#[derive(Debug, Deserialize, Serialize)]
#[expect(clippy::struct_field_names, reason = "the API's names")]
pub struct Answer {
    pub answer: Vec<Sentence>,
    pub refused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable_documents: Vec<String>,
    pub conversation_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub understood_as: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
    pub model: String,
    pub usage: serde_json::Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    pub trace_id: String,
}

/// A step of an answer that comes in pieces.
#[derive(Debug, Deserialize)]
pub struct Stage {
    #[serde(default)]
    pub understood_as: Option<String>,
    #[serde(default)]
    pub notice: Option<Notice>,
}

/// A sentence of one, with the numbers of the citations that came before it.
#[derive(Debug, Deserialize)]
pub struct Said {
    pub text: String,
    #[serde(default)]
    pub support: Option<Support>,
    pub citations: Vec<usize>,
}

/// A sentence with its proof.
#[derive(Debug, Deserialize, Serialize)]
pub struct Sentence {
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<Support>,
    pub citations: Vec<Citation>,
}

/// What the support check says of a sentence.
#[derive(Debug, Deserialize, Serialize)]
pub struct Support {
    pub verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the question asks for that documents cannot give.
#[derive(Debug, Deserialize, Serialize)]
pub struct Notice {
    pub reason: String,
    pub message: String,
}

/// A place in a document.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Citation {
    pub document_id: String,
    pub version: String,
    pub title: String,
    #[serde(default)]
    pub section: Vec<String>,
    pub page: u32,
    pub start: usize,
    pub end: usize,
    pub quote: String,
    pub content_hash: String,
}

/// Why there is no answer.
#[derive(Debug, Deserialize, Serialize)]
pub struct Refusal {
    pub reason: String,
    pub message: String,
    #[serde(default)]
    pub nearest: Vec<Citation>,
}

/// Problem details (RFC 9457).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub trace_id: String,
}

/// What language models cost on a day, in micro-dollars.
#[derive(Debug, Deserialize, Serialize)]
pub struct Cost {
    pub day: String,
    pub spent: MicroDollars,
    pub reserved: MicroDollars,
    pub lapsed: MicroDollars,
    pub cap: MicroDollars,
    pub threshold: MicroDollars,
    pub department_cap: MicroDollars,
    pub person_cap: MicroDollars,
    pub forecast: MicroDollars,
    pub models: Vec<ModelCost>,
    pub departments: Vec<AccountCost>,
    pub people: Vec<AccountCost>,
    pub hours: Vec<MicroDollars>,
}

/// What a model cost.
#[derive(Debug, Deserialize, Serialize)]
pub struct ModelCost {
    pub model: String,
    pub spent: MicroDollars,
    pub attempts: u64,
}

/// What a department or a person has spent and reserved.
#[derive(Debug, Deserialize, Serialize)]
pub struct AccountCost {
    pub name: String,
    pub booked: MicroDollars,
}
