//! Runs a function whose routes answer whole or in pieces. The platform lets each answer choose: API Gateway invokes a streaming
//! route in its own way, and the Runtime API is told by a header (ADR 14).
//!
//! What a streaming answer still has to do when the person has hung up - break a call off, book what it used - is done before the
//! next event is asked for: between two events the platform stops the clock of a function.

use futures_util::stream::poll_fn;
use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyResponse;
use lambda_http::http::HeaderMap;
use lambda_http::lambda_runtime::{FunctionResponse, LambdaEvent, MetadataPrelude, Runtime, StreamResponse};
use lambda_http::request::LambdaRequest;
use lambda_http::tower::util::MapFutureLayer;
use lambda_http::{Body, Error, Request, Response, service_fn};
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// A handler's answer.
#[derive(Debug)]
pub enum Reply {
    /// At once.
    Whole(Response<Body>),
    /// In pieces.
    Stream(Streamed),
}

/// An answer in pieces.
#[derive(Debug)]
pub struct Streamed {
    /// Status and headers.
    pub head: Response<()>,
    /// The pieces as they are made.
    pub pieces: mpsc::UnboundedReceiver<String>,
    /// Whether somebody still listens.
    pub line: Line,
    /// What makes the pieces; it has ended before the next event is taken.
    pub work: JoinHandle<()>,
}

impl Streamed {
    /// A whole answer on a route that streams.
    pub fn whole(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let (sender, pieces) = mpsc::unbounded_channel();
        if let Body::Text(text) = body {
            // The receiver is in our hand.
            let _ = sender.send(text);
        }
        Self { head: Response::from_parts(parts, ()), pieces, line: Line::default(), work: tokio::spawn(async {}) }
    }
}

/// Whether somebody still listens. A clone is the same line.
#[derive(Debug, Clone)]
pub struct Line(Arc<watch::Sender<bool>>);

impl Default for Line {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Line {
    /// Nobody listens any more.
    pub fn hang_up(&self) {
        self.0.send_replace(true);
    }

    /// Whether nobody listens any more.
    pub fn is_down(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when nobody listens any more.
    pub async fn down(&self) {
        // The sender is ours, so it is there for as long as we wait.
        let _ = self.0.subscribe().wait_for(|is_down| *is_down).await;
    }
}

/// Hangs up with the response's body: the runtime lets go of it when the other side has closed the connection.
struct HangUp(Line);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.hang_up();
    }
}

/// The answer that is under way.
type Open = Arc<Mutex<Option<(Line, JoinHandle<()>)>>>;

/// Takes events and answers them, one after the other, for as long as the process lives.
pub async fn serve<H, F>(handle: H) -> Result<(), Error>
where
    H: Fn(Request) -> F,
    F: Future<Output = Reply>,
{
    let open = Open::default();
    let opened = open.clone();
    let service = service_fn(|event: LambdaEvent<LambdaRequest>| {
        let reply = handle(event.payload.into());
        let opened = opened.clone();
        async move { Ok::<_, Error>(respond(reply.await, &opened)) }
    });
    let runtime = Runtime::new(service).layer(MapFutureLayer::new(move |sending| {
        let open = open.clone();
        async move { finish(sending.await, &open).await }
    }));
    runtime.run().await
}

fn respond(
    reply: Reply,
    open: &Open,
) -> FunctionResponse<
    ApiGatewayProxyResponse,
    impl futures_util::Stream<Item = Result<String, Infallible>> + Unpin + Send + 'static + use<>,
> {
    let Streamed { head, mut pieces, line, work } = match reply {
        Reply::Whole(response) => return FunctionResponse::BufferedResponse(proxied(response)),
        Reply::Stream(streamed) => streamed,
    };
    *open.lock().unwrap_or_else(PoisonError::into_inner) = Some((line.clone(), work));
    let (parts, ()) = head.into_parts();
    let hang_up = HangUp(line);
    let stream = poll_fn(move |context| {
        let _ = &hang_up;
        pieces.poll_recv(context).map(|piece| piece.map(Ok))
    });
    let metadata_prelude = MetadataPrelude { status_code: parts.status, headers: parts.headers, cookies: Vec::new() };
    FunctionResponse::StreamingResponse(StreamResponse { metadata_prelude, stream })
}

/// After the answer was sent, or could not be: the work behind it ends. A streaming answer that was cut off is a person who has
/// hung up, no failure of ours; if the platform itself is gone, the next poll shows it.
async fn finish(sent: Result<(), Error>, open: &Open) -> Result<(), Error> {
    let under_way = open.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((line, work)) = under_way else { return sent };
    if sent.is_err() {
        line.hang_up();
    }
    if work.await.is_err() {
        tracing::error!("the work behind an answer was cut off");
    }
    Ok(())
}

/// A whole answer in the form of API Gateway's proxy integration.
fn proxied(response: Response<Body>) -> ApiGatewayProxyResponse {
    let (parts, body) = response.into_parts();
    let mut proxied = ApiGatewayProxyResponse::default();
    proxied.status_code = i64::from(parts.status.as_u16());
    // In one of the two places only: API Gateway joins them.
    proxied.headers = HeaderMap::new();
    proxied.multi_value_headers = parts.headers;
    proxied.is_base64_encoded = matches!(body, Body::Binary(_));
    proxied.body = Some(body).filter(|body| !matches!(body, Body::Empty));
    proxied
}
