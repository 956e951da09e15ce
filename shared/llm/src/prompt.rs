//! The prompt: our rules from a file of their own, then the question and the passages as numbered, quoted material.

use crate::provider::Message;
use deid::SafeText;
use domain::chat::Task;
use std::sync::LazyLock;

fn rules(text: &'static str) -> Message {
    let mut rules = Message::default();
    rules.ours(text);
    rules
}

static ANSWER: LazyLock<Message> = LazyLock::new(|| rules(include_str!("prompt/answer.txt")));
static STAND_ALONE: LazyLock<Message> = LazyLock::new(|| rules(include_str!("prompt/stand_alone.txt")));

/// What the model is to do. The same for every question, so that a provider can keep it in its cache.
pub fn instructions(task: Task<'_>) -> &'static Message {
    match task {
        Task::Answer => &ANSWER,
        Task::StandAlone(_) => &STAND_ALONE,
    }
}

/// A passage that may leave.
#[derive(Debug)]
pub struct SafePassage {
    /// Its number in the prompt: its place among the passages found, from 1.
    pub number: usize,
    /// Title and headings on the first line, then the text.
    pub text: SafeText,
    /// The page does not show this text to its reader.
    pub is_hidden: bool,
}

/// The question and the passages. The question stands at both ends: what is read last is followed best.
pub fn input(question: &SafeText, passages: &[SafePassage]) -> Message {
    let mut message = Message::default();
    message.ours("QUESTION\n").quoted(0, question).ours("\nPASSAGES\n");
    for passage in passages {
        message.ours("Passage ").number(passage.number);
        message.ours(if passage.is_hidden { " (hidden)\n" } else { "\n" });
        message.quoted(passage.number, &passage.text).ours("\n");
    }
    message.ours("Answer the QUESTION above from the passages, as JSON.\n");
    message
}

/// A question and those before it.
pub fn follow_up(question: &SafeText, earlier: &[SafeText]) -> Message {
    let mut message = Message::default();
    message.ours("EARLIER\n");
    for (at, text) in earlier.iter().enumerate() {
        message.quoted(at + 1, text);
    }
    message.ours("\nQUESTION\n").quoted(0, question).ours("\nSay the QUESTION so that it stands alone, as JSON.\n");
    message
}
