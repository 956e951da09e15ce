//! The API as functions. Each request carries the person's token; a token that is refused is renewed once.

use crate::profile::Profile;
use crate::session::{Bearer, Session, bearer};
use crate::transport::{ANSWER_BYTES_MAX, Transport, TransportError, decode, host};
use crate::wire::{
    Announced, Announcement, Answer, Cost, Description, Document, DocumentPage, Link, NewVersion, Question, SignedOff, Versions,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use domain::documents::attributes::Tag;
use domain::ids::{ConversationId, DocumentId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read, copy};
use std::sync::{Mutex, MutexGuard, PoisonError};
use ureq::http::{Method, Request, Response, StatusCode};
use ureq::{Body, SendBody};

/// Rows per page of the list: the most the API gives.
const LIST_LIMIT: u32 = 200;
/// A list that goes on after so many pages (200,000 documents) goes round in circles.
const LIST_PAGES_MAX: usize = 1_000;
/// A refusal of the storage is a few hundred bytes of XML.
const REFUSAL_BYTES_MAX: u64 = 16 << 10;

/// An answer of the API has at most 6 MB.
const EXPORT_BYTES_MAX: u64 = 8 << 20;

/// Speaks to one stack as one person.
pub struct Client {
    transport: Transport,
    profile: Profile,
    session: Mutex<Session>,
}

impl Client {
    /// Sends nothing yet.
    pub fn new(session: Session, verbose: bool) -> Self {
        let profile = session.found().profile.clone();
        Self { transport: Transport::new(verbose), profile, session: Mutex::new(session) }
    }

    /// Who asks; signs in if nobody is.
    pub fn bearer(&self) -> Result<Bearer> {
        Ok(bearer(&self.session().id_token(&self.transport)?))
    }

    /// The identity token itself, for other programs.
    pub fn id_token(&self) -> Result<String> {
        self.session().id_token(&self.transport)
    }

    /// Signs in with the password.
    pub fn sign_in(&self, username: Option<&str>) -> Result<Bearer> {
        Ok(bearer(&self.session().sign_in(&self.transport, username)?))
    }

    /// Forgets the tokens.
    pub fn sign_out(&self) -> Result<bool> {
        self.session().sign_out(&self.transport)
    }

    /// All documents, or those with a tag, page after page.
    pub fn documents(&self, tag: Option<&Tag>) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        let tag = tag.map(|tag| format!("&tag={}", percent_encoded(tag.as_str()))).unwrap_or_default();
        let mut after = String::new();
        for _ in 0..LIST_PAGES_MAX {
            let page: DocumentPage = self.get(&format!("/documents?limit={LIST_LIMIT}{tag}{after}"))?;
            documents.extend(page.documents);
            match page.next {
                None => return Ok(documents),
                Some(next) => {
                    // It becomes part of an address.
                    let next =
                        DocumentId::parse(&next).map_err(|_| anyhow!("The list goes on at something that is no document."))?;
                    after = format!("&after={next}");
                }
            }
        }
        bail!("The list does not end.");
    }

    /// One document.
    pub fn document(&self, id: &str) -> Result<Document> {
        self.get(&format!("/documents/{id}"))
    }

    /// One document, or `None` if there is none of that id.
    pub fn document_if_there(&self, id: &str) -> Result<Option<Document>> {
        match self.document(id) {
            Ok(document) => Ok(Some(document)),
            Err(error) if problem_status(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Announces an upload.
    pub fn announce(&self, announcement: &Announcement<'_>) -> Result<Announced> {
        self.send(&Method::POST, "/documents", Some(announcement))
    }

    /// Says something else about a document.
    pub fn describe(&self, id: &DocumentId, description: &Description<'_>) -> Result<Document> {
        self.send(&Method::PATCH, &format!("/documents/{id}"), Some(description))
    }

    /// Announces an upload of a new version.
    pub fn announce_version(&self, id: &DocumentId, new: &NewVersion) -> Result<Announced> {
        self.send(&Method::POST, &format!("/documents/{id}/versions"), Some(new))
    }

    /// The versions of a document.
    pub fn versions(&self, id: &DocumentId) -> Result<Versions> {
        self.get(&format!("/documents/{id}/versions"))
    }

    /// What the deletion of a document ended with.
    pub fn receipt(&self, id: &DocumentId) -> Result<SignedOff> {
        self.get(&format!("/documents/{id}/receipt"))
    }

    /// A link to the content that answers cite, or to that of another version.
    pub fn content_link(&self, id: &DocumentId, version: Option<&str>) -> Result<Link> {
        let version = version.map(|version| format!("?version={}", percent_encoded(version))).unwrap_or_default();
        self.get(&format!("/documents/{id}/content{version}"))
    }

    /// Asks for a document to be deleted.
    pub fn delete(&self, id: &DocumentId) -> Result<Document> {
        self.send(&Method::DELETE, &format!("/documents/{id}"), None::<&()>)
    }

    /// What language models cost today.
    pub fn cost(&self) -> Result<Cost> {
        self.get("/admin/cost")
    }

    /// Asks a question.
    pub fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        self.send(&Method::POST, "/chat", Some(question))
    }

    /// Asks a question and hands each event of its answer on as it comes: its name and its JSON.
    pub fn ask_in_pieces(&self, question: &Question<'_>, take: &mut dyn FnMut(&str, &str) -> Result<()>) -> Result<()> {
        let url = format!("{}/chat/stream", self.profile.api_url.trim_end_matches('/'));
        let response = self.call(&Method::POST, &url, Some(&serde_json::to_string(question)?))?;
        if !response.status().is_success() {
            let refused: serde_json::Value = decode(&host(&url), response)?;
            bail!("The question was answered with {refused}.");
        }
        let body = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).reader();
        let mut name = String::new();
        for line in BufReader::new(body).lines() {
            let line = line.context("The answer was cut off")?;
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(json) = line.strip_prefix("data: ") {
                take(&name, json)?;
            }
        }
        Ok(())
    }

    /// The last conversation, if there was one.
    pub fn last_conversation(&self) -> Option<ConversationId> {
        self.session().last_conversation().and_then(|id| ConversationId::parse(&id).ok())
    }

    /// Remembers a conversation for the next question.
    pub fn remember_conversation(&self, id: &str) -> Result<()> {
        self.session().remember_conversation(id)
    }

    /// Sends the announced bytes along an upload link, with exactly the headers that it is bound to.
    pub fn put(&self, link: &Link, bytes: &mut (dyn Read + Send)) -> Result<()> {
        let mut request = Request::builder().method(link.method.as_str()).uri(&link.url);
        for (name, value) in &link.headers {
            // The address has it already, and the signature is bound to the address.
            if !name.eq_ignore_ascii_case("host") {
                request = request.header(name, value);
            }
        }
        let mut reader: &mut (dyn Read + Send) = bytes;
        let request = request.body(SendBody::from_reader(&mut reader)).map_err(|_| anyhow!("The upload link cannot be used."))?;
        let response = self.transport.once(request, true).context("The upload was interrupted")?;
        ensure!(response.status().is_success(), "The storage refused the upload ({}).", storage_refusal(response));
        Ok(())
    }

    /// Fetches what a content link points at.
    pub fn download(&self, link: &Link, into: &mut impl std::io::Write) -> Result<u64> {
        let mut request = Request::builder().method(link.method.as_str()).uri(&link.url);
        for (name, value) in link.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
            request = request.header(name, value);
        }
        let request = request.body(()).map_err(|_| anyhow!("The content link cannot be used."))?;
        let response = self.transport.repeated(&request, true)?;
        ensure!(response.status().is_success(), "The storage refused the download ({}).", storage_refusal(response));
        copy(&mut response.into_body().into_reader(), into).context("The download was interrupted")
    }

    /// A page of the audit trail.
    pub fn trail(&self, query: &[(&str, String)]) -> Result<serde_json::Value> {
        self.get(&format!("/audit/events{}", joined(query)))
    }

    /// Reports events of another system.
    pub fn report(&self, batch: &serde_json::Value) -> Result<serde_json::Value> {
        self.send(&Method::POST, "/audit/events", Some(batch))
    }

    /// A part of the audit trail as a file, and where the next one begins.
    pub fn trail_part(&self, query: &[(&str, String)]) -> Result<(String, Option<String>)> {
        let url = format!("{}/audit/export{}", self.profile.api_url.trim_end_matches('/'), joined(query));
        let mut response = self.call(&Method::GET, &url, None)?;
        if !response.status().is_success() {
            // A refusal is a problem of ours; the type of a success does not matter, there is none.
            let refused: serde_json::Value = decode(&host(&url), response)?;
            bail!("The export was answered with {refused}.");
        }
        let next = response.headers().get("x-next-cursor").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = response.body_mut().with_config().limit(EXPORT_BYTES_MAX).read_to_string();
        Ok((text.context("The export was interrupted")?, next))
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        // A thread that panicked while signing in leaves the tokens as they were.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.send(&Method::GET, path, None::<&()>)
    }

    /// One call of the API.
    fn send<T: DeserializeOwned>(&self, method: &Method, path: &str, body: Option<&impl Serialize>) -> Result<T> {
        let url = format!("{}{path}", self.profile.api_url.trim_end_matches('/'));
        let body = body.map(serde_json::to_string).transpose()?;
        let response = self.call(method, &url, body.as_deref())?;
        Ok(decode(&host(&url), response)?)
    }

    /// One request, with a new token if the old one is refused.
    fn call(&self, method: &Method, url: &str, body: Option<&str>) -> Result<Response<Body>> {
        let token = self.session().id_token(&self.transport)?;
        let response = self.carry(method, url, body, &token)?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let token = self.session().id_token_instead_of(&token, &self.transport)?;
        self.carry(method, url, body, &token)
    }

    fn carry(&self, method: &Method, url: &str, body: Option<&str>, token: &str) -> Result<Response<Body>> {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("accept", "application/json")
            .header("authorization", format!("Bearer {token}"));
        let unusable = |_| anyhow!("The profile's api_url cannot be used.");
        Ok(match body {
            None if *method == Method::GET => self.transport.repeated(&request.body(()).map_err(unusable)?, false)?,
            None => self.transport.once(request.body(()).map_err(unusable)?, false)?,
            Some(body) => {
                let request = request.header("content-type", "application/json").body(body).map_err(unusable)?;
                self.transport.once(request, false)?
            }
        })
    }
}

/// A query, with its question mark.
fn joined(query: &[(&str, String)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// A value of a query.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The status of the problem that an error is, if it is one.
pub fn problem_status(error: &anyhow::Error) -> Option<u16> {
    error.downcast_ref::<TransportError>().and_then(TransportError::status)
}

/// Status and code of a storage's refusal. The rest of it may repeat the link.
fn storage_refusal(response: Response<Body>) -> String {
    let status = response.status().as_u16();
    let mut text = String::new();
    // What cannot be read leaves the status.
    let _ = response.into_body().into_reader().take(REFUSAL_BYTES_MAX).read_to_string(&mut text);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    match code.filter(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric())) {
        Some(code) => format!("{status} {code}"),
        None => status.to_string(),
    }
}
