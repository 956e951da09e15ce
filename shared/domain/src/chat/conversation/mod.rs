//! Conversations: what is kept of one so that a question can go on from the one before, and for how long.
//!
//! Kept are the questions, where their answers were found (document, version, page, characters), and the placeholders towards
//! outside models with the people's details that they stand for, of the questions and of the passages. Kept is no sentence of an
//! answer and none of a passage. All of it is one row of its owner's, sealed with the tenant's key, erased on demand, and
//! gone some hours after the last question. Another person's conversation is as absent as one that never was.

mod follow_up;
mod keep;

pub use follow_up::{leans, says_again, stand_alone};
pub use keep::{ConversationError, Conversations, Kept};

use super::{Answer, Citation};
use crate::context::Context;
use crate::documents::chunks::Span;
use crate::fault::PortError;
use crate::ids::{ConversationId, DocumentId, SubjectId, TenantId};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use ulid::Ulid;

/// So many questions are kept; older ones leave. What a follow-up leans on is among the last few.
pub const TURNS_MAX: usize = 20;
/// And so many bytes of them, as they are stored: a question may be long, and a row has 400 kB at most. The last one always fits:
/// a question has 16 kB at most, and is kept in three forms.
pub const TURNS_BYTES_MAX: usize = 160 * 1024;
/// What a model is shown of earlier questions, in bytes, latest first. A token has a byte at least, so there are fewer tokens.
pub const EARLIER_BYTES_MAX: usize = 2_000;
/// A map of placeholders that is longer, as it is stored, begins anew under another tag.
pub const MAP_BYTES_MAX: usize = 128 * 1024;

/// The placeholders of a conversation and what they stand for, in the de-identifier's own form. As secret as what is in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PseudonymMap(String);

impl PseudonymMap {
    /// From the de-identifier's text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// For the de-identifier.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PseudonymMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PseudonymMap({} bytes)", self.0.len())
    }
}

/// A name of somebody, known before it is met.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// A name as a directory writes it.
    pub fn new(name: &str) -> Self {
        Self(name.trim().to_owned())
    }

    /// For the de-identifier.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(..)")
    }
}

/// What a conversation brings to a question that goes to an outside model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Background {
    /// Made of the tenant's secret and the conversation's id: placeholders of two tenants or conversations are never the same.
    pub salt: Vec<u8>,
    /// The placeholders so far.
    pub pseudonyms: Option<PseudonymMap>,
    /// Names that are looked for whatever is around them: the signed-in person's.
    pub people: Vec<PersonName>,
}

/// A place in a document, without its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The document.
    pub document_id: DocumentId,
    /// Which version of it.
    pub version: String,
    /// The page.
    pub page: u32,
    /// First character on the page, in code points.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

impl From<&Citation> for Place {
    fn from(citation: &Citation) -> Self {
        let Span { page, start, end } = citation.span;
        Self { document_id: citation.document_id.clone(), version: citation.version.clone(), page, start, end }
    }
}

/// A question of a conversation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// When it was asked.
    pub asked: Timestamp,
    /// As it was typed.
    pub question: String,
    /// As it was understood, if that is something else.
    pub understood: Option<String>,
    /// The last question that said by itself what it is about: what a follow-up leans on.
    pub topic: String,
    /// Whether it was refused.
    pub refused: bool,
    /// Where the answer was found.
    pub places: Vec<Place>,
}

impl Turn {
    /// The turn that an answer ends.
    pub fn new(now: Timestamp, question: &str, understood: Understood, answer: &Answer) -> Self {
        let mut places: Vec<Place> = Vec::new();
        for place in answer.sentences.iter().flat_map(|sentence| &sentence.citations).map(Place::from) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let is_other = understood.text != question;
        Self {
            asked: now,
            question: question.to_owned(),
            understood: is_other.then_some(understood.text),
            topic: understood.topic,
            refused: answer.refusal.is_some(),
            places,
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({}, {} places)", self.asked, self.places.len())
    }
}

/// A question as it stands alone, and what the next one may lean on.
#[derive(Clone, PartialEq, Eq)]
pub struct Understood {
    /// What is searched for and answered.
    pub text: String,
    /// What it is about.
    pub topic: String,
}

impl Understood {
    /// A question that needs nothing before it.
    pub fn alone(question: &str) -> Self {
        Self { text: question.to_owned(), topic: question.to_owned() }
    }
}

impl fmt::Debug for Understood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Understood({} bytes)", self.text.len())
    }
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// When it began.
    pub begun: Timestamp,
    /// The last questions, oldest first.
    pub turns: Vec<Turn>,
    /// The placeholders.
    pub pseudonyms: Option<PseudonymMap>,
    /// How often the placeholders have begun anew.
    pub generation: u32,
}

impl Conversation {
    /// One that begins.
    pub const fn new(now: Timestamp) -> Self {
        Self { begun: now, turns: Vec::new(), pseudonyms: None, generation: 0 }
    }

    /// Earlier questions as they were understood, oldest first, as many of the latest as fit the bound.
    pub fn earlier(&self) -> Vec<&str> {
        let mut room = EARLIER_BYTES_MAX;
        let latest = self.turns.iter().rev().map(|turn| turn.understood.as_ref().unwrap_or(&turn.question).as_str());
        let mut earlier: Vec<&str> = latest
            .take_while(|text| {
                let fits = text.len() <= room;
                room = room.saturating_sub(text.len());
                fits
            })
            .collect();
        earlier.reverse();
        earlier
    }

