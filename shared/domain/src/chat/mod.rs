//! A question, its answer, and the port to whatever writes the answer.

mod answer_question;
pub mod conversation;
mod deliver;
pub mod extractive;
mod prove;
mod quote;
pub mod scope;
pub mod sections;
pub mod support;

pub use answer_question::{AnswerQuestion, AnswerQuestionError, Opened, PASSAGES};
pub use deliver::{Listener, Step};

use crate::context::Context;
use crate::documents::chunks::Span;
use crate::fault::PortError;
use crate::ids::{ConversationId, DocumentId};
use crate::phi::IdentifierKind;
use crate::retrieval::{Embedding, Filter, Passage, TermWeight};
pub use crate::spending::TokenUsage;
use async_trait::async_trait;
use conversation::{Background, PersonName, PseudonymMap};
use scope::OutOfScope;
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use support::{Support, Unsupported};

/// The longest question in characters. Staff paste paragraphs, not documents; the embedder reads the first 250 words.
pub const QUESTION_CHARS_MAX: usize = 4_000;

/// Why a text is not a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseQuestionError {
    /// Nothing in it.
    #[error("the question is empty")]
    Empty,
    /// Too much in it.
    #[error("the question is over {QUESTION_CHARS_MAX} characters")]
    TooLong,
    /// Something in it that no keyboard makes.
    #[error("the question has control characters")]
    Control,
}

/// A question that can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The words.
    text: String,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Whether that is one that the caller has named; else it begins with this question.
    pub continues: bool,
    /// Where to look.
    pub filter: Filter,
    /// Names of whoever asks.
    pub people: Vec<PersonName>,
}

impl Question {
    /// Checks a question's text.
    pub fn new(text: &str, conversation: ConversationId, filter: Filter) -> Result<Self, ParseQuestionError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParseQuestionError::Empty);
        }
        if text.chars().count() > QUESTION_CHARS_MAX {
            return Err(ParseQuestionError::TooLong);
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(ParseQuestionError::Control);
        }
        Ok(Self { text: text.to_owned(), conversation, continues: false, filter, people: Vec::new() })
    }

    /// Goes on with a conversation instead of beginning one.
    #[must_use]
    pub fn continuing(self) -> Self {
        Self { continues: true, ..self }
    }

    /// Says who asks.
    #[must_use]
    pub fn asked_by(self, people: Vec<PersonName>) -> Self {
        Self { people, ..self }
    }

    /// The words.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What a model is given. It stays inside the account: an adapter that sends it anywhere else takes a type that only the
/// de-identifier can make (invariant I3).
#[derive(Debug)]
pub struct Prompt<'a> {
    /// For whom: who pays, and whose walls hold.
    pub context: &'a Context,
    /// The conversation that the question belongs to.
    pub conversation: &'a ConversationId,
    /// The question's words.
    pub question: &'a str,
    /// The question's place in meaning space.
    pub embedding: &'a Embedding,
    /// What was found, best first.
    pub passages: &'a [Passage],
    /// The question's terms and their weights.
    pub terms: &'a [TermWeight],
    /// What the conversation brings.
    pub background: &'a Background,
    /// What is to be done.
    pub task: Task<'a>,
}

/// What a model is asked to do.
#[derive(Debug, Clone, Copy)]
pub enum Task<'a> {
    /// Answer the question from the passages.
    Answer,
    /// Say the question again so that it can be understood without these earlier ones, oldest first. The one sentence of the
    /// completion is the question; none is there if the model cannot.
    StandAlone(&'a [&'a str]),
}

/// A sentence that a model proposes, and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct DraftSentence {
    /// The sentence.
    pub text: String,
    /// Which passage supports it: its place in [`Prompt::passages`], and the range of its text in code points.
    pub supports: Vec<(usize, Range<usize>)>,
}

/// What a model answers. No sentences means that it found no support.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Completion {
    /// In reading order.
    pub sentences: Vec<DraftSentence>,
    /// What the call used.
    pub usage: TokenUsage,
    /// Who wrote it, if that is not the model that was asked.
    pub model: Option<String>,
    /// It stopped before its end: what is there is right, and something may be missing.
    pub is_truncated: bool,
    /// Kinds of identifiers in the question that may not leave, and how many; then nobody was asked.
    pub blocked: BTreeMap<IdentifierKind, u32>,
    /// Passages that were not shown to the model, because they hold such kinds.
    pub withheld: usize,
    /// The placeholders of the conversation, if some were needed.
    pub pseudonyms: Option<PseudonymMap>,
}

/// Takes the sentences of an answer as they come; answers whether one went out to the person. From then on nobody else may be
/// asked: what was said is not said again in other words.
pub type Sentences<'a> = &'a mut (dyn FnMut(&DraftSentence) -> bool + Send);
/// Ends when the person has hung up.
pub type Gone<'a> = &'a mut (dyn Future<Output = ()> + Send + Unpin);

