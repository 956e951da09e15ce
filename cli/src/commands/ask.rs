//! `ask`: a question, and its answer with proof.

use crate::args::Ask;
use crate::client::Client;
use crate::display::progress::Bar;
use crate::display::{Screen, answer};
use crate::outcome::Outcome;
use crate::wire::{Filters, Question};
use anyhow::Result;
use domain::documents::attributes::Tag;
use domain::ids::{ConversationId, DocumentId};

/// Asks.
pub fn run(ask: &Ask, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let question = ask.words.join(" ");
    let filters = Filters {
        documents: ask.documents.iter().map(DocumentId::as_str).collect(),
        tags: ask.tags.iter().map(Tag::as_str).collect(),
        from: ask.from.map(|day| day.to_string()),
        to: ask.to.map(|day| day.to_string()),
    };
    let question = Question {
        question: &question,
        conversation_id: ask.conversation.as_ref().map(ConversationId::as_str),
        filters: Some(filters).filter(|filters| *filters != Filters::default()),
    };
    // Whoever has to type a password must not have a bar turning over it.
    client.bearer()?;
    let bar = Bar::alone(screen, "Searching the documents");
    let answer = client.ask(&question)?;
    drop(bar);
    if ask.json {
        screen.json(&answer)?;
    } else {
        answer::print(&answer, screen)?;
    }
    Ok(if answer.refused { Outcome::Refused } else { Outcome::Done })
}
