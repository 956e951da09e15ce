//! An answer to `{answer: [{text, support, citations}], refused, refusal?, notice?, conversation_id, model, usage, trace_id}`.

use domain::chat::scope::OutOfScope;
use domain::chat::support::{Support, Unsupported};
use domain::chat::{Answer, Citation};
use serde::Serialize;

/// Wire form of an answer.
#[derive(Serialize)]
pub struct AnswerBody<'a> {
    answer: Vec<SentenceBody<'a>>,
    usage: UsageBody,
    #[serde(flatten)]
    end: EndBody<'a>,
}

/// What is known of an answer at its end.
#[derive(Serialize)]
pub struct EndBody<'a> {
    refused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalBody<'a>>,
    /// What the question asks for that documents cannot give; the passages are shown all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<NoticeBody>,
    /// Documents that could not be read while searching; the answer is from the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable_documents: Vec<&'a str>,
    conversation_id: &'a str,
    model: &'a str,
    /// The model stopped before its end: what is there is proven, and something may be missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    trace_id: &'a str,
}

#[derive(Serialize)]
struct SentenceBody<'a> {
    text: &'a str,
    support: SupportBody,
    citations: Vec<CitationBody<'a>>,
}

/// Wire form of a citation.
#[derive(Serialize)]
pub struct CitationBody<'a> {
    document_id: &'a str,
    version: &'a str,
    title: &'a str,
    section: &'a [String],
    page: u32,
    /// First character on the page, in code points.
    start: usize,
    /// One past the last.
    end: usize,
    quote: &'a str,
    content_hash: &'a str,
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    reason: &'static str,
    message: &'static str,
    nearest: Vec<CitationBody<'a>>,
}

/// `quoted` word for word, `reworded` with every claim found, or `unsupported` with what was not found.
#[derive(Serialize)]
pub struct SupportBody {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl From<Result<Support, Unsupported>> for SupportBody {
    fn from(support: Result<Support, Unsupported>) -> Self {
        match support {
            Ok(Support::Quoted) => Self { verdict: "quoted", reason: None },
            Ok(Support::Reworded) => Self { verdict: "reworded", reason: None },
            Err(unsupported) => Self { verdict: "unsupported", reason: Some(unsupported.as_str()) },
        }
    }
}

/// What the question asks for that documents cannot give.
#[derive(Serialize)]
pub struct NoticeBody {
    reason: &'static str,
    message: &'static str,
}

impl From<OutOfScope> for NoticeBody {
    fn from(notice: OutOfScope) -> Self {
        Self { reason: notice.as_str(), message: notice.message() }
    }
}

/// What an answer used.
#[derive(Serialize)]
pub struct UsageBody {
    passages: usize,
    /// Sentences that a model proposed and that their citations do not support.
    unsupported_sentences: usize,
    input_tokens: u32,
    output_tokens: u32,
}

impl<'a> From<&'a Citation> for CitationBody<'a> {
    fn from(citation: &'a Citation) -> Self {
        Self {
            document_id: citation.document_id.as_str(),
            version: &citation.version,
            title: &citation.title,
            section: &citation.section,
            page: citation.span.page,
            start: citation.span.start,
            end: citation.span.end,
            quote: &citation.quote,
            content_hash: &citation.content_hash,
        }
    }
}

impl From<&Answer> for UsageBody {
    fn from(answer: &Answer) -> Self {
        Self {
            passages: answer.passages,
            unsupported_sentences: answer.unsupported,
            input_tokens: answer.usage.sent(),
            output_tokens: answer.usage.received(),
        }
    }
}

impl<'a> EndBody<'a> {
    /// The end of an answer.
    pub fn new(answer: &'a Answer, trace_id: &'a str) -> Self {
        Self {
            refused: answer.refusal.is_some(),
            refusal: answer.refusal.map(|refusal| RefusalBody {
                reason: refusal.as_str(),
                message: refusal.message(),
                nearest: answer.nearest.iter().map(CitationBody::from).collect(),
            }),
            notice: answer.notice.map(NoticeBody::from),
            unreadable_documents: answer.unreadable.iter().map(domain::ids::DocumentId::as_str).collect(),
            conversation_id: answer.conversation.as_str(),
            model: &answer.model,
            truncated: answer.is_truncated,
            trace_id,
        }
    }
}

impl<'a> AnswerBody<'a> {
    /// The wire form of an answer.
    pub fn new(answer: &'a Answer, trace_id: &'a str) -> Self {
        let sentence = |s: &'a domain::chat::Sentence| SentenceBody {
            text: &s.text,
            support: s.support.into(),
            citations: s.citations.iter().map(CitationBody::from).collect(),
        };
        Self {
            answer: answer.sentences.iter().map(sentence).collect(),
            usage: answer.into(),
            end: EndBody::new(answer, trace_id),
        }
    }
}