/// Writes answers from passages. Those inside the process know one task, [`Task::Answer`].
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// The model's name, shown in the answer.
    fn name(&self) -> &str;

    /// Proposes an answer.
    async fn complete(&self, prompt: &Prompt<'_>) -> Result<Completion, PortError>;

    /// Proposes an answer sentence by sentence, each as soon as it is written. When `gone` ends, so does the work; what was used
    /// is booked. A model that has everything at once says it at once.
    async fn stream(&self, prompt: &Prompt<'_>, sentences: Sentences<'_>, _gone: Gone<'_>) -> Result<Completion, PortError> {
        let completion = self.complete(prompt).await?;
        for sentence in &completion.sentences {
            sentences(sentence);
        }
        Ok(completion)
    }

    /// Whether it is shown whole sections around the passages found, and not only these.
    fn reads_sections(&self) -> bool {
        false
    }

    /// Says a follow-up so that it stands alone; nothing if this model does not do that, or cannot.
    async fn stand_alone(&self, _prompt: &Prompt<'_>) -> Result<Option<Completion>, PortError> {
        Ok(None)
    }
}

/// Where a sentence is proven. Made from our own passages, never from a model's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation {
    /// The document.
    pub document_id: DocumentId,
    /// Its title.
    pub title: String,
    /// Which version of it.
    pub version: String,
    /// The headings above the place, outermost first.
    pub section: Vec<String>,
    /// The page and the range of its text, in code points.
    pub span: Span,
    /// The words there.
    pub quote: String,
    /// SHA-256 of the chunk that the words are from.
    pub content_hash: String,
}

/// A sentence of the answer and its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentence {
    /// The sentence.
    pub text: String,
    /// At least one.
    pub citations: Vec<Citation>,
    /// What the support check found. An error only under [`SupportPolicy::Mark`].
    pub support: Result<Support, Unsupported>,
}

/// What happens to a sentence that its citations do not support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SupportPolicy {
    /// It does not leave.
    #[default]
    Drop,
    /// It leaves with a mark that says so, beside sentences that are supported; never alone.
    Mark,
}

/// The name of no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a support policy is drop or mark")]
pub struct ParseSupportPolicyError;

impl SupportPolicy {
    /// Reads a setting.
    pub fn parse(text: &str) -> Result<Self, ParseSupportPolicyError> {
        match text {
            "drop" => Ok(Self::Drop),
            "mark" => Ok(Self::Mark),
            _ => Err(ParseSupportPolicyError),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The caller has no documents to search.
    NoDocuments,
    /// There are documents, but none can be searched now: they wait to be indexed anew, or are damaged.
    NotReady,
    /// The question's filter leaves none of them.
    NoMatch,
    /// The question has no word that says what it is about.
    NoTerms,
    /// The documents do not say.
    NoSupport,
    /// The question holds identifiers of a kind that may not leave.
    PhiBlocked,
}

impl Refusal {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoDocuments => "no_documents",
            Self::NotReady => "not_ready",
            Self::NoMatch => "no_match",
            Self::NoTerms => "no_terms",
            Self::NoSupport => "no_support",
            Self::PhiBlocked => "phi_blocked",
        }
    }

    /// One sentence for a person.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoDocuments => "There are no documents to answer from. Upload some first.",
            Self::NotReady => "The documents cannot be searched right now. Ask again later; if this stays, tell the operators.",
            Self::NoMatch => "No document matches the filter. Widen it, or ask without one.",
            Self::NoTerms => "The question does not say what it is about. Name the subject, such as a drug, a form or a ward.",
            Self::NoSupport => "The documents do not answer this. The nearest passages are shown; they may still help.",
            Self::PhiBlocked => {
                "The question holds details of a person that may not leave this system. Ask again without names and numbers."
            }
        }
    }
}

/// The reply to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The sentences; empty if refused.
    pub sentences: Vec<Sentence>,
    /// Why it was refused, if it was.
    pub refusal: Option<Refusal>,
    /// What the question asks for that documents cannot give.
    pub notice: Option<OutOfScope>,
    /// Sentences that a model proposed and the support check kept back.
    pub unsupported: usize,
    /// The nearest passages of a refusal.
    pub nearest: Vec<Citation>,
    /// The conversation.
    pub conversation: ConversationId,
    /// The question as it was understood, if it leaned on an earlier one.
    pub understood: Option<String>,
    /// The conversation could not be kept: the next question cannot go on from this one.
    pub is_forgotten: bool,
    /// Which model wrote it.
    pub model: String,
    /// What it used.
    pub usage: TokenUsage,
    /// The model stopped before its end: something may be missing.
    pub is_truncated: bool,
    /// Kinds of identifiers that kept the question in, and how many.
    pub blocked: BTreeMap<IdentifierKind, u32>,
    /// Passages that no model was shown, because they hold kinds that may not leave.
    pub withheld: usize,
    /// How many passages were looked at.
    pub passages: usize,
    /// Documents that could not be read while searching.
    pub unreadable: Vec<DocumentId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_bounded() {
        let conversation = ConversationId::new(ulid::Ulid::from_parts(1, 1));
        let ask = |text: &str| Question::new(text, conversation.clone(), Filter::default()).map(|q| q.text().to_owned());
        assert_eq!(ask("  what dose?\n"), Ok("what dose?".to_owned()));
        assert_eq!(ask(" \n "), Err(ParseQuestionError::Empty));
        assert_eq!(ask(&"é".repeat(4_000)).map(|q| q.len()), Ok(8_000));
        assert_eq!(ask(&"é".repeat(4_001)), Err(ParseQuestionError::TooLong));
        assert_eq!(ask("a\u{0}b"), Err(ParseQuestionError::Control));
    }
}
