//! An answer with its proof, or a refusal with what comes nearest.

use super::Screen;
use super::text::{one_line, wrap};
use crate::wire::{Answer, Citation, Notice, Sentence};
use anyhow::Result;

/// A place that sentences point at: one number for each page and section of a document's version.
struct Source {
    first: Citation,
    quotes: Vec<String>,
}

/// Prints it.
pub fn print(answer: &Answer, screen: &mut Screen) -> Result<()> {
    let mut printer = Printer::default();
    Printer::beginning(answer.understood_as.as_deref(), screen);
    if let Some(notice) = &answer.notice {
        Printer::notice(notice, screen)?;
    }
    for sentence in &answer.answer {
        printer.sentence(sentence, screen)?;
    }
    printer.end(answer, screen)
}

/// Prints an answer piece by piece.
#[derive(Default)]
pub struct Printer {
    sources: Vec<Source>,
}

impl Printer {
    /// How the question was understood, if it leaned on an earlier one.
    pub fn beginning(understood_as: Option<&str>, screen: &mut Screen) {
        if let Some(question) = understood_as {
            screen.note(screen.paint.faint(&format!("({})", one_line(question))));
        }
    }

    /// What the question asks for that documents cannot give.
    pub fn notice(notice: &Notice, screen: &mut Screen) -> Result<()> {
        for line in wrap(&one_line(&notice.message), screen.columns, "", "") {
            screen.line(screen.paint.strong(&line))?;
        }
        screen.line("")
    }

    /// A sentence with the numbers of its sources.
    pub fn sentence(&mut self, sentence: &Sentence, screen: &mut Screen) -> Result<()> {
        let mut marks: Vec<usize> = sentence.citations.iter().map(|citation| number(&mut self.sources, citation)).collect();
        marks.sort_unstable();
        marks.dedup();
        let marks = marks.into_iter().map(|mark| screen.paint.mark(&format!("[{mark}]"))).collect::<String>();
        let doubt =
            sentence.support.as_ref().filter(|support| support.verdict == "unsupported").map_or_else(String::new, |support| {
                let reason = support.reason.as_deref().map_or_else(String::new, |reason| format!(": {}", one_line(reason)));
                format!(" {}", screen.paint.bad(&format!("(not supported by its sources{reason})")))
            });
        for line in wrap(&format!("{} {marks}{doubt}", one_line(&sentence.text)), screen.columns, "", "") {
            screen.line(line)?;
        }
        screen.flush()
    }

    /// The refusal, if it is one, and the sources.
    pub fn end(mut self, answer: &Answer, screen: &mut Screen) -> Result<()> {
        if let Some(refusal) = &answer.refusal {
            for line in wrap(&one_line(&refusal.message), screen.columns, "", "") {
                screen.line(line)?;
            }
            for citation in &refusal.nearest {
                number(&mut self.sources, citation);
            }
        }
        if !self.sources.is_empty() {
            let head = if answer.refused { "Nearest passages" } else { "Sources" };
            screen.line("")?;
            screen.line(screen.paint.strong(head))?;
        }
        for (at, source) in self.sources.iter().enumerate() {
            print_source(at + 1, source, screen)?;
        }
        for id in &answer.unreadable_documents {
            screen.note(format!("{} could not be read while searching: the answer is from the others.", one_line(id)));
        }
        if answer.truncated {
            screen.note("The model stopped before its end: something may be missing.");
        }
        if answer.forgotten {
            screen.note("The conversation could not be kept: --continue will not know of this question.");
        }
        Ok(())
    }
}

/// The number of the place that a citation points at.
fn number(sources: &mut Vec<Source>, citation: &Citation) -> usize {
    let same = |source: &Source| {
        let first = &source.first;
        (&first.document_id, &first.version, first.page, &first.section)
            == (&citation.document_id, &citation.version, citation.page, &citation.section)
    };
    let at = sources.iter().position(same).unwrap_or_else(|| {
        sources.push(Source { first: citation.clone(), quotes: Vec::new() });
        sources.len() - 1
    });
    let quote = one_line(&citation.quote);
    if !quote.is_empty() && !sources[at].quotes.contains(&quote) {
        sources[at].quotes.push(quote);
    }
    at + 1
}

