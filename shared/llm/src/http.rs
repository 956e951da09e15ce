//! One HTTPS client for every provider, made of the crates that the AWS SDK's client is made of. Each wait has a bound, each
//! body has a bound, no redirect is followed and nothing is sent twice.

use crate::outcome::{CallError, Failure};
use domain::keys::ApiKey;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// A connection that is this old may be dead on the other side, after a pause between two questions.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);
/// The longest whole answer. An answer of the longest length that we ask for is some 20 kB.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// The longest stream: the same answer in many events, each with its frame.
pub const STREAM_BYTES_MAX: usize = 8 << 20;
/// What is read of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
const JSON: &str = "application/json";
/// The longest pause between two tries that a provider may ask for and be believed.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// How long a call may take. The whole is an instant, so that calls that follow each other share what is left.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the next byte, the first one included: a model that thinks sends nothing for a while.
    pub silence: Duration,
    /// Until everything is over.
    pub until: Instant,
}

/// The provider cannot be called at all: a setting is wrong.
#[derive(Debug, thiserror::Error)]
pub enum MakeClientError {
    /// The address is not one, or is not encrypted and not this machine's.
    #[error("a provider's address is not an https address")]
    Address,
    /// There are no root certificates.
    #[error("the machine has no root certificates")]
    Roots,
}

/// Where a provider is. Only `https`, but for this machine itself.
#[derive(Debug, Clone)]
pub struct Address(String);

impl Address {
    /// Reads a base address such as `https://api.groq.com/openai/v1`.
    pub fn parse(text: &str) -> Result<Self, MakeClientError> {
        let text = text.trim_end_matches('/');
        let uri: Uri = text.parse().map_err(|_| MakeClientError::Address)?;
        let is_here = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
        let is_allowed = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_here,
            _ => false,
        };
        let has_extras = uri.query().is_some() || uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        if is_allowed && !has_extras { Ok(Self(text.to_owned())) } else { Err(MakeClientError::Address) }
    }

    fn at(&self, path: &str) -> Result<Uri, CallError> {
        // A model's name is a setting; one that is no part of an address is our mistake.
        format!("{}{path}", self.0).parse().map_err(|_| CallError::free(Failure::Rejected))
    }
}

/// The client. It keeps connections between calls.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Where a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHeader {
    /// `authorization: Bearer ...`
    Bearer,
    /// A header of its own.
    Named(&'static str),
}

impl HttpClient {
    /// A client that believes the machine's certificates.
    pub fn new(connect: Duration) -> Result<Self, MakeClientError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect));
        let tls = HttpsConnectorBuilder::new().with_tls_config(trust()?);
        let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .build(connector);
        Ok(Self { client })
    }

    /// Sends JSON; answers when the head of a success has come.
    pub(crate) async fn post(
        &self,
        address: &Address,
        path: &str,
        key: Option<(KeyHeader, &ApiKey)>,
        body: Bytes,
        patience: Patience,
    ) -> Result<Body, Refused> {
        self.send(Method::POST, address.at(path)?, key, Some((JSON, body)), patience).await
    }

    /// Any other request; gives the whole of what came.
    pub(crate) async fn exchange(
        &self,
        (method, address, path): (Method, &Address, &str),
        key: Option<(KeyHeader, &ApiKey)>,
        content: Option<(&'static str, Bytes)>,
        patience: Patience,
    ) -> Result<Vec<u8>, Refused> {
        let body = self.send(method, address.at(path)?, key, content, patience).await?;
        Ok(body.whole().await.map_err(CallError::unknown)?)
    }

    async fn send(
        &self,
        method: Method,
        uri: Uri,
        key: Option<(KeyHeader, &ApiKey)>,
        content: Option<(&'static str, Bytes)>,
        patience: Patience,
    ) -> Result<Body, Refused> {
        let mut request = Request::builder().method(method).uri(uri).header(USER_AGENT, HeaderValue::from_static("clinchat"));
        if let Some((media_type, _)) = &content {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        let body = content.map(|(_, body)| body).unwrap_or_default();
        let mut request = request.body(Full::new(body)).map_err(|_| CallError::free(Failure::Rejected))?;
        if let Some((header, key)) = key {
            let (name, value) = match header {
                KeyHeader::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
                KeyHeader::Named(name) => (HeaderName::from_static(name), key.expose().to_owned()),
            };
            // A key with a line break in it was pasted badly; it is no key.
            let mut value = HeaderValue::try_from(value).map_err(|_| CallError::free(Failure::BadKey))?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        let until = patience.until.min(Instant::now() + patience.silence);
        let response = match timeout_at(until, self.client.request(request)).await {
            Err(_) => return Err(CallError::unknown(Failure::TimedOut).into()),
            // No connection, no name, no handshake: nothing was sent.
            Ok(Err(error)) if error.is_connect() => return Err(CallError::free(Failure::Down).into()),
            Ok(Err(error)) => return Err(CallError::unknown(of_transport(&error)).into()),
            Ok(Ok(response)) => response,
        };
        let (head, incoming) = response.into_parts();
        if head.status == StatusCode::OK {
            return Ok(Body { incoming, patience, left: STREAM_BYTES_MAX });
        }
        let body = Body { incoming, patience, left: REFUSAL_BYTES_MAX }.whole().await.unwrap_or_default();
        Err(Refused::Status { status: head.status.as_u16(), retry_after: retry_after(&head.headers), body })
    }
}

/// The machine's certificates, read once: there are a hundred of them.
fn trust() -> Result<ClientConfig, MakeClientError> {
    static TRUST: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(trust) = TRUST.get() {
        return Ok(trust.clone());
    }
    let read = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| MakeClientError::Roots)?
        .with_native_roots()
        .map_err(|_| MakeClientError::Roots)?
        .with_no_client_auth();
    Ok(TRUST.get_or_init(|| read).clone())
}

/// What an error on an open connection means.
fn of_transport(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return if error.is_parse() { Failure::Malformed } else { Failure::Cut };
        }
        source = error.source();
    }
    Failure::Cut
}

