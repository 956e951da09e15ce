//! A name that was found once is found everywhere in the document, and on through the conversation: this is what catches the
//! lone first name that nothing around it gives away.

use crate::label::Label;
use crate::lexicon::fold;
use crate::recognisers::{Finds, SHAPED};
use crate::tokens::Token;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Names that are known of a document or a conversation, by folded word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownNames(BTreeSet<Box<str>>);

impl KnownNames {
    /// Learns the words of a name that is certain: the signed-in user, a chart's header, a roster.
    pub fn seed(&mut self, name: &str) {
        let mut folded = String::new();
        for word in name.split(|c: char| !c.is_alphabetic() && c != '\'' && c != '-') {
            fold(word, &mut folded);
            if folded.chars().count() > 1 {
                self.0.insert(folded.as_str().into());
            }
        }
    }

    /// Learns the words of a name that was found. Words of every day are left out: "Hope" is one person's name in one
    /// sentence, and a word in the next.
    pub fn learn(&mut self, tokens: &[Token]) {
        for token in tokens.iter().filter(|token| token.is_word()) {
            let is_long =
                token.folded.chars().count() > 2 && !matches!(&*token.folded, "van" | "der" | "von" | "del" | "dos" | "den");
            if is_long
                && token.entry.lower() < 4
                && !(token.entry.is_eponym() && token.entry.capital() > 2)
                && !token.entry.is_drug()
            {
                self.0.insert(token.folded.clone());
            }
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Marks known names wherever they stand, written as names are.
    pub fn find(&self, text: &str, tokens: &[Token], finds: &mut Finds) {
        if self.is_empty() {
            return;
        }
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.is_word()) {
            let is_known = self.0.contains(&token.folded);
            // In lower case a word that is also a word stays one.
            let is_written = token.is_capital() || !token.entry.is_word() && token.entry.common() < 4;
            if is_known && is_written && !crate::names::is_after_people(text, tokens, at + 1) {
                finds.add(token.range(), Label::Name, SHAPED - 5);
            }
        }
    }
}
