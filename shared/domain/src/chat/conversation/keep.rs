//! Opening, keeping, showing and erasing a conversation.

use super::{Background, Conversation, ConversationRows, Owner, PersonName, SealedConversation, TenantCipher, Turn};
use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Intent, Outcome};
use crate::context::{Act, Context, NotAllowed};
use crate::fault::{Fault, PortError};
use crate::ids::{ConversationId, IdSource};
use jiff::{SignedDuration, Timestamp};

/// A turn is kept beside one that another request has just added; more often than this nobody asks at once.
const TRIES: usize = 4;

/// Why there is no conversation.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// The caller's roles do not allow it.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// It is not there, or not the caller's: the same answer.
    #[error("there is no such conversation")]
    Missing,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ConversationError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotAllowed(_) => Fault::Denied,
            Self::Missing => Fault::Missing,
            Self::Port(error) => error.fault(),
        }
    }
}

/// A conversation as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What is in it.
    pub conversation: Conversation,
    /// Which state of it; 0 if nothing is stored yet.
    pub version: u64,
    /// From when on it is gone.
    pub expires: Timestamp,
}

/// Conversations with their ports.
pub struct Conversations<'a> {
    /// Where they are kept.
    pub rows: &'a dyn ConversationRows,
    /// Seals them.
    pub cipher: &'a dyn TenantCipher,
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
    /// How long one is kept after its last question.
    pub life: SignedDuration,
}

impl Conversations<'_> {
    /// A conversation of the caller's that is still there.
    pub async fn resume(&self, context: &Context, id: &ConversationId) -> Result<Kept, ConversationError> {
        let owner = Owner::of(context);
        let row = self.rows.load(&owner, id).await?.filter(|row| row.expires > context.now);
        let row = row.ok_or(ConversationError::Missing)?;
        let plain = self.cipher.open(owner.tenant(), &about(&owner, id), &row.sealed).await?;
        let conversation = serde_json::from_slice(&plain)
            .map_err(|_| PortError::Unexpected { operation: "open conversation", code: "json".into() })?;
        Ok(Kept { conversation, version: row.version, expires: row.expires })
    }

    /// A conversation that begins. Nothing is stored until its first question is answered.
    pub fn begin(&self, context: &Context) -> Kept {
        Kept { conversation: Conversation::new(context.now), version: 0, expires: self.end(context) }
    }

    /// What it brings to a question. Without the tenant's secret the question can be answered all the same; its placeholders
    /// are then good for this one answer.
    pub async fn background(&self, context: &Context, id: &ConversationId, kept: &Kept, people: Vec<PersonName>) -> Background {
        let owner = Owner::of(context);
        let about = format!("placeholders {}/{}", about(&owner, id), kept.conversation.generation);
        let salt = self.cipher.code(owner.tenant(), &about).await.map_or_else(|_| Vec::new(), |code| code.to_vec());
        Background { salt, pseudonyms: kept.conversation.pseudonyms.clone(), people }
    }

    /// Keeps a conversation with a turn more. If another request was faster, the turn goes behind what that one has added, and
    /// its placeholders stay; if the conversation was erased meanwhile, it stays erased.
    pub async fn keep(
        &self,
        context: &Context,
        id: &ConversationId,
        mut kept: Kept,
        turn: Option<Turn>,
        pseudonyms: Option<super::PseudonymMap>,
    ) -> Result<(), PortError> {
        let owner = Owner::of(context);
        let mut pseudonyms = pseudonyms;
        for _ in 0..TRIES {
            let mut conversation = kept.conversation.clone();
            conversation.remember(turn.clone(), pseudonyms.take());
            // Times, texts and numbers: there is nothing that JSON could not hold.
            let plain = serde_json::to_vec(&conversation).unwrap_or_default();
            let sealed = self.cipher.seal(owner.tenant(), &about(&owner, id), self.ids.next(context.now), &plain).await?;
            let row = SealedConversation { sealed, version: kept.version + 1, expires: self.end(context) };
            match self.rows.store(&owner, id, &row).await {
                Err(PortError::Conflict { .. }) => match self.resume(context, id).await {
                    Ok(found) => kept = found,
                    Err(ConversationError::Port(error)) => return Err(error),
                    Err(_) => return Ok(()),
                },
                stored => return stored,
            }
        }
        Err(PortError::Conflict { operation: "store conversation" })
    }

    /// Shows a conversation to its owner. The reading is in the trail before it is shown.
    pub async fn show(&self, context: &Context, id: &ConversationId) -> Result<Kept, ConversationError> {
        context.allow(Act::Ask)?;
        let kept = self.resume(context, id).await?;
        let event = self.event(context, id, EventType::ConversationViewed, Outcome::Success);
        let event = event.with("turns", AuditValue::Count(kept.conversation.turns.len() as u64));
        self.audit.append(&event).await?;
        Ok(kept)
    }

    /// Erases a conversation of the caller's.
    pub async fn erase(&self, context: &Context, id: &ConversationId) -> Result<(), ConversationError> {
        context.allow(Act::Ask)?;
        let owner = Owner::of(context);
        let row = self.rows.load(&owner, id).await?.filter(|row| row.expires > context.now);
        row.ok_or(ConversationError::Missing)?;
        let event = self.event(context, id, EventType::ConversationErased, Outcome::Intended);
        let intent = Intent::write(self.audit, event).await?;
        self.rows.erase(&owner, id).await?;
        Ok(intent.end(self.audit, self.ids, context.now, Outcome::Success).await?)
    }

    fn event(&self, context: &Context, id: &ConversationId, event_type: EventType, outcome: Outcome) -> AuditEvent {
        AuditEvent::new(self.ids, context, event_type, Entity::Conversation(id.clone()), outcome)
    }

    fn end(&self, context: &Context) -> Timestamp {
        context.now.saturating_add(self.life).unwrap_or(Timestamp::MAX)
    }
}

/// What a row's seal is bound to: it opens for its owner and its id only.
fn about(owner: &Owner, id: &ConversationId) -> String {
    format!("conversation {}/{id}", owner.subject())
}