    /// Adds a turn; what is too old or too long leaves.
    pub fn remember(&mut self, turn: Option<Turn>, pseudonyms: Option<PseudonymMap>) {
        self.turns.extend(turn);
        let mut room = TURNS_BYTES_MAX;
        let fits = |turn: &&Turn| {
            let size = stored_bytes(turn);
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        };
        let young = self.turns.iter().rev().take(TURNS_MAX).take_while(fits).count();
        self.turns.drain(..self.turns.len() - young);
        if pseudonyms.is_some() {
            self.pseudonyms = pseudonyms;
        }
        if self.pseudonyms.as_ref().is_some_and(|map| stored_bytes(map) > MAP_BYTES_MAX) {
            self.pseudonyms = None;
            self.generation += 1;
        }
    }
}

fn stored_bytes(part: &impl Serialize) -> usize {
    // Times, texts and numbers: there is nothing that JSON could not hold.
    serde_json::to_vec(part).map_or(0, |json| json.len())
}

/// Whose a conversation is. Made of a request's context, so nobody names somebody else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    tenant: TenantId,
    subject: SubjectId,
}

impl Owner {
    /// Whoever asks.
    pub fn of(context: &Context) -> Self {
        Self { tenant: context.tenant.clone(), subject: context.actor.subject.clone() }
    }

    /// The tenant.
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The person.
    pub const fn subject(&self) -> &SubjectId {
        &self.subject
    }
}

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedConversation {
    /// The conversation, sealed.
    pub sealed: Vec<u8>,
    /// Counts up with each change.
    pub version: u64,
    /// From then on it is gone, whether the row is or not.
    pub expires: Timestamp,
}

/// Where conversations are kept.
#[async_trait]
pub trait ConversationRows: Send + Sync {
    /// The row, if there is one.
    async fn load(&self, owner: &Owner, id: &ConversationId) -> Result<Option<SealedConversation>, PortError>;
    /// Stores a row whose version follows the stored one's (the first is 1). Anything else is a conflict: an erased one is not
    /// written again.
    async fn store(&self, owner: &Owner, id: &ConversationId, row: &SealedConversation) -> Result<(), PortError>;
    /// Removes the row.
    async fn erase(&self, owner: &Owner, id: &ConversationId) -> Result<(), PortError>;
}

/// Seals what a tenant's rows hold, with a key that is the tenant's alone.
#[async_trait]
pub trait TenantCipher: Send + Sync {
    /// Seals bytes. `about` is bound to them: they open for the same only. No nonce may come twice.
    async fn seal(&self, tenant: &TenantId, about: &str, nonce: Ulid, plain: &[u8]) -> Result<Vec<u8>, PortError>;
    /// Opens them.
    async fn open(&self, tenant: &TenantId, about: &str, sealed: &[u8]) -> Result<Vec<u8>, PortError>;
    /// A code for a text that nobody can make without the tenant's key.
    async fn code(&self, tenant: &TenantId, about: &str) -> Result<[u8; 32], PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(question: &str) -> Turn {
        Turn {
            asked: Timestamp::UNIX_EPOCH,
            question: question.to_owned(),
            understood: None,
            topic: question.to_owned(),
            refused: false,
            places: vec![],
        }
    }

    #[test]
    fn what_is_kept_and_shown_to_a_model_is_bounded() {
        let mut conversation = Conversation::new(Timestamp::UNIX_EPOCH);
        for at in 0..30 {
            conversation.remember(Some(turn(&format!("{at:0>100}"))), None);
        }
        assert_eq!(conversation.turns.len(), TURNS_MAX);
        assert_eq!(conversation.earlier().last().map(|last| last.ends_with("29")), Some(true));
        conversation.remember(Some(turn(&"x".repeat(1_950))), None);
        assert_eq!(conversation.earlier().len(), 1);
        conversation.remember(Some(turn(&"x".repeat(EARLIER_BYTES_MAX + 1))), None);
        assert!(conversation.earlier().is_empty());
        // The longest questions, of letters that take four bytes and of marks that are stored as two.
        for letter in ["\u{1f600}", "\""] {
            for _ in 0..30 {
                conversation.remember(Some(turn(&letter.repeat(4_000))), None);
            }
            let stored = serde_json::to_vec(&conversation).unwrap().len();
            assert!((TURNS_BYTES_MAX / 2..TURNS_BYTES_MAX + 1_000).contains(&stored), "{stored}");
        }
        // Two quotation marks go around it.
        conversation.remember(None, Some(PseudonymMap::new("m".repeat(MAP_BYTES_MAX - 2))));
        assert_eq!((conversation.pseudonyms.is_some(), conversation.generation), (true, 0));
        conversation.remember(None, Some(PseudonymMap::new("m".repeat(MAP_BYTES_MAX - 1))));
        assert_eq!((conversation.pseudonyms.is_some(), conversation.generation), (false, 1));
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let mut conversation = Conversation::new(Timestamp::UNIX_EPOCH);
        conversation.remember(Some(turn("Ottoline Brackwater")), Some(PseudonymMap::new("Brackwater".into())));
        let shown = format!("{conversation:?} {:?} {:?}", PersonName::new("Brackwater"), Understood::alone("Brackwater"));
        assert!(!shown.contains("Brackwater"), "{shown}");
    }
}