fn print_source(number: usize, source: &Source, screen: &mut Screen) -> Result<()> {
    let first = &source.first;
    let title = one_line(&first.title);
    // The topmost heading of many documents is their title.
    let headings = first.section.iter().map(|heading| one_line(heading));
    let section: Vec<String> = headings.filter(|heading| !heading.is_empty() && *heading != title).collect();
    let section = if section.is_empty() { String::new() } else { format!(", {}", section.join(" › ")) };
    let mark = format!("[{number}]");
    let indent = " ".repeat(mark.len() + 1);
    let place = format!("{title}, page {}{section}", first.page);
    let columns = screen.columns;
    for line in wrap(&place, columns, &format!("{} ", screen.paint.mark(&mark)), &indent) {
        screen.line(line)?;
    }
    for quote in &source.quotes {
        for line in wrap(&format!("“{quote}”"), columns, &indent, &indent) {
            screen.line(screen.paint.faint(&line))?;
        }
    }
    screen.line(format!("{indent}{}", screen.paint.faint(&one_line(&first.document_id))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::testing;
    use serde_json::{Value, json};

    fn citation(page: u32, quote: &str) -> Value {
        json!({
            "document_id": "doc_0123456789abcdefghjkmnpqrs", "version": "v1", "title": "Sepsis",
            "section": ["Sepsis", "3 Treatment", "3.1 Antibiotics"],
            "page": page, "start": 0, "end": 9, "quote": quote, "content_hash": "00",
        })
    }

    fn printed(answer: &Value) -> String {
        let (mut screen, out, _) = testing::screen();
        let mut all = json!({"answer": [], "refused": false, "conversation_id": "c", "model": "m", "usage": {}, "trace_id": "t"});
        for (name, value) in answer.as_object().unwrap() {
            all[name] = value.clone();
        }
        print(&serde_json::from_value(all).unwrap(), &mut screen).unwrap();
        out.text()
    }

    #[test]
    fn sentences_point_at_numbered_places() {
        let answer = json!({"answer": [
            {"text": "Give antibiotics\nwithin one hour of recognition, and do not wait for imaging or for results.",
             "citations": [citation(3, "within one hour"), citation(4, "do not wait")]},
            {"text": "Take cultures first.", "citations": [citation(3, "Take cultures first."), citation(3, "within one hour")]},
        ]});
        assert_eq!(
            printed(&answer),
            "\
Give antibiotics within one hour of recognition, and do not wait for imaging or
for results. [1][2]
Take cultures first. [1]

Sources
[1] Sepsis, page 3, 3 Treatment › 3.1 Antibiotics
    “within one hour”
    “Take cultures first.”
    doc_0123456789abcdefghjkmnpqrs
[2] Sepsis, page 4, 3 Treatment › 3.1 Antibiotics
    “do not wait”
    doc_0123456789abcdefghjkmnpqrs
"
        );
    }

    #[test]
    fn a_notice_comes_first_and_a_sentence_without_support_is_marked() {
        let answer = json!({
            "notice": {"reason": "advice", "message": "ClinChat does not advise on a patient."},
            "answer": [{"text": "Stop it 9 days before.", "support": {"verdict": "unsupported", "reason": "number"},
                        "citations": [citation(3, "Stop it 5 days before.")]}],
        });
        let printed = printed(&answer);
        assert!(
            printed.starts_with(
                "ClinChat does not advise on a patient.\n\nStop it 9 days before. [1] (not supported by its sources: number)\n"
            ),
            "{printed}"
        );
    }

    #[test]
    fn a_refusal_shows_what_comes_nearest() {
        let refusal =
            json!({"reason": "not_supported", "message": "The documents do not answer this.", "nearest": [citation(1, "Scope")]});
        assert_eq!(
            printed(&json!({"refused": true, "refusal": refusal})),
            "\
The documents do not answer this.

Nearest passages
[1] Sepsis, page 1, 3 Treatment › 3.1 Antibiotics
    “Scope”
    doc_0123456789abcdefghjkmnpqrs
"
        );
    }
}
