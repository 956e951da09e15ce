//! `ask`: a question, and its answer with proof; on a terminal sentence by sentence.

use crate::args::Ask;
use crate::client::Client;
use crate::display::answer::Printer;
use crate::display::progress::Bar;
use crate::display::{Screen, answer};
use crate::outcome::Outcome;
use crate::transport::TransportError;
use crate::wire::{Answer, Citation, Filters, Problem, Question, Said, Sentence, Stage};
use anyhow::{Context as _, Result, bail};
use domain::documents::attributes::Tag;
use domain::ids::{ConversationId, DocumentId};
use serde_json::{Map, Value};

/// Asks.
pub fn run(ask: &Ask, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let question = ask.words.join(" ");
    let filters = Filters {
        documents: ask.documents.iter().map(DocumentId::as_str).collect(),
        tags: ask.tags.iter().map(Tag::as_str).collect(),
        from: ask.from.map(|day| day.to_string()),
        to: ask.to.map(|day| day.to_string()),
    };
    let last = if ask.continues {
        Some(client.last_conversation().context("There is no conversation to go on with: ask something first.")?)
    } else {
        None
    };
    let question = Question {
        question: &question,
        conversation_id: ask.conversation.as_ref().or(last.as_ref()).map(ConversationId::as_str),
        filters: Some(filters).filter(|filters| *filters != Filters::default()),
    };
    // Whoever has to type a password must not have a bar turning over it.
    client.bearer()?;
    let bar = Bar::alone(screen, "Searching the documents");
    let in_pieces = ask.stream || !ask.whole && !ask.json && screen.table_columns.is_some();
    let answer = if in_pieces {
        stream(&question, client, bar, ask.json, screen)?
    } else {
        whole(&question, client, bar, ask.json, screen)?
    };
    if !answer.forgotten && client.remember_conversation(&answer.conversation_id).is_err() {
        screen.note("The conversation could not be noted: --continue will go on with another one.");
    }
    Ok(if answer.refused { Outcome::Refused } else { Outcome::Done })
}

fn whole(question: &Question<'_>, client: &Client, bar: Bar, is_json: bool, screen: &mut Screen) -> Result<Answer> {
    let answer = client.ask(question)?;
    drop(bar);
    if is_json {
        screen.json(&answer)?;
    } else {
        answer::print(&answer, screen)?;
    }
    Ok(answer)
}

fn stream(question: &Question<'_>, client: &Client, bar: Bar, is_json: bool, screen: &mut Screen) -> Result<Answer> {
    let (mut bar, mut printer) = (Some(bar), Printer::default());
    let (mut citations, mut sentences): (Vec<Citation>, Vec<Sentence>) = (Vec::new(), Vec::new());
    let (mut usage, mut end) = (Value::Null, None);
    client.ask_in_pieces(question, &mut |name, json| {
        let shape = || format!("the answer's {name} has another shape than this command knows");
        match name {
            "status" => {
                let status: Stage = serde_json::from_str(json).with_context(shape)?;
                if !is_json {
                    Printer::beginning(status.understood_as.as_deref(), screen);
                    if let Some(notice) = &status.notice {
                        bar.take();
                        Printer::notice(notice, screen)?;
                    }
                }
            }
            "citation" => citations.push(serde_json::from_str(json).with_context(shape)?),
            "sentence" => {
                let said: Said = serde_json::from_str(json).with_context(shape)?;
                let cited = said.citations.iter().filter_map(|number| citations.get(number.checked_sub(1)?).cloned());
                let sentence = Sentence { text: said.text, support: said.support, citations: cited.collect() };
                if !is_json {
                    bar.take();
                    printer.sentence(&sentence, screen)?;
                }
                sentences.push(sentence);
            }
            "usage" => usage = serde_json::from_str(json).with_context(shape)?,
            "done" => end = Some(serde_json::from_str::<Map<String, Value>>(json).with_context(shape)?),
            "error" => {
                let problem: Problem = serde_json::from_str(json).with_context(shape)?;
                return Err(TransportError::Problem(problem).into());
            }
            // What a newer stack says besides.
            _ => {}
        }
        Ok(())
    })?;
    drop(bar);
    let Some(mut end) = end else { bail!("The answer was cut off: what stands above is right, and something is missing.") };
    end.insert("answer".into(), serde_json::to_value(sentences)?);
    end.insert("usage".into(), usage);
    let answer: Answer =
        serde_json::from_value(Value::Object(end)).context("the answer has another shape than this command knows")?;
    if is_json {
        screen.json(&answer)?;
    } else {
        printer.end(&answer, screen)?;
    }
    Ok(answer)
}
