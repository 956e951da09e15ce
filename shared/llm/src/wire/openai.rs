//! `OpenAI`'s chat completions as Groq, vLLM and Ollama speak them. A stream ends with `[DONE]`; Groq counts in the last chunk's
//! `x_groq.usage`, others in a chunk without choices, and an error may end a stream that began with 200.

use super::{End, Gather, Wire};
use crate::http::KeyHeader;
use crate::outcome::{Failure, of_status};
use crate::provider::{Form, ModelRequest};
use domain::spending::{ThinkingLevel, TokenUsage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// What ends a stream.
const DONE: &str = "[DONE]";

/// The format.
pub(crate) struct OpenAi {
    names_completion: bool,
}

impl OpenAi {
    /// As Groq speaks it, where `max_tokens` is deprecated.
    pub(crate) const fn groq() -> Self {
        Self { names_completion: true }
    }

    /// As the others do: Ollama knows `max_tokens` alone, and vLLM takes both.
    pub(crate) const fn compatible() -> Self {
        Self { names_completion: false }
    }
}

#[derive(Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    messages: [Turn<'a>; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: &'a str,
}

/// The answer's shape as strict JSON Schema.
fn response_format() -> Value {
    json!({
        "type": "json_schema",
        "json_schema": { "name": "answer", "strict": true, "schema": {
            "type": "object",
            "properties": { "sentences": { "type": "array", "items": {
                "type": "object",
                "properties": {
                    "text": { "type": "string" },
                    "passages": { "type": "array", "items": { "type": "integer" } },
                },
                "required": ["text", "passages"],
                "additionalProperties": false,
            } } },
            "required": ["sentences"],
            "additionalProperties": false,
        } },
    })
}

/// A completion, and every chunk of a stream.
#[derive(Deserialize, Default)]
#[serde(default)]
struct CompletionBody {
    choices: Vec<Choice>,
    usage: Option<UsageBody>,
    x_groq: Option<GroqBody>,
    error: Option<ErrorBody>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice {
    message: Option<Spoken>,
    delta: Option<Spoken>,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spoken {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<Value>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroqBody {
    usage: Option<UsageBody>,
    error: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UsageBody {
    prompt_tokens: u32,
    completion_tokens: u32,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: u32,
}

impl UsageBody {
    fn usage(&self) -> TokenUsage {
        let cached = self.prompt_tokens_details.as_ref().map_or(0, |details| details.cached_tokens);
        let thinking = self.completion_tokens_details.as_ref().map_or(0, |details| details.reasoning_tokens);
        TokenUsage::openai_compatible(self.prompt_tokens, cached, self.completion_tokens, thinking)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    code: Option<Value>,
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct RefusalBody {
    error: ErrorBody,
}

impl ErrorBody {
    fn failure(&self, status: u16, retry_after: Option<Duration>) -> Failure {
        match self.code.as_ref().and_then(Value::as_str) {
            Some("invalid_api_key") => Failure::BadKey,
            Some("model_not_found" | "model_decommissioned") => Failure::Retired,
            Some("context_length_exceeded") => Failure::TooLarge,
            Some("json_validate_failed") => Failure::Diverted,
            Some("content_filter") => Failure::Blocked,
            _ => of_status(status, retry_after),
        }
    }

    /// What it means in a stream, where no status comes with it.
    fn in_stream(&self) -> Failure {
        match (self.code.as_ref().and_then(Value::as_u64), self.r#type.as_deref()) {
            (Some(code @ 400..=599), _) => self.failure(code as u16, None),
            (_, Some("rate_limit_exceeded" | "tokens" | "requests")) => Failure::RateLimited { retry_after: None },
            _ => self.failure(500, None),
        }
    }
}

impl Wire for OpenAi {
    fn key_header(&self) -> KeyHeader {
        KeyHeader::Bearer
    }

    fn path(&self, _: &str, _: Form) -> String {
        "/chat/completions".to_owned()
    }

    fn models_path(&self) -> &'static str {
        "/models"
    }

    fn body(&self, request: &ModelRequest<'_>, form: Form) -> Vec<u8> {
        let is_stream = form == Form::Stream;
        let body = RequestBody {
            model: request.model,
            messages: [
                Turn { role: "system", content: request.instructions.as_str() },
                Turn { role: "user", content: request.input.as_str() },
            ],
            max_completion_tokens: self.names_completion.then_some(request.output_tokens_max),
            max_tokens: (!self.names_completion).then_some(request.output_tokens_max),
            response_format: request.is_structured.then(response_format),
            reasoning_effort: request.thinking.map(ThinkingLevel::as_str),
            stream: is_stream,
            stream_options: is_stream.then_some(StreamOptions { include_usage: true }),
        };
        serde_json::to_vec(&body).expect("text and numbers are JSON")
    }

    fn refusal(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        match serde_json::from_slice(body) {
            Ok(RefusalBody { error }) => error.failure(status, retry_after),
            Err(_) => of_status(status, retry_after),
        }
    }

    fn gather(&self) -> Box<dyn Gather> {
        Box::new(Gathered::default())
    }
}

#[derive(Default)]
struct Gathered {
    is_stream: bool,
    is_done: bool,
    finish_reason: Option<String>,
    /// It said something that is no answer: a refusal, a tool call.
    strayed: Option<Failure>,
    usage: Option<TokenUsage>,
}

impl Gather for Gathered {
    fn take(&mut self, json: &str) -> Result<String, Failure> {
        if json.trim() == DONE {
            self.is_done = true;
            return Ok(String::new());
        }
        let body: CompletionBody = serde_json::from_str(json).map_err(|_| Failure::Malformed)?;
        if let Some(error) = body.error {
            return Err(error.in_stream());
        }
        let groq = body.x_groq.unwrap_or_default();
        if groq.error.is_some() {
            return Err(Failure::Down);
        }
        // The same figures may come twice: each replaces the one before.
        let counted = body.usage.or(groq.usage);
        self.usage = counted.map(|usage| usage.usage()).or(self.usage);
        let Some(choice) = body.choices.into_iter().next() else { return Ok(String::new()) };
        self.is_stream |= choice.delta.is_some();
        self.finish_reason = choice.finish_reason.or_else(|| self.finish_reason.take());
        let spoken = choice.message.or(choice.delta).unwrap_or_default();
        if spoken.refusal.is_some_and(|refusal| !refusal.is_empty()) {
            self.strayed = Some(Failure::Blocked);
        } else if spoken.tool_calls.is_some_and(|calls| !calls.is_empty()) {
            self.strayed = Some(Failure::Diverted);
        }
        Ok(spoken.content.unwrap_or_default())
    }

    fn end(&self) -> Result<End, Failure> {
        if self.is_stream && !self.is_done {
            return Err(Failure::Cut);
        }
        if let Some(strayed) = self.strayed {
            return Err(strayed);
        }
        match self.finish_reason.as_deref() {
            Some("stop") => Ok(End::Done),
            Some("length") => Ok(End::Truncated),
            Some("content_filter") => Err(Failure::Blocked),
            Some(_) => Err(Failure::Diverted),
            None => Err(Failure::Cut),
        }
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage
    }
}
