//! The way back, for a text that arrives in pieces: a model's answer is streamed, and a placeholder may be cut anywhere.

use super::Conversation;
use super::grammar::{self, BYTES_MAX};

/// A text with its identifiers.
#[derive(Clone, PartialEq, Eq)]
pub struct Restored {
    /// The text.
    pub text: String,
    /// Placeholders that this conversation never issued; they stay as they are.
    pub unknown: u32,
}

impl std::fmt::Debug for Restored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Restored({} bytes, {} unknown)", self.text.len(), self.unknown)
    }
}

/// Restores a stream. One pass: what an identifier itself looks like is never read again.
pub struct Restorer<'a> {
    conversation: &'a Conversation,
    held: String,
    unknown: u32,
}

impl<'a> Restorer<'a> {
    /// For the answers of one conversation.
    pub const fn new(conversation: &'a Conversation) -> Self {
        Self { conversation, held: String::new(), unknown: 0 }
    }

    /// Takes a piece, gives what is certain.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        self.release(false)
    }

    /// Gives the rest.
    pub fn finish(&mut self) -> String {
        self.release(true)
    }

    /// How many placeholders were not ours.
    pub const fn unknown(&self) -> u32 {
        self.unknown
    }

    fn release(&mut self, is_end: bool) -> String {
        let held = std::mem::take(&mut self.held);
        let mut restored = String::with_capacity(held.len());
        let mut from = 0;
        while let Some(found) = held[from..].find(['[', '\\']) {
            let start = from + found;
            let rest = &held[start..];
            if let Some((reference, length)) = grammar::read(rest) {
                restored.push_str(&held[from..start]);
                from = start + length;
                if let Some(original) = self.conversation.original(&reference) {
                    restored.push_str(original);
                } else {
                    restored.push_str(&held[start..from]);
                    self.unknown += 1;
                }
                continue;
            }
            let is_open =
                rest == "\\" || rest.trim_start_matches('\\').starts_with('[') && !rest.contains(']') && rest.len() < BYTES_MAX;
            if is_open && !is_end {
                restored.push_str(&held[from..start]);
                held[start..].clone_into(&mut self.held);
                return restored;
            }
            let next = start + 1;
            restored.push_str(&held[from..next]);
            from = next;
        }
        restored.push_str(&held[from..]);
        restored
    }
}
