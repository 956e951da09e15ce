//! The providers' answers to the byte: heads as their servers send them, Gemini's pretty-printed JSON and CR LF events without
//! an end marker, Groq's compact chunks that end with `[DONE]`.

use super::Fault;
use serde_json::{Value, json};

/// What the double counts for every answer: sent, of it cached, written, thought.
pub const USAGE: [u32; 4] = [1_200, 200, 90, 30];

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `generateContent`.
    Gemini,
    /// `chat/completions`.
    OpenAi,
}

impl Format {
    /// The format of a request's target.
    pub fn of(target: &str) -> Option<Self> {
        if target.starts_with("/v1beta/models/") && target.contains(':') {
            Some(Self::Gemini)
        } else if target.ends_with("/chat/completions") {
            Some(Self::OpenAi)
        } else {
            None
        }
    }

    /// The name by which it is told what to do.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::OpenAi => "openai",
        }
    }

    /// Whether this request asks for a stream.
    pub fn is_stream(self, target: &str, body: &Value) -> bool {
        match self {
            Self::Gemini => target.contains(":streamGenerateContent") && target.contains("alt=sse"),
            Self::OpenAi => body["stream"] == true,
        }
    }

    /// Instructions and input of a request.
    pub fn prompt(self, body: &Value) -> Option<(String, String)> {
        let (instructions, input) = match self {
            Self::Gemini => (&body["systemInstruction"]["parts"][0]["text"], &body["contents"][0]["parts"][0]["text"]),
            Self::OpenAi => (&body["messages"][0]["content"], &body["messages"][1]["content"]),
        };
        Some((instructions.as_str()?.to_owned(), input.as_str()?.to_owned()))
    }

    /// The key of a request.
    pub fn key(self, head: &str) -> Option<String> {
        let name = match self {
            Self::Gemini => "x-goog-api-key: ",
            Self::OpenAi => "authorization: ",
        };
        let line = head.lines().find(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))?;
        Some(line[name.len()..].trim_start_matches("Bearer ").to_owned())
    }

    /// The head of an answer, but for how its length is told.
    pub fn head(self, status: u16, is_stream: bool) -> String {
        let media_type = match (self, is_stream) {
            (_, true) => "text/event-stream",
            (Self::Gemini, false) => "application/json; charset=UTF-8",
            (Self::OpenAi, false) => "application/json",
        };
        let own = match self {
            Self::Gemini => "Vary: Origin\r\nVary: X-Origin\r\nServer: scaffolding on HTTPServer2\r\n",
            Self::OpenAi => {
                "x-ratelimit-limit-requests: 14400\r\nx-ratelimit-limit-tokens: 18000\r\nx-ratelimit-remaining-requests: 14370\r\n\
                 x-ratelimit-remaining-tokens: 17997\r\nx-ratelimit-reset-requests: 2m59.56s\r\nx-ratelimit-reset-tokens: 7.66ms\r\n"
            }
        };
        format!("HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\n{own}")
    }

    /// An error body as this provider writes it.
    pub fn error(self, code: u16, kind: &str, message: &str) -> String {
        match self {
            Self::Gemini => {
                let mut error = json!({ "code": code, "message": message, "status": kind });
                if kind == "INVALID_ARGUMENT" && message.starts_with("API key") {
                    error["details"] = json!([{
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "API_KEY_INVALID",
                        "domain": "googleapis.com",
                        "metadata": { "service": "generativelanguage.googleapis.com" },
                    }]);
                }
                // The streaming path wraps it in a list, the plain one does not.
                format!("{:#}", json!({ "error": error }))
            }
            Self::OpenAi => json!({ "error": { "message": message, "type": "invalid_request_error", "code": kind } }).to_string(),
        }
    }

    /// What the key is refused with.
    pub fn bad_key(self) -> (u16, String) {
        match self {
            Self::Gemini => (400, self.error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")),
            Self::OpenAi => (401, self.error(401, "invalid_api_key", "Invalid API Key")),
        }
    }

    /// What a model that is gone is refused with.
    pub fn retired(self) -> (u16, String) {
        match self {
            Self::Gemini => (404, self.error(404, "NOT_FOUND", "models/x is not found for API version v1beta.")),
            Self::OpenAi => (400, self.error(400, "model_decommissioned", "The model has been decommissioned.")),
        }
    }

    /// What stands in the finish reason.
    fn reason(self, fault: Option<Fault>) -> Option<&'static str> {
        let (gemini, openai) = match fault {
            Some(Fault::MissingEnd) => return None,
            Some(Fault::Truncated) => ("MAX_TOKENS", "length"),
            Some(Fault::SafetyStop) => ("SAFETY", "content_filter"),
            Some(Fault::OddStop) => ("RECITATION", "eos"),
            Some(Fault::ToolCall) => ("STOP", "tool_calls"),
            _ => ("STOP", "stop"),
        };
        Some(if self == Self::Gemini { gemini } else { openai })
    }

    fn usage(self) -> Value {
        let [sent, cached, written, thought] = USAGE;
        match self {
            Self::Gemini => json!({
                "promptTokenCount": sent,
                "cachedContentTokenCount": cached,
                "candidatesTokenCount": written,
                "thoughtsTokenCount": thought,
                "totalTokenCount": sent + written + thought,
                "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": sent }],
            }),
            // Groq counts what was thought among what was written.
            Self::OpenAi => json!({
                "queue_time": 0.018, "prompt_tokens": sent, "prompt_time": 0.06, "completion_tokens": written + thought,
                "completion_time": 0.2, "total_tokens": sent + written + thought, "total_time": 0.27,
                "prompt_tokens_details": { "cached_tokens": cached },
                "completion_tokens_details": { "reasoning_tokens": thought },
            }),
        }
    }

    /// A whole answer.
    pub fn whole(self, text: &str, fault: Option<Fault>) -> String {
        let reason = self.reason(fault);
        match self {
            Self::Gemini => {
                let part = if fault == Some(Fault::ToolCall) {
                    json!({ "functionCall": { "name": "x", "args": {} } })
                } else {
                    json!({ "text": text })
                };
                let thought = json!({ "text": "Let me see what the passages say.", "thought": true });
                let mut body = json!({
                    "candidates": [{ "content": { "parts": [thought, part], "role": "model" }, "finishReason": reason, "index": 0 }],
                    "usageMetadata": self.usage(),
                    "modelVersion": "gemini-3.8-flash",
                    "responseId": "kd2vaK3xN8yUxN8P3uGRgQY",
                });
                if fault == Some(Fault::PromptBlocked) {
                    body = json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" }, "usageMetadata": { "promptTokenCount": 1_200, "totalTokenCount": 1_200 } });
                }
                if fault == Some(Fault::NoUsage) {
                    body["usageMetadata"].take();
                }
                format!("{body:#}\n")
            }
            Self::OpenAi => {
                let mut spoken =
                    json!({ "role": "assistant", "content": text, "reasoning": "Let me see what the passages say." });
                if fault == Some(Fault::ToolCall) {
                    spoken = json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "x", "type": "function", "function": { "name": "x", "arguments": "{}" } }] });
                }
                if fault == Some(Fault::PromptBlocked) {
                    spoken = json!({ "role": "assistant", "content": null, "refusal": "I cannot help with that." });
                }
                let mut body = json!({
                    "id": "chatcmpl-4b1e2c", "object": "chat.completion", "created": 1_795_000_000, "model": "openai/gpt-oss-120b",
                    "choices": [{ "index": 0, "message": spoken, "logprobs": null, "finish_reason": reason }],
                    "usage": self.usage(), "system_fingerprint": "fp_e10", "x_groq": { "id": "req_01k" },
                });
                if fault == Some(Fault::NoUsage) {
                    body["usage"].take();
                }
                body.to_string()
            }
        }
    }

    /// The events of a streamed answer, without line ends.
    pub fn events(self, text: &str, fault: Option<Fault>) -> Vec<String> {
        let pieces = pieces(text);
        let mut events: Vec<String> = Vec::new();
        match self {
            Self::Gemini => {
                let event = |parts: Value, reason: Option<&str>, usage: Value| {
                    let mut body = json!({
                        "candidates": [{ "content": { "parts": parts, "role": "model" }, "index": 0 }],
                        "usageMetadata": usage, "modelVersion": "gemini-3.8-flash", "responseId": "kd2vaK3xN8yUxN8P3uGRgQY",
                    });
                    if let Some(reason) = reason {
                        body["candidates"][0]["finishReason"] = reason.into();
                    }
                    body.to_string()
                };
                // Every event counts what was written so far.
                let running = json!({ "promptTokenCount": USAGE[0], "totalTokenCount": USAGE[0] });
                events.push(event(json!([{ "text": "Let me see.", "thought": true }]), None, running.clone()));
                if fault == Some(Fault::PromptBlocked) {
                    return vec![
                        json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" }, "usageMetadata": running })
                            .to_string(),
                    ];
                }
                if fault == Some(Fault::ToolCall) {
                    events.push(event(json!([{ "functionCall": { "name": "x", "args": {} } }]), None, running.clone()));
                }
                events.extend(pieces.iter().map(|piece| event(json!([{ "text": piece }]), None, running.clone())));
                let usage = if fault == Some(Fault::NoUsage) { Value::Null } else { self.usage() };
                if let Some(reason) = self.reason(fault) {
                    events.push(event(json!([{ "text": "" }]), Some(reason), usage));
                }
                if fault == Some(Fault::NoUsage) {
                    events = events.into_iter().map(|event| event.replace("\"usageMetadata\":{", "\"other\":{")).collect();
                }
                if fault == Some(Fault::DuplicateUsage) {
                    events.extend(events.last().cloned());
                }
            }
            Self::OpenAi => {
                let chunk = |delta: Value, reason: Option<&str>| {
                    json!({
                        "id": "chatcmpl-4b1e2c", "object": "chat.completion.chunk", "created": 1_795_000_000, "model": "openai/gpt-oss-120b",
                        "system_fingerprint": "fp_e10", "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }],
                    })
                };
                let mut first = chunk(json!({ "role": "assistant", "content": "" }), None);
                first["x_groq"] = json!({ "id": "req_01k" });
                events.push(first.to_string());
                if fault == Some(Fault::PromptBlocked) {
                    events.push(chunk(json!({ "refusal": "I cannot help with that." }), None).to_string());
                } else if fault == Some(Fault::ToolCall) {
                    events.push(chunk(json!({ "tool_calls": [{ "index": 0, "function": { "name": "x" } }] }), None).to_string());
                } else {
                    events.extend(pieces.iter().map(|piece| chunk(json!({ "content": piece }), None).to_string()));
                }
                let Some(reason) = self.reason(fault) else { return events };
                let mut last = chunk(json!({}), Some(reason));
                if fault != Some(Fault::NoUsage) {
                    last["x_groq"] = json!({ "id": "req_01k", "usage": self.usage() });
                }
                events.push(last.to_string());
                let times = match fault {
                    Some(Fault::NoUsage) => 0,
                    Some(Fault::DuplicateUsage) => 2,
                    _ => 1,
                };
                let counted =
                    json!({ "id": "chatcmpl-4b1e2c", "object": "chat.completion.chunk", "choices": [], "usage": self.usage() });
                events.extend(std::iter::repeat_n(counted.to_string(), times));
                events.push("[DONE]".to_owned());
            }
        }
        events
    }

    /// An error in the middle of a stream that began well.
    pub fn error_event(self) -> String {
        match self {
            Self::Gemini => {
                json!({ "error": { "code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE" } }).to_string()
            }
            Self::OpenAi => {
                json!({ "id": "chatcmpl-4b1e2c", "choices": [], "x_groq": { "id": "req_01k", "error": "over capacity" } })
                    .to_string()
            }
        }
    }

    /// What an event's lines end in.
    pub const fn line_end(self) -> &'static str {
        match self {
            Self::Gemini => "\r\n",
            Self::OpenAi => "\n",
        }
    }
}

/// A text in pieces of a few characters, as tokens come.
fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(7).map(|piece| piece.iter().collect()).collect()
}
