//! Documents as callers see them. The state is the one of now, not the one last written.

use domain::documents::attributes::{Group, Tag};
use domain::documents::index_object::reason_code;
use domain::documents::manage::Announced;
use domain::documents::pages::Format;
use domain::documents::receipt::Receipt;
use domain::documents::registry::{Document, DocumentPage, Progress};
use domain::documents::versions::Versions;
use domain::objects::Link;
use domain::phi::IdentifierCounts;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Wire form of a document.
#[derive(Serialize)]
pub struct DocumentBody<'a> {
    id: &'a str,
    title: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    tags: &'a BTreeSet<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<Date>,
    /// Who may see it; absent if everybody of the tenant may.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    groups: &'a BTreeSet<Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    /// Identifiers of people in it, by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    identifiers: Option<&'a IdentifierCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    /// The version that answers cite.
    #[serde(skip_serializing_if = "Option::is_none")]
    searchable_version: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Wire form of a link.
#[derive(Serialize)]
pub struct LinkBody<'a> {
    method: &'static str,
    url: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: &'a BTreeMap<String, String>,
    expires_in_s: u32,
}

/// Wire form of the answer to an announcement.
#[derive(Serialize)]
pub struct AnnouncedBody<'a> {
    document: DocumentBody<'a>,
    /// Send the bytes here, with exactly these headers.
    upload: LinkBody<'a>,
}

/// Wire form of a page of a list.
#[derive(Serialize)]
pub struct PageBody<'a> {
    documents: Vec<DocumentBody<'a>>,
    /// `?after=` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// Wire form of a document's versions.
#[derive(Serialize)]
pub struct VersionsBody<'a> {
    document_id: &'a str,
    /// The newest first.
    versions: Vec<VersionBody<'a>>,
}

/// Wire form of one version.
#[derive(Serialize)]
struct VersionBody<'a> {
    version: &'a str,
    size_bytes: u64,
    written_at: Timestamp,
    /// Whether it is the last that was uploaded.
    is_newest: bool,
    /// Whether answers cite it.
    is_searchable: bool,
}

/// Wire form of a receipt.
#[derive(Serialize)]
pub struct ReceiptBody<'a> {
    receipt: &'a Receipt,
    /// SHA-256 of the receipt's JSON with sorted names and no white space: the audit event of the deletion has the same.
    sha256: String,
}

/// What a deletion ended with.
pub fn receipt(receipt: &Receipt) -> ReceiptBody<'_> {
    ReceiptBody { receipt, sha256: domain::text::hexadecimal(&receipt.digest()) }
}

/// A document's versions.
pub fn versions(found: &Versions) -> VersionsBody<'_> {
    let searchable = found.document.searchable_version.as_deref();
    let versions = found.versions.iter().enumerate().map(|(at, version)| VersionBody {
        version: &version.version_id,
        size_bytes: version.size_bytes,
        written_at: version.written,
        is_newest: at == 0,
        is_searchable: searchable == Some(version.version_id.as_str()),
    });
    VersionsBody { document_id: found.document.id.as_str(), versions: versions.collect() }
}

/// A document as of now.
pub fn document(document: &Document, now: Timestamp) -> DocumentBody<'_> {
    let (status, reason) = document.state_at(now);
    DocumentBody {
        id: document.id.as_str(),
        title: &document.title,
        name: domain::documents::index_object::file_name(&document.key),
        tags: &document.attributes.tags,
        date: document.attributes.date,
        groups: &document.attributes.groups,
        format: document.format,
        status: status.as_str(),
        reason: reason.map(reason_code),
        advice: reason.map(domain::documents::pages::Reason::advice),
        progress: document.progress,
        pages: document.pages,
        chunks: document.chunks,
        size_bytes: document.size_bytes,
        identifiers: document.identifiers.as_ref(),
        version: document.version.as_deref(),
        searchable_version: document.searchable_version.as_deref(),
        created_at: document.created_at,
        updated_at: document.updated_at,
    }
}

/// The answer to an announcement.
pub fn announced(announced: &Announced, now: Timestamp) -> AnnouncedBody<'_> {
    AnnouncedBody { document: document(&announced.document, now), upload: content(&announced.link, announced.expires_s) }
}

/// A link.
pub fn content(link: &Link, expires_in_s: u32) -> LinkBody<'_> {
    LinkBody { method: link.method, url: &link.url, headers: &link.headers, expires_in_s }
}

/// A page of a list.
pub fn page(page: &DocumentPage, now: Timestamp) -> PageBody<'_> {
    PageBody {
        documents: page.documents.iter().map(|d| document(d, now)).collect(),
        next: page.next.as_ref().map(domain::ids::DocumentId::as_str),
    }
}
