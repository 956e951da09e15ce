//! Gemini's `generateContent` and `streamGenerateContent?alt=sse`, version v1beta. Every event of a stream is a whole
//! `GenerateContentResponse`; there is no end marker but the last candidate's `finishReason`.

use super::{End, Gather, Wire, google_duration};
use crate::http::KeyHeader;
use crate::outcome::{Failure, of_status};
use crate::provider::{Form, ModelRequest};
use domain::spending::{ThinkingLevel, TokenUsage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The format.
pub(crate) struct Gemini;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestBody<'a> {
    system_instruction: Content<'a>,
    contents: [Content<'a>; 1],
    generation_config: GenerationConfig,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: [TextPart<'a>; 1],
}

#[derive(Serialize)]
struct TextPart<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    max_output_tokens: u32,
    response_mime_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    thinking_level: &'static str,
}

/// Gemini writes levels in capitals.
const fn spelt(level: ThinkingLevel) -> &'static str {
    match level {
        ThinkingLevel::Minimal => "MINIMAL",
        ThinkingLevel::Low => "LOW",
        ThinkingLevel::Medium => "MEDIUM",
        ThinkingLevel::High => "HIGH",
    }
}

/// The answer's shape in Gemini's dialect.
fn schema() -> Value {
    json!({
        "type": "OBJECT",
        "properties": { "sentences": { "type": "ARRAY", "items": {
            "type": "OBJECT",
            "properties": {
                "text": { "type": "STRING" },
                "passages": { "type": "ARRAY", "items": { "type": "INTEGER" } },
            },
            "required": ["text", "passages"],
            "propertyOrdering": ["text", "passages"],
        } } },
        "required": ["sentences"],
    })
}

/// A response, and every event of a stream. What is not read here is left out.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ResponseBody {
    candidates: Vec<Candidate>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<UsageMetadata>,
    error: Option<ErrorBody>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Candidate {
    content: Option<CandidateContent>,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CandidateContent {
    parts: Vec<Part>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    text: Option<String>,
    thought: bool,
    function_call: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the provider's names")]
struct UsageMetadata {
    prompt_token_count: u32,
    cached_content_token_count: u32,
    candidates_token_count: u32,
    thoughts_token_count: u32,
    tool_use_prompt_token_count: u32,
}

impl UsageMetadata {
    const fn usage(&self) -> TokenUsage {
        TokenUsage::gemini(
            self.prompt_token_count,
            self.cached_content_token_count,
            self.tool_use_prompt_token_count,
            self.candidates_token_count,
            self.thoughts_token_count,
        )
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    code: u16,
    status: String,
    message: String,
    details: Vec<ErrorDetail>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ErrorDetail {
    reason: Option<String>,
    retry_delay: Option<String>,
}

/// `{"error": ...}`, which some paths wrap in a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Refusal {
    Plain { error: ErrorBody },
    Listed(Vec<ListedRefusal>),
}

#[derive(Deserialize)]
struct ListedRefusal {
    error: ErrorBody,
}

impl ErrorBody {
    fn failure(&self, status: u16, retry_after: Option<Duration>) -> Failure {
        let has_reason = |reason: &str| self.details.iter().any(|detail| detail.reason.as_deref() == Some(reason));
        let delay = || self.details.iter().find_map(|detail| google_duration(detail.retry_delay.as_deref()?));
        // A bad key comes as 400. The reason says so; where it is missing, the message does.
        let is_key = ["API_KEY_INVALID", "API_KEY_EXPIRED"].into_iter().any(has_reason) || self.message.contains("API key");
        match (status, self.status.as_str()) {
            (400, "FAILED_PRECONDITION") => Failure::Forbidden,
            (400 | 403, _) if is_key => Failure::BadKey,
            (400, _) if self.message.contains("token count") => Failure::TooLarge,
            _ => of_status(status, retry_after.or_else(delay)),
        }
    }
}

impl Wire for Gemini {
    fn key_header(&self) -> KeyHeader {
        KeyHeader::Named("x-goog-api-key")
    }

    fn path(&self, model: &str, form: Form) -> String {
        match form {
            Form::Whole => format!("/v1beta/models/{model}:generateContent"),
            Form::Stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        }
    }

    fn models_path(&self) -> &'static str {
        "/v1beta/models"
    }

    fn body(&self, request: &ModelRequest<'_>, _: Form) -> Vec<u8> {
        let content = |role, text| Content { role, parts: [TextPart { text }] };
        let body = RequestBody {
            system_instruction: content(None, request.instructions.as_str()),
            contents: [content(Some("user"), request.input.as_str())],
            generation_config: GenerationConfig {
                max_output_tokens: request.output_tokens_max,
                response_mime_type: "application/json",
                response_schema: request.is_structured.then(schema),
                thinking_config: request.thinking.map(|level| ThinkingConfig { thinking_level: spelt(level) }),
            },
        };
        serde_json::to_vec(&body).expect("text and numbers are JSON")
    }

    fn refusal(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        match serde_json::from_slice(body) {
            Ok(Refusal::Plain { error }) => error.failure(status, retry_after),
            Ok(Refusal::Listed(listed)) => {
                listed.first().map_or_else(|| of_status(status, retry_after), |first| first.error.failure(status, retry_after))
            }
            Err(_) => of_status(status, retry_after),
        }
    }

    fn gather(&self) -> Box<dyn Gather> {
        Box::new(Gathered::default())
    }
}

#[derive(Default)]
struct Gathered {
    finish_reason: Option<String>,
    is_blocked: bool,
    calls_tool: bool,
    usage: Option<TokenUsage>,
}

impl Gather for Gathered {
    fn take(&mut self, json: &str) -> Result<String, Failure> {
        let body: ResponseBody = serde_json::from_str(json).map_err(|_| Failure::Malformed)?;
        if let Some(error) = body.error {
            return Err(error.failure(error.code, None));
        }
        // Each count replaces the one before: the last is the whole.
        self.usage = body.usage_metadata.map(|metadata| metadata.usage()).or(self.usage);
        self.is_blocked |= body.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        // One candidate is asked for.
        let Some(candidate) = body.candidates.into_iter().next() else { return Ok(String::new()) };
        self.finish_reason = candidate.finish_reason.or_else(|| self.finish_reason.take());
        let parts = candidate.content.unwrap_or_default().parts;
        self.calls_tool |= parts.iter().any(|part| part.function_call.is_some());
        Ok(parts.into_iter().filter(|part| !part.thought).filter_map(|part| part.text).collect())
    }

    fn end(&self) -> Result<End, Failure> {
        match self.finish_reason.as_deref() {
            _ if self.is_blocked => Err(Failure::Blocked),
            _ if self.calls_tool => Err(Failure::Diverted),
            Some("STOP") => Ok(End::Done),
            Some("MAX_TOKENS") => Ok(End::Truncated),
            Some("SAFETY" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY") => Err(Failure::Blocked),
            // RECITATION, LANGUAGE, MALFORMED_FUNCTION_CALL, OTHER, and what will be invented.
            Some(_) => Err(Failure::Diverted),
            None => Err(Failure::Cut),
        }
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage
    }
}
