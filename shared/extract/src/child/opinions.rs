//! One document, one or two opinions: when the first parser gives up on a PDF, a fresh child asks the second.

use std::time::{Duration, Instant};

use domain::documents::pages::{ExtractedDocument, Format, Page, Reason};

use super::parent::{Heard, ask};
use super::protocol::{Answer, Parser, Task};
use crate::Read;
use crate::error::{Detail, ExtractError};
use crate::limits::Limits;
use crate::sniff;

/// Text of which fewer characters are letters, digits or spaces was decoded wrongly. Tables of figures have .8.
const READABLE_MIN: f64 = 0.7;
/// Fewer characters on all pages together are no second opinion.
const CHARACTERS_MIN: usize = 20;

/// Reads a document in a child process. Blocks until the child has ended, at most `limits.wall_ms`.
///
/// The program must call [`run_child_if_asked`](super::run_child_if_asked) first thing in its `main`.
pub fn extract_in_child(bytes: &[u8], name: &str, limits: &Limits) -> Result<ExtractedDocument, ExtractError> {
    extract_in_child_with(bytes, name, limits, |_, _| {})
}

/// As [`extract_in_child`], and calls `progress(pages_done, pages_total)` as pages are read; the first call, with
/// nothing done, comes when the pages are counted.
pub fn extract_in_child_with(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
    mut progress: impl FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    let (answer, _) = read(bytes, name, limits, &mut progress);
    answer.and_then(with_text)
}

/// As [`extract_in_child_with`], but a document of images is a document of empty pages.
pub(crate) fn extract_with_images(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    read(bytes, name, limits, progress).0.map(|answer| answer.document)
}

/// A page as PNG, painted by a child.
pub(crate) fn paint(bytes: &[u8], page: u32, limits: &Limits) -> Option<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_millis(limits.wall_ms);
    let task = Task { promised: None, parser: Parser::Painter { page }, limits: limits.clone() };
    ask(bytes, &task, deadline, &mut |_, _| {}).painted
}

/// As [`extract_in_child`], with the most memory in KiB that a child held, if it could say.
pub fn extract_in_child_measured(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
) -> (Result<ExtractedDocument, ExtractError>, Option<u64>) {
    let (answer, peak_kib) = read(bytes, name, limits, &mut |_, _| {});
    (answer.and_then(with_text), peak_kib)
}

fn with_text(answer: Answer) -> Result<ExtractedDocument, ExtractError> {
    let Answer { document, mute, is_scan } = answer;
    Read { document, mute, is_scan }.with_text()
}

