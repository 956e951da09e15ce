//! Requests on the wire: time limits, repeats, and what went wrong in words. Nothing in here knows what is sent.

use crate::profile::is_loopback;
use crate::wire::Problem;
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};
use ureq::http::{Request, Response, StatusCode};
use ureq::{Agent, AsSendBody, Body};

/// The API's own limit is 29 s; a local stack that has just started needs longer for the first question.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(90);
/// The largest document (50 MiB) on a slow line (0.5 Mbit/s up) needs 14 minutes.
const TRANSFER_TIME_MAX: Duration = Duration::from_mins(15);
/// A name that does not resolve or a host that does not answer is not waited for.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// The waits before a repeat. Three repeats in 2.1 s outlast a throttled moment, not a person's patience.
const REPEAT_AFTER_MS: [u64; 3] = [300, 600, 1_200];
/// An answer has a few kilobytes, a page of the list at most 200 rows. 8 MiB is far above both.
pub const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Nothing answers at a local address.
    #[error("The local stack does not run. Start it with `make up`.")]
    LocalStackDown,
    /// Nothing answers.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Host, without path or query.
        host: String,
        /// The operating system's words.
        why: String,
    },
    /// The other side refused, and said why in the way of our API.
    #[error("{}", words(.0))]
    Problem(Problem),
    /// The other side answered something that is not ours.
    #[error("{host} answered in an unexpected way ({what})")]
    Unexpected {
        /// Host.
        host: String,
        /// Status or what is wrong with the body.
        what: String,
    },
}

impl TransportError {
    /// The status of a problem.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            _ => None,
        }
    }
}

fn words(problem: &Problem) -> String {
    let mut words = if problem.title.is_empty() { format!("Status {}", problem.status) } else { problem.title.clone() };
    if !problem.detail.is_empty() {
        words = format!("{words}: {}", problem.detail);
    }
    if !problem.trace_id.is_empty() {
        words = format!("{words} (trace id {})", problem.trace_id);
    }
    words
}

/// Sends requests.
pub struct Transport {
    direct: Agent,
    proxied: Agent,
    verbose: bool,
}

impl Transport {
    /// `verbose`: a line on standard error for each request.
    pub fn new(verbose: bool) -> Self {
        let builder = || {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .timeout_connect(Some(CONNECT_TIME_MAX))
                .user_agent(concat!("clinchat/", env!("CARGO_PKG_VERSION")))
        };
        // What stays on this machine has no business with the proxy that the environment may name.
        Self { direct: builder().proxy(None).build().into(), proxied: builder().build().into(), verbose }
    }

    /// Sends one request, once. Every status is an answer.
    pub fn once(&self, request: Request<impl AsSendBody>, is_transfer: bool) -> Result<Response<Body>, TransportError> {
        let uri = request.uri().clone();
        let method = request.method().clone();
        let agent = if is_loopback(&uri.to_string()) { &self.direct } else { &self.proxied };
        let time_max = if is_transfer { TRANSFER_TIME_MAX } else { REQUEST_TIME_MAX };
        let request = agent.configure_request(request).timeout_global(Some(time_max)).build();
        let started = Instant::now();
        let result = agent.run(request);
        if self.verbose {
            // The query of a presigned link is a secret; the path of ours is an id.
            let outcome = result.as_ref().map_or_else(|_| "no answer".to_owned(), |r| r.status().as_u16().to_string());
            let address = format!("{}{}", uri.host().unwrap_or_default(), uri.path());
            eprintln!("{method} {address} -> {outcome} in {} ms", started.elapsed().as_millis());
        }
        result.map_err(|error| unreachable(&uri.to_string(), &error))
    }

    /// Sends a request that may be repeated, until it is answered by something else than "not now".
    pub fn repeated(&self, request: &Request<()>, is_transfer: bool) -> Result<Response<Body>, TransportError> {
        for wait_ms in REPEAT_AFTER_MS {
            match self.once(request.clone(), is_transfer) {
                Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {}
                // A stack that does not run will not run in a second either.
                Err(TransportError::Unreachable { .. }) => {}
                other => return other,
            }
            thread::sleep(Duration::from_millis(wait_ms));
        }
        self.once(request.clone(), is_transfer)
    }
}

/// The body of a success as JSON, or the problem that it describes.
pub fn decode<T: serde::de::DeserializeOwned>(host: &str, response: Response<Body>) -> Result<T, TransportError> {
    let unexpected = |what: String| TransportError::Unexpected { host: host.to_owned(), what };
    let status = response.status();
    let mut bytes = Vec::new();
    let mut body = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).reader();
    body.read_to_end(&mut bytes).map_err(|error| unexpected(format!("the answer was cut off: {}", error.kind())))?;
    if !status.is_success() {
        let problem = serde_json::from_slice::<Problem>(&bytes).ok().filter(|problem| !problem.title.is_empty());
        return Err(problem.map_or_else(
            || unexpected(format!("status {}", status.as_u16())),
            |problem| TransportError::Problem(Problem { status: status.as_u16(), ..problem }),
        ));
    }
    // The parser's message would repeat what it read.
    serde_json::from_slice(&bytes).map_err(|_| unexpected("the answer has another shape than this command knows".into()))
}

/// Host and port of an address, for messages.
pub fn host(url: &str) -> String {
    url.parse::<ureq::http::Uri>()
        .ok()
        .and_then(|uri| uri.authority().map(ToString::to_string))
        .unwrap_or_else(|| "The address".into())
}

fn unreachable(url: &str, error: &ureq::Error) -> TransportError {
    let refused = match error {
        ureq::Error::Io(io) => io.kind() == std::io::ErrorKind::ConnectionRefused,
        ureq::Error::ConnectionFailed => true,
        _ => false,
    };
    if refused && is_loopback(url) {
        return TransportError::LocalStackDown;
    }
    let why = match error {
        ureq::Error::Io(io) => io.to_string(),
        ureq::Error::Timeout(_) => "it did not answer in time".into(),
        ureq::Error::HostNotFound => "there is no such host".into(),
        // Others may hold the address, which may be a secret.
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "no secure connection could be made".into(),
        _ => "the connection failed".into(),
    };
    TransportError::Unreachable { host: host(url), why }
}
