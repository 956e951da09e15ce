//! The providers' formats, each in a file of its own, and the one client that speaks them all: it sends a sealed request and
//! gathers the answer, whole or in pieces.

pub mod gemini;
pub mod openai;

use crate::http::{Address, Body, HttpClient, KeyHeader, Patience, Refused};
use crate::outcome::{CallError, Failure};
use crate::provider::{Form, ModelRequest, Pieces, ProviderClient, Reply, Sealed};
use crate::sse::EventReader;
use async_trait::async_trait;
use domain::keys::ApiKey;
use domain::spending::{CallPermit, TokenUsage};
use hyper::Method;
use hyper::body::Bytes;
use std::time::Duration;

/// What a model may write at most, in bytes, before we stop reading: far above every bound on tokens that we set.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// A format.
pub(crate) trait Wire: Send + Sync {
    /// Where the key goes.
    fn key_header(&self) -> KeyHeader;
    /// The path below the address.
    fn path(&self, model: &str, form: Form) -> String;
    /// The path of the list of models, which costs nothing and takes a key.
    fn models_path(&self) -> &'static str;
    /// The body.
    fn body(&self, request: &ModelRequest<'_>, form: Form) -> Vec<u8>;
    /// What an answer other than 200 means.
    fn refusal(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure;
    /// Begins an answer.
    fn gather(&self) -> Box<dyn Gather>;
}

/// An answer as it comes.
pub(crate) trait Gather: Send {
    /// Takes a whole answer or one event; gives what it adds to the text.
    fn take(&mut self, json: &str) -> Result<String, Failure>;
    /// How it ended: an error unless the model said that it was done, or may not write more.
    fn end(&self) -> Result<End, Failure>;
    /// What the provider has counted, at last.
    fn usage(&self) -> Option<TokenUsage>;
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The model was done.
    Done,
    /// It might not write more.
    Truncated,
}

/// A provider that is reached over HTTPS.
pub struct HttpProvider {
    http: HttpClient,
    address: Address,
    wire: Box<dyn Wire>,
}

impl HttpProvider {
    /// Google's Gemini.
    pub fn gemini(http: HttpClient, address: Address) -> Self {
        Self { http, address, wire: Box::new(gemini::Gemini) }
    }

    /// Groq.
    pub fn groq(http: HttpClient, address: Address) -> Self {
        Self { http, address, wire: Box::new(openai::OpenAi::groq()) }
    }

    /// Anything that speaks `OpenAI`'s chat completions, such as vLLM or Ollama.
    pub fn open_ai_compatible(http: HttpClient, address: Address) -> Self {
        Self { http, address, wire: Box::new(openai::OpenAi::compatible()) }
    }

    /// Whether the provider shows this key its models.
    pub(crate) async fn list_models(&self, key: &ApiKey, patience: Patience) -> Result<(), Failure> {
        let request = (Method::GET, &self.address, self.wire.models_path());
        match self.http.exchange(request, Some((self.wire.key_header(), key)), None, patience).await {
            // What is listed does not matter, but it has to be the provider who answered.
            Ok(body) if serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(&body).is_ok() => Ok(()),
            Ok(_) => Err(Failure::Malformed),
            Err(Refused::Call(error)) => Err(error.failure),
            Err(Refused::Status { status, retry_after, body }) => Err(self.wire.refusal(status, retry_after, &body)),
        }
    }

    async fn whole(&self, body: Body) -> Result<Reply, CallError> {
        let bytes = body.whole().await.map_err(CallError::unknown)?;
        let json = std::str::from_utf8(&bytes).map_err(|_| CallError::unknown(Failure::Malformed))?;
        let mut gathered = self.wire.gather();
        let text = gathered.take(json).map_err(CallError::unknown)?;
        reply(gathered.as_ref(), text)
    }

    async fn stream(&self, mut body: Body, pieces: Pieces<'_>) -> Result<Reply, CallError> {
        let mut gathered = self.wire.gather();
        let (mut events, mut text) = (EventReader::default(), String::new());
        while let Some(bytes) = body.next().await.map_err(CallError::unknown)? {
            for event in events.push(&bytes).map_err(|_| CallError::unknown(Failure::Malformed))? {
                let piece = gathered.take(&event).map_err(CallError::unknown)?;
                if text.len() + piece.len() > TEXT_BYTES_MAX {
                    return Err(CallError::unknown(Failure::Malformed));
                }
                if !piece.is_empty() {
                    pieces(&piece);
                    text.push_str(&piece);
                }
            }
        }
        reply(gathered.as_ref(), text)
    }
}

fn reply(gathered: &dyn Gather, text: String) -> Result<Reply, CallError> {
    let usage = gathered.usage();
    match gathered.end() {
        Ok(end) => Ok(Reply { text, usage, is_truncated: end == End::Truncated }),
        // What was counted before an answer broke off is not all of it.
        Err(Failure::Cut) => Err(CallError::unknown(Failure::Cut)),
        Err(failure) => Err(CallError::counted(failure, usage)),
    }
}

#[async_trait]
impl ProviderClient for HttpProvider {
    fn seal(&self, request: &ModelRequest<'_>, form: Form) -> Sealed {
        let (path, body) = (self.wire.path(request.model, form), self.wire.body(request, form));
        Sealed::new(request, path, Bytes::from(body), form)
    }

    async fn call(
        &self,
        sealed: &Sealed,
        key: Option<&ApiKey>,
        permit: CallPermit,
        patience: Patience,
        pieces: Pieces<'_>,
    ) -> Result<Reply, CallError> {
        if !sealed.is_covered_by(&permit) {
            return Err(CallError::free(Failure::Rejected));
        }
        let key = key.map(|key| (self.wire.key_header(), key));
        let sent = self.http.post(&self.address, &sealed.path, key, sealed.body.clone(), patience).await;
        let body = match sent {
            Ok(body) => body,
            Err(Refused::Call(error)) => return Err(error),
            Err(Refused::Status { status, retry_after, body }) => {
                return Err(CallError::refused(status, self.wire.refusal(status, retry_after, &body)));
            }
        };
        match sealed.form() {
            Form::Whole => self.whole(body).await,
            Form::Stream => self.stream(body, pieces).await,
        }
    }
}

/// `17s`, `0.5s`: a duration as Google writes it.
fn google_duration(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}
