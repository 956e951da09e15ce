//! The prompt: our rules from a file of their own, then the question and the passages as numbered, quoted material.

use crate::provider::Message;
use deid::SafeText;
use std::sync::LazyLock;

static RULES: LazyLock<Message> = LazyLock::new(|| {
    let mut rules = Message::default();
    rules.ours(include_str!("prompt/answer.txt"));
    rules
});

/// What the model is to do. The same for every question, so that a provider can keep it in its cache.
pub fn instructions() -> &'static Message {
    &RULES
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
