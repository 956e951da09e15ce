//! Amazon Bedrock's `Converse` and `ConverseStream`: models that are called with the function's own credentials, so that
//! nothing leaves the account and no key is kept. The SDK signs, connects and takes the event stream apart; the body is ours,
//! because what is reserved, recorded and sent is one thing.
//!
//! Formats and errors: docs.aws.amazon.com/bedrock/latest/APIReference, `API_runtime_Converse` and `API_runtime_ConverseStream`.

mod outcome;

use async_trait::async_trait;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::config::{Builder, StalledStreamProtectionConfig};
use aws_sdk_bedrockruntime::types::{ContentBlock, ContentBlockDelta, ConverseStreamOutput, StopReason, TokenUsage as Counted};
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use domain::keys::ApiKey;
use domain::spending::{CallPermit, TokenUsage};
use llm::provider::Pieces;
use llm::{CallError, Failure, Form, ModelRequest, Patience, ProviderClient, Reply, Sealed};
use outcome::{broken, ended, failed};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// What a model may write at most, in bytes, before we stop reading: far above every bound on tokens that we set.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Speaks to Bedrock in the function's region.
pub struct BedrockClient {
    client: Client,
}

impl BedrockClient {
    /// With the function's own credentials. `connect` bounds the wait for a connection. Nothing is sent twice by itself: a call
    /// may have been paid for.
    pub fn new(config: &SdkConfig, connect: Duration) -> Self {
        // How long silence and a call may last is the caller's to say.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(connect)
            .disable_read_timeout()
            .disable_operation_timeout()
            .disable_operation_attempt_timeout();
        let config = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self { client: Client::from_conf(config.build()) }
    }

    async fn whole(&self, sealed: &Sealed, patience: Patience) -> Result<Reply, CallError> {
        let body = Body::of(sealed);
        let asked = self.client.converse().model_id(sealed.model()).customize().mutate_request(move |request| body.put(request));
        let output = soon(patience, asked.send()).await?.map_err(|error| failed(&error))?;
        let usage = output.usage().map(counted);
        let message = output.output().and_then(|output| output.as_message().ok());
        let blocks = message.map(aws_sdk_bedrockruntime::types::Message::content).unwrap_or_default();
        let text: String = blocks.iter().filter_map(|block| block.as_text().ok()).map(String::as_str).collect();
        if text.len() > TEXT_BYTES_MAX {
            return Err(CallError::counted(Failure::Malformed, usage));
        }
        let wants_tool = blocks.iter().any(ContentBlock::is_tool_use);
        reply(text, usage, Some(output.stop_reason()).filter(|_| !wants_tool))
    }

    async fn stream(&self, sealed: &Sealed, patience: Patience, pieces: Pieces<'_>) -> Result<Reply, CallError> {
        let body = Body::of(sealed);
        let asked =
            self.client.converse_stream().model_id(sealed.model()).customize().mutate_request(move |request| body.put(request));
        let mut events = soon(patience, asked.send()).await?.map_err(|error| failed(&error))?.stream;
        let (mut text, mut usage, mut stop) = (String::new(), None, None);
        // What was counted comes after the stop.
        while let Some(event) = soon(patience, events.recv()).await?.map_err(|error| broken(&error))? {
            match event {
                ConverseStreamOutput::ContentBlockDelta(part) => {
                    if let Some(ContentBlockDelta::Text(piece)) = part.delta() {
                        if text.len() + piece.len() > TEXT_BYTES_MAX {
                            return Err(CallError::unknown(Failure::Malformed));
                        }
                        pieces(piece);
                        text.push_str(piece);
                    }
                }
                ConverseStreamOutput::MessageStop(end) => stop = Some(end.stop_reason().clone()),
                ConverseStreamOutput::Metadata(end) => usage = end.usage().map(counted),
                _ => {}
            }
        }
        match stop {
            // What was counted before an answer broke off is not all of it.
            None => Err(CallError::unknown(Failure::Cut)),
            Some(stop) => reply(text, usage, Some(&stop)),
        }
    }
}

/// The bytes that were sealed, in the place of those that the SDK has made of nothing.
struct Body(Vec<u8>);

impl Body {
    fn of(sealed: &Sealed) -> Self {
        Self(sealed.body().to_vec())
    }

    /// Before the request is signed.
    fn put(&self, request: &mut aws_sdk_bedrockruntime::config::http::HttpRequest) {
        request.headers_mut().insert("content-length", self.0.len().to_string());
        *request.body_mut() = SdkBody::from(self.0.clone());
    }
}

/// Waits as long as the patience for the next byte lasts.
async fn soon<T>(patience: Patience, answer: impl Future<Output = T>) -> Result<T, CallError> {
    let until = patience.until.min(Instant::now() + patience.silence);
    tokio::time::timeout_at(until, answer).await.map_err(|_| CallError::unknown(Failure::TimedOut))
}

fn counted(usage: &Counted) -> TokenUsage {
    // The service counts in signed numbers; none of them is below zero.
    let tokens = |count: i32| u32::try_from(count).unwrap_or(0);
    let cached = |count: Option<i32>| tokens(count.unwrap_or(0));
    let [read, written] = [usage.cache_read_input_tokens(), usage.cache_write_input_tokens()].map(cached);
    TokenUsage::bedrock(tokens(usage.input_tokens()), read, written, tokens(usage.output_tokens()))
}

fn reply(text: String, usage: Option<TokenUsage>, stop: Option<&StopReason>) -> Result<Reply, CallError> {
    match stop.map_or(Err(Failure::Diverted), ended) {
        Ok(is_truncated) => Ok(Reply { text, usage, is_truncated }),
        Err(failure) => Err(CallError::counted(failure, usage)),
    }
}

#[async_trait]
impl ProviderClient for BedrockClient {
    fn seal(&self, request: &ModelRequest<'_>, form: Form) -> Sealed {
        let body = json!({
            "system": [{ "text": request.instructions.as_str() }],
            "messages": [{ "role": "user", "content": [{ "text": request.input.as_str() }] }],
            "inferenceConfig": { "maxTokens": request.output_tokens_max },
        });
        // The path is the SDK's.
        Sealed::new(request, String::new(), body.to_string().into(), form)
    }

    async fn call(
        &self,
        sealed: &Sealed,
        _: Option<&ApiKey>,
        permit: CallPermit,
        patience: Patience,
        pieces: Pieces<'_>,
    ) -> Result<Reply, CallError> {
        if !sealed.is_covered_by(&permit) {
            return Err(CallError::free(Failure::Rejected));
        }
        match sealed.form() {
            Form::Whole => self.whole(sealed, patience).await,
            Form::Stream => self.stream(sealed, patience, pieces).await,
        }
    }
}
