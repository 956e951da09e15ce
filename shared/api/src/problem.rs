//! Problem details (RFC 9457). The `type` is stable: clients decide by it, people search for it. Nothing of what the caller
//! sent is repeated.

use domain::fault::Fault;
use lambda_http::http::{StatusCode, header};
use lambda_http::{Body, Response};
use serde::Serialize;

/// The stable kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No such route, or not this method.
    NoSuchRoute,
    /// The body is not JSON of the expected shape.
    BadBody,
    /// The body is over the limit.
    BodyTooLarge,
    /// The body is declared as something else than JSON.
    BadContentType,
    /// A parameter does not have the form it must have.
    BadParameter,
    /// The question is empty, too long or has control characters.
    BadQuestion,
    /// The announced document cannot be taken.
    BadDocument,
    /// The token says too little, or the roles do not allow it.
    Denied,
    /// Not there, or another tenant's: the same answer.
    NotFound,
    /// In another state than the request assumes.
    Conflict,
    /// Too many requests.
    RateLimited,
    /// A dependency failed in a way that passes.
    Unavailable,
    /// Our own mistake.
    Internal,
}

impl Kind {
    const fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::NoSuchRoute => ("no-such-route", "No such route", StatusCode::NOT_FOUND),
            Self::BadBody => ("bad-body", "The body cannot be read", StatusCode::BAD_REQUEST),
            Self::BodyTooLarge => ("body-too-large", "Body too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::BadContentType => ("bad-content-type", "The body must be JSON", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::BadParameter => ("bad-parameter", "A parameter is malformed", StatusCode::BAD_REQUEST),
            Self::BadQuestion => ("bad-question", "This cannot be asked", StatusCode::BAD_REQUEST),
            Self::BadDocument => ("bad-document", "This document cannot be taken", StatusCode::BAD_REQUEST),
            Self::Denied => ("denied", "Not allowed", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", "Not found", StatusCode::NOT_FOUND),
            Self::Conflict => ("conflict", "Not in this state", StatusCode::CONFLICT),
            Self::RateLimited => ("rate-limited", "Too many requests", StatusCode::TOO_MANY_REQUESTS),
            Self::Unavailable => ("unavailable", "Unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", "Something went wrong on our side", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// A problem on its way to a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: String,
    retry_after_s: Option<u32>,
}

/// Wire form.
#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    trace_id: &'a str,
}

impl Problem {
    /// A problem with one sentence that says what to do. The sentence is ours, never the caller's words.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after_s: None }
    }

    /// The one table from faults to HTTP. `caller` is the kind to use where the caller's input is at fault.
    pub fn from_fault(fault: Fault, caller: Kind, detail: impl Into<String>) -> Self {
        match fault {
            Fault::Caller => Self::new(caller, detail),
            Fault::Denied => Self::new(Kind::Denied, detail),
            Fault::Missing => Self::new(Kind::NotFound, detail),
            Fault::Conflict => Self::new(Kind::Conflict, detail),
            Fault::Limited { retry_after_s } => Self {
                kind: Kind::RateLimited,
                detail: "Try again after the given time.".into(),
                retry_after_s: Some(retry_after_s),
            },
            Fault::Transient => Self {
                kind: Kind::Unavailable,
                detail: "Try again in a moment; if it persists, tell the operators the trace id.".into(),
                retry_after_s: Some(1),
            },
            Fault::Bug => Self::new(Kind::Internal, "Tell the operators the trace id."),
        }
    }

    /// The stable short name, for metrics and log lines.
    pub const fn code(&self) -> &'static str {
        self.kind.parts().0
    }

    /// Which kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether somebody asked for what is not theirs: the roles do not allow it, or it is not there for them.
    pub fn is_denial(&self) -> bool {
        matches!(self.kind, Kind::Denied | Kind::NotFound)
    }

    fn wire<'a>(&'a self, trace_id: &'a str) -> Wire<'a> {
        let (name, title, status) = self.kind.parts();
        Wire { r#type: format!("urn:clinchat:problem:{name}"), title, status: status.as_u16(), detail: &self.detail, trace_id }
    }

    /// Its JSON alone: an answer that has begun can no longer have another status.
    pub fn to_json(&self, trace_id: &str) -> String {
        serde_json::to_string(&self.wire(trace_id)).unwrap_or_default()
    }

    /// The response.
    pub fn into_response(self, trace_id: &str) -> Response<Body> {
        let mut response = with_body(self.kind.parts().2, "application/problem+json", &self.wire(trace_id));
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A JSON response.
pub fn json(status: u16, body: &impl Serialize) -> Response<Body> {
    with_body(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), "application/json", body)
}

/// A file of another media type.
pub fn text(media_type: &'static str, body: String) -> Response<Body> {
    with_text(StatusCode::OK, media_type, body)
}

fn with_body(status: StatusCode, media_type: &'static str, body: &impl Serialize) -> Response<Body> {
    with_text(status, media_type, serde_json::to_string(body).unwrap_or_default())
}

fn with_text(status: StatusCode, media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    // Answers quote documents: no browser, proxy or disk keeps them.
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_one_table() {
        let status = |fault| Problem::from_fault(fault, Kind::BadBody, "x").into_response("t").status().as_u16();
        assert_eq!(
            [
                Fault::Caller,
                Fault::Denied,
                Fault::Missing,
                Fault::Conflict,
                Fault::Limited { retry_after_s: 3 },
                Fault::Transient,
                Fault::Bug
            ]
            .map(status),
            [400, 403, 404, 409, 429, 503, 500]
        );
    }

    #[test]
    fn our_mistakes_leave_without_detail() {
        let response = Problem::from_fault(Fault::Bug, Kind::BadBody, "GetItem documents returned something unexpected")
            .into_response("t-1");
        let Body::Text(body) = response.into_body() else { panic!("not text") };
        assert!(!body.contains("GetItem"), "{body}");
        assert!(body.contains("\"trace_id\":\"t-1\"") && body.contains("urn:clinchat:problem:internal"));
    }
}