/// A call that brought no 200.
pub(crate) enum Refused {
    /// Nothing that a provider could have said.
    Call(CallError),
    /// Another status, and the beginning of what came with it.
    Status {
        /// The status.
        status: u16,
        /// What its header says.
        retry_after: Option<Duration>,
        /// Its body, cut at the bound.
        body: Vec<u8>,
    },
}

impl From<CallError> for Refused {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// `retry-after` in seconds; a date is not read, as no provider sends one.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(|pause| pause.min(RETRY_AFTER_MAX))
}

/// The body of a success, piece by piece.
pub(crate) struct Body {
    incoming: Incoming,
    patience: Patience,
    left: usize,
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            // The nearer of both ends the wait.
            let silence = timeout(self.patience.silence, self.incoming.frame());
            let frame = match timeout_at(self.patience.until, silence).await {
                Err(_) | Ok(Err(_)) => return Err(Failure::TimedOut),
                Ok(Ok(None)) => return Ok(None),
                Ok(Ok(Some(Err(error)))) => return Err(of_transport(&error)),
                Ok(Ok(Some(Ok(frame)))) => frame,
            };
            // Trailers say nothing that is of use.
            let Ok(bytes) = frame.into_data() else { continue };
            self.left = self.left.checked_sub(bytes.len()).ok_or(Failure::Malformed)?;
            return Ok(Some(bytes));
        }
    }

    /// All of it, up to the bound of a whole answer.
    pub(crate) async fn whole(mut self) -> Result<Vec<u8>, Failure> {
        self.left = self.left.min(BODY_BYTES_MAX);
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_to_encrypted_addresses_only_but_for_this_machine() {
        for good in ["https://api.groq.com/openai/v1/", "http://127.0.0.1:8080", "http://localhost:1/v1", "http://[::1]:80"] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.groq.com",
            "http://127.0.0.1.example.org",
            "ftp://127.0.0.1",
            "api.groq.com",
            "",
            "https://user:word@api.groq.com",
            "https://api.groq.com/?x=1",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pause_is_read_from_seconds_and_bounded() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::try_from(value).unwrap());
            retry_after(&headers).map(|pause| pause.as_millis())
        };
        assert_eq!(read("7"), Some(7_000));
        assert_eq!(read("0.5"), Some(500));
        assert_eq!(read("1e300"), None);
        assert_eq!(read("99999999"), Some(RETRY_AFTER_MAX.as_millis()));
        for bad in ["-1", "NaN", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
