//! From a draft to a sentence with its proof: the citations are made from our own passages, and the support check has the
//! last word on the text.

use super::support::SupportChecker;
use super::{Citation, DraftSentence, Sentence};
use crate::documents::chunks::Span;
use crate::retrieval::{Embedder, Passage};
use crate::text;
use std::ops::Range;

/// Letters of a nearest passage that are shown.
const NEAREST_CHARS: usize = 240;

/// A draft with its citations and what the check says of it; nothing if what it points at is not there.
pub(super) fn prove(
    draft: &DraftSentence,
    passages: &[Passage],
    checker: &SupportChecker,
    embedder: &dyn Embedder,
) -> Option<Sentence> {
    let mut citations: Vec<Citation> = Vec::new();
    let mut cited: Vec<&str> = Vec::new();
    for (at, range) in &draft.supports {
        // What the page does not show proves nothing: nobody could see the proof.
        let Some(passage) = passages.get(*at).filter(|passage| !passage.chunk.is_hidden()) else { continue };
        let found = cite(passage, range);
        if found.is_empty() {
            continue;
        }
        // What `cite` has found is inside the text.
        if let Some(bytes) = text::byte_range(&passage.chunk.text, range)
            .or_else(|| text::byte_range(&passage.chunk.text, &clipped(passage, range)))
        {
            cited.push(&passage.chunk.text[bytes]);
        }
        for citation in found {
            if !citations.contains(&citation) {
                citations.push(citation);
            }
        }
    }
    (!citations.is_empty()).then(|| Sentence {
        support: checker.check(&draft.text, &cited, embedder),
        text: draft.text.clone(),
        citations,
    })
}

/// A range without what lies behind the end of the passage.
fn clipped(passage: &Passage, range: &Range<usize>) -> Range<usize> {
    let length = passage.chunk.text.chars().count();
    range.start.min(length)..range.end.min(length)
}

/// The citations of a range of a passage: one per page that it touches.
fn cite(passage: &Passage, range: &Range<usize>) -> Vec<Citation> {
    let mut citations: Vec<Citation> = Vec::new();
    for span in passage.locate(range) {
        let quote = quote_of(passage, span);
        match citations.last_mut() {
            // Neighbouring pieces of one page are one place for a reader.
            Some(last) if last.span.page == span.page && last.span.end <= span.start => {
                last.span.end = span.end;
                last.quote.push('\n');
                last.quote.push_str(&quote);
            }
            _ => citations.push(Citation {
                document_id: passage.document_id.clone(),
                title: passage.title.clone(),
                version: passage.version.clone(),
                section: passage.chunk.section.clone(),
                span,
                quote,
                content_hash: passage.chunk.content_hash(),
            }),
        }
    }
    citations
}

/// The text of a span, read back from the chunk.
fn quote_of(passage: &Passage, span: Span) -> String {
    let mut at = 0;
    for piece in &passage.chunk.spans {
        if piece.page == span.page && piece.start <= span.start && span.end <= piece.end {
            let from = at + span.start - piece.start;
            let chars = from..from + span.end - span.start;
            return text::byte_range(&passage.chunk.text, &chars)
                .map_or_else(String::new, |bytes| passage.chunk.text[bytes].to_owned());
        }
        at += piece.end - piece.start + 1;
    }
    String::new()
}

/// The opening of a passage, for a refusal: whole words.
pub(super) fn opening(passage: &Passage) -> Option<Citation> {
    let length = passage.chunk.text.lines().next()?.chars().count().min(NEAREST_CHARS);
    cite(passage, &(0..length)).into_iter().next()
}