fn read(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> (Result<Answer, ExtractError>, Option<u64>) {
    if bytes.is_empty() {
        return (Err(ExtractError::new(Reason::Empty, Detail::NoBytes)), None);
    }
    if bytes.len() > limits.bytes_max {
        return (Err(ExtractError::new(Reason::TooLarge, Detail::Bytes)), None);
    }
    let deadline = Instant::now() + Duration::from_millis(limits.wall_ms);
    let promised = Format::from_name(name);
    let task = |parser, limits| Task { promised, parser, limits };
    let first = ask(bytes, &task(Parser::First, limits.clone()), deadline, progress);
    let is_pdf = sniff::sniff_promised(bytes, promised) == Ok(Format::Pdf);
    if !is_pdf || !is_doubtful(&first.outcome) {
        return (first.outcome, first.peak_kib);
    }
    // The second is given what is left of the time; progress has been told already.
    let second = ask(bytes, &task(Parser::Second, limits.of_second()), deadline, &mut |_, _| {});
    let peak_kib = first.peak_kib.max(second.peak_kib);
    (chosen(first, second), peak_kib)
}

/// Whether another parser may do better. A refusal by number (bytes, pages, text) is the document's, not the parser's.
fn is_doubtful(outcome: &Result<Answer, ExtractError>) -> bool {
    match outcome {
        Ok(answer) => !answer.mute.is_empty() && !answer.is_scan,
        Err(error) => matches!(
            error.detail,
            Detail::NoText
                | Detail::NoPages
                | Detail::Password
                | Detail::Parser
                | Detail::Panicked
                | Detail::Memory
                | Detail::Stack
                | Detail::Crashed
                | Detail::Processor
        ),
    }
}

/// The first opinion, with what only the second could read.
fn chosen(first: Heard, second: Heard) -> Result<Answer, ExtractError> {
    let second = second.outcome.ok().filter(|answer| is_text(&answer.document.pages));
    match (first.outcome, second) {
        (Err(_), Some(second)) => Ok(second),
        (Err(error), None) => Err(error),
        (Ok(answer), None) => Ok(answer),
        (Ok(mut answer), Some(second)) => {
            for page in answer.document.pages.iter_mut().filter(|page| answer.mute.contains(&page.number)) {
                let other = second.document.pages.iter().find(|other| other.number == page.number);
                if let Some(other) = other.filter(|other| other.text.len() > page.text.len()) {
                    *page = other.clone();
                }
            }
            Ok(answer)
        }
    }
}

/// A parser that decodes letters wrongly yields symbols: better no text than that.
fn is_text(pages: &[Page]) -> bool {
    let (mut all, mut readable) = (0_usize, 0_usize);
    for character in pages.iter().flat_map(|page| page.text.chars()) {
        all += 1;
        readable += usize::from(character.is_alphanumeric() || character.is_whitespace());
    }
    all >= CHARACTERS_MIN && readable as f64 >= READABLE_MIN * all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(outcome: Result<&[&str], Detail>, mute: &[u32]) -> Heard {
        let page = |(number, text): (u32, &&str)| Page { text: (*text).to_owned(), ..Page::empty(number) };
        let outcome = outcome.map_err(|detail| ExtractError::new(Reason::Malformed, detail)).map(|texts| Answer {
            document: ExtractedDocument { title: None, pages: (1..).zip(texts).map(page).collect() },
            mute: mute.to_vec(),
            is_scan: false,
        });
        Heard { outcome, peak_kib: None, painted: None }
    }

    fn texts(first: Heard, second: Heard) -> Result<Vec<String>, Detail> {
        let answer = chosen(first, second).map_err(|error| error.detail)?;
        Ok(answer.document.pages.into_iter().map(|page| page.text).collect())
    }

    const TEXT: &str = "Enough words to be a second opinion.";

    #[test]
    fn the_second_opinion_fills_what_the_first_left_open() {
        assert_eq!(texts(heard(Err(Detail::Parser), &[]), heard(Ok(&[TEXT]), &[])), Ok(vec![TEXT.into()]));
        assert_eq!(texts(heard(Ok(&["a", ""]), &[2]), heard(Ok(&[TEXT, TEXT]), &[])), Ok(vec!["a".into(), TEXT.into()]));
    }

    #[test]
    fn symbols_and_silence_change_nothing() {
        let symbols = "#$%&/()=?#$%&/()=?#$%&/()=?";
        assert_eq!(texts(heard(Err(Detail::Parser), &[]), heard(Ok(&[symbols]), &[])), Err(Detail::Parser));
        assert_eq!(texts(heard(Ok(&["a", ""]), &[2]), heard(Err(Detail::Memory), &[])), Ok(vec!["a".into(), String::new()]));
    }

    #[test]
    fn a_refusal_by_number_is_final() {
        let refused = |reason, detail| is_doubtful(&Err(ExtractError::new(reason, detail)));
        assert!(refused(Reason::Encrypted, Detail::Password));
        assert!(refused(Reason::Timeout, Detail::Processor));
        assert!(!refused(Reason::TooManyPages, Detail::Pages));
        assert!(!refused(Reason::Timeout, Detail::Wall));
        assert!(!refused(Reason::NeedsOcr, Detail::Pictures));
    }
}
