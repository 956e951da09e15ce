//! Turns a model's text into drafts while it comes.

use crate::answer::{AnswerReader, ReadAnswerError, Written};
use crate::gate::Outgoing;
use crate::supports::places;
use domain::chat::{DraftSentence, Piece, Prompt, Sentences};
use domain::text::Analyzer;

/// An answer that is being read.
pub(crate) struct Reading<'a> {
    reader: AnswerReader,
    analyzer: &'a Analyzer,
    outgoing: &'a Outgoing,
    prompt: &'a Prompt<'a>,
    sentences: Sentences<'a>,
    pub(crate) drafts: Vec<DraftSentence>,
    /// How many of them went out to the person.
    pub(crate) out: usize,
    /// Placeholders that were never issued.
    pub(crate) unknown: u32,
    is_unreadable: bool,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(analyzer: &'a Analyzer, outgoing: &'a Outgoing, prompt: &'a Prompt<'a>, sentences: Sentences<'a>) -> Self {
        Self {
            reader: AnswerReader::default(),
            analyzer,
            outgoing,
            prompt,
            sentences,
            drafts: Vec::new(),
            out: 0,
            unknown: 0,
            is_unreadable: false,
        }
    }

    pub(crate) fn take(&mut self, piece: &str) {
        if self.is_unreadable {
            return;
        }
        let Ok(written) = self.reader.push(piece) else {
            self.is_unreadable = true;
            return;
        };
        for written in written {
            let draft = self.draft(&written);
            self.out += usize::from((self.sentences)(Piece::Sentence(&draft)));
            self.drafts.push(draft);
        }
    }

    /// A sentence with its identifiers, and the places that it rests on. A passage that the model was not given supports
    /// nothing, whatever number it names, and neither does one that nobody sees on the page.
    fn draft(&mut self, written: &Written) -> DraftSentence {
        let restored = self.outgoing.conversation.restore(&written.text);
        self.unknown += restored.unknown;
        let mut named = written.passages.clone();
        named.sort_unstable();
        named.dedup();
        let shown = named.into_iter().filter_map(|number| {
            let at = number.checked_sub(1)?;
            self.prompt.passages.get(at).filter(|passage| !passage.chunk.is_hidden()).map(|passage| (at, passage))
        });
        let supports = shown
            .flat_map(|(at, passage)| places(&restored.text, passage, self.analyzer).into_iter().map(move |range| (at, range)));
        let supports = supports.collect();
        DraftSentence { text: restored.text, supports }
    }

    pub(crate) fn end(&self, is_truncated: bool) -> Result<(), ReadAnswerError> {
        if self.is_unreadable { Err(ReadAnswerError) } else { self.reader.finish(is_truncated) }
    }
}
