//! The port to a provider: what is sent, in which form, and what comes back. A message is made of our own words and of
//! [`SafeText`], nothing else goes in (invariant I3); a call uses a reservation's permit up (invariant I8).

use crate::http::Patience;
use crate::outcome::CallError;
use async_trait::async_trait;
use deid::SafeText;
use domain::keys::ApiKey;
use domain::spending::{CallPermit, ThinkingLevel, TokenUsage, prompt_tokens_at_most};
use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Text on its way to a provider: our own words, numbers, and what the de-identifier let through.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    /// Adds words of ours: only what is written in this program.
    pub fn ours(&mut self, words: &'static str) -> &mut Self {
        self.0.push_str(words);
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: usize) -> &mut Self {
        let _ = write!(self.0, "{number}");
        self
    }

    /// Adds safe text as it is.
    pub fn safe(&mut self, text: &SafeText) -> &mut Self {
        self.0.push_str(text.as_str());
        self
    }

    /// Adds safe text line by line, each behind its number, so that no line of it can pass for one of ours.
    pub fn quoted(&mut self, number: usize, text: &SafeText) -> &mut Self {
        // Everything that a model may take for the end of a line.
        for line in text.as_str().split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
            if !line.trim().is_empty() {
                let _ = writeln!(self.0, "{number}| {line}");
            }
        }
        self
    }

    /// What is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({} bytes)", self.0.len())
    }
}

/// What a model is asked.
#[derive(Debug)]
pub struct ModelRequest<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    /// What it is to do.
    pub instructions: &'a Message,
    /// What with.
    pub input: &'a Message,
    /// The most that it may write, thinking included where the provider counts it so.
    pub output_tokens_max: u32,
    /// How much it may think, as the catalogue allows for this model.
    pub thinking: Option<ThinkingLevel>,
    /// Whether it can be held to a JSON schema. One that cannot has the words of the instructions alone.
    pub is_structured: bool,
}

/// Instructions and input.
const MESSAGES: usize = 2;

/// Whether the answer comes at once or in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// One body.
    Whole,
    /// Server-sent events.
    Stream,
}

/// A request as it will be sent: the very bytes, so that what is reserved, recorded and sent is one thing.
#[derive(Clone)]
pub struct Sealed {
    model: String,
    pub(crate) path: String,
    pub(crate) body: Bytes,
    form: Form,
    output_tokens_max: u32,
}

impl Sealed {
    /// Seals a request's body.
    pub fn new(request: &ModelRequest<'_>, path: String, body: Bytes, form: Form) -> Self {
        Self { model: request.model.to_owned(), path, body, form, output_tokens_max: request.output_tokens_max }
    }

    /// The model that it is for.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// How the answer comes.
    pub const fn form(&self) -> Form {
        self.form
    }

    /// Whether a permit pays for it.
    pub fn is_covered_by(&self, permit: &CallPermit) -> bool {
        permit.covers(&self.model, (self.tokens_max(), self.output_tokens_max))
    }

    /// SHA-256 of the bytes: the egress ledger's word for them.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// More tokens than this cannot be in it.
    pub fn tokens_max(&self) -> u32 {
        prompt_tokens_at_most(self.body.len(), MESSAGES)
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.body.len())
    }
}

/// A whole answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// What the model wrote.
    pub text: String,
    /// What the provider counted; unknown if it did not say.
    pub usage: Option<TokenUsage>,
    /// It stopped because it might not write more.
    pub is_truncated: bool,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({} bytes, {:?})", self.text.len(), self.usage)
    }
}

/// Takes the pieces of a streamed answer as they come.
pub type Pieces<'a> = &'a mut (dyn FnMut(&str) + Send);

/// Speaks to somebody who runs language models.
#[async_trait]
pub trait ProviderClient: Send + Sync {
    /// Writes the request down in the provider's format.
    fn seal(&self, request: &ModelRequest<'_>, form: Form) -> Sealed;

    /// Sends it once and waits for the end. Pieces are handed on as they come, if it was sealed as a stream; dropping the
    /// future hangs up.
    async fn call(
        &self,
        sealed: &Sealed,
        key: Option<&ApiKey>,
        permit: CallPermit,
        patience: Patience,
        pieces: Pieces<'_>,
    ) -> Result<Reply, CallError>;
}
