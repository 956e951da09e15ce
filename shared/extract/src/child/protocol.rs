//! What parent and child say to each other.
//!
//! To the child: one line of JSON ([`Task`]), then the document's bytes until the end. From the child: one line of JSON
//! for each [`Said`]; the last one is `Done` or `Failed`. Both ends are the same program, so there are no versions.

use std::io::{self, BufRead, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::documents::pages::{ExtractedDocument, Format, Page, Reason};
use serde::{Deserialize, Serialize};

use crate::error::{Detail, ExtractError};
use crate::limits::Limits;

/// The longest first line; it holds a dozen numbers.
pub(super) const TASK_BYTES_MAX: u64 = 4096;

/// What the child is to do. The name of the file stays with the parent: it may name a patient.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub promised: Option<Format>,
    pub parser: Parser,
    pub limits: Limits,
}

/// Who reads a PDF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Parser {
    /// The one that knows reading order, tables and fonts.
    First,
    /// The one that is asked when the first gives up.
    Second,
    /// Nobody: a page is painted.
    Painter {
        /// Counted from 1.
        page: u32,
    },
}

/// A document as a child has read it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub document: ExtractedDocument,
    /// Pages that paint letters of which the parser could make no text.
    pub mute: Vec<u32>,
    /// Whether it is practically nothing but images.
    pub is_scan: bool,
}

/// One line of the child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// Pages read so far.
    Progress { done: u32, total: u32 },
    /// A page as it will be indexed.
    Page(Page),
    /// The most memory that was held so far. Comes before the end.
    Used { peak_kib: u64 },
    /// The end: so many pages were sent.
    Done { title: Option<String>, pages: u32, mute: Vec<u32>, is_scan: bool },
    /// The end: a page as PNG in base64.
    Painted { png: String },
    /// The end: there is no document.
    Failed(ExtractError),
}

/// Writes one line.
pub(super) fn say(to: &mut impl Write, said: &Said) -> io::Result<()> {
    serde_json::to_writer(&mut *to, said)?;
    to.write_all(b"\n")
}

/// Puts the child's lines together again. A child that a file has taken over can say anything, so nothing is believed.
#[derive(Debug, Default)]
pub(super) struct Listener {
    pages: Vec<Page>,
    /// How it ended, if the child said so.
    pub outcome: Option<Result<Answer, ExtractError>>,
    /// The picture of a page, if that was the task.
    pub painted: Option<Vec<u8>>,
    /// What it used, if the child said so.
    pub peak_kib: Option<u64>,
}

impl Listener {
    /// Takes one line in; returns the progress if it was that. An error ends the conversation.
    pub fn hear(&mut self, line: &[u8], limits: &Limits) -> Result<Option<(u32, u32)>, ExtractError> {
        const PROTOCOL: ExtractError = ExtractError::new(Reason::Internal, Detail::Protocol);
        let said = serde_json::from_slice(line).map_err(|_| PROTOCOL)?;
        if self.outcome.is_some() {
            return Err(PROTOCOL);
        }
        match said {
            Said::Progress { done, total } if done <= total => return Ok(Some((done, total))),
            Said::Page(page) if self.pages.len() < limits.pages_max as usize && is_whole(&page) => {
                self.pages.push(page);
            }
            Said::Used { peak_kib } => self.peak_kib = Some(peak_kib),
            Said::Done { title, pages, mute, is_scan } if pages as usize == self.pages.len() => {
                let document = ExtractedDocument { title, pages: std::mem::take(&mut self.pages) };
                self.outcome = Some(Ok(Answer { document, mute, is_scan }));
            }
            Said::Painted { png } => {
                self.painted = Some(STANDARD.decode(png).map_err(|_| PROTOCOL)?);
                self.outcome = Some(Err(ExtractError::new(Reason::NeedsOcr, Detail::Pictures)));
            }
            Said::Failed(error) => self.outcome = Some(Err(error)),
            _ => return Err(PROTOCOL),
        }
        Ok(None)
    }
}

/// Blocks in order, not overlapping, within the text.
fn is_whole(page: &Page) -> bool {
    let characters = page.text.chars().count();
    let mut at = 0;
    page.blocks.iter().all(|block| {
        let is_next = at <= block.start && block.start < block.end && block.end <= characters;
        at = block.end;
        is_next
    })
}

/// Reads a line of at most so many bytes, without its end. `None` at the end of the stream.
pub(super) fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<()>> {
    line.clear();
    if from.read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_none() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::documents::pages::{Block, BlockKind};

    fn page(start: usize, end: usize) -> Page {
        Page { text: "héllo".into(), blocks: vec![Block::new(BlockKind::Paragraph, start, end)], ..Page::empty(1) }
    }

    fn hear(listener: &mut Listener, said: &Said) -> Result<Option<(u32, u32)>, ExtractError> {
        let mut line = Vec::new();
        say(&mut line, said).unwrap();
        listener.hear(&line, &Limits::default())
    }

    #[test]
    fn a_conversation_becomes_a_document() {
        let mut listener = Listener::default();
        assert_eq!(hear(&mut listener, &Said::Progress { done: 0, total: 1 }), Ok(Some((0, 1))));
        assert_eq!(hear(&mut listener, &Said::Page(page(0, 5))), Ok(None));
        assert_eq!(hear(&mut listener, &Said::Done { title: None, pages: 1, mute: vec![], is_scan: false }), Ok(None));
        assert_eq!(listener.outcome.unwrap().unwrap().document.pages, [page(0, 5)]);
    }

    #[test]
    fn nothing_that_is_not_in_the_protocol_is_believed() {
        let limits = Limits::default();
        for line in [
            &b"garbage"[..],
            b"{}",
            b"",
            br#"{"progress":{"done":2,"total":1}}"#,
            br#"{"done":{"title":null,"pages":1,"mute":[],"is_scan":false}}"#,
        ] {
            assert_eq!(Listener::default().hear(line, &limits).unwrap_err().detail, Detail::Protocol);
        }
        for (start, end) in [(0, 6), (3, 2), (2, 2)] {
            assert!(hear(&mut Listener::default(), &Said::Page(page(start, end))).is_err());
        }
        let mut ended = Listener::default();
        hear(&mut ended, &Said::Done { title: None, pages: 0, mute: vec![], is_scan: false }).unwrap();
        assert!(hear(&mut ended, &Said::Page(page(0, 1))).is_err());
    }

    #[test]
    fn a_line_without_its_end_is_an_error() {
        let (mut from, mut line) = (&b"one\ntw"[..], Vec::new());
        assert!(matches!(read_line(&mut from, &mut line), Ok(Some(()))));
        assert_eq!(line, b"one");
        assert!(read_line(&mut from, &mut line).is_err());
        assert!(matches!(read_line(&mut &b""[..], &mut line), Ok(None)));
    }
}
