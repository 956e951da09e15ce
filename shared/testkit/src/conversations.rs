//! Conversations in memory: sealed rows, as the table has them.

use crate::outage::Outage;
use async_trait::async_trait;
use domain::chat::conversation::{ConversationRows, Owner, SealedConversation};
use domain::fault::PortError;
use domain::ids::ConversationId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Rows = BTreeMap<(Owner, ConversationId), SealedConversation>;

/// Conversations in memory. A clone is the same table.
#[derive(Clone, Default)]
pub struct MemoryConversations {
    rows: Arc<Mutex<Rows>>,
    outage: Outage,
}

impl MemoryConversations {
    /// A table whose calls fail when this outage says so.
    pub fn with_outage(outage: Outage) -> Self {
        Self { outage, ..Self::default() }
    }

    /// The bytes of every row.
    pub fn sealed(&self) -> Vec<Vec<u8>> {
        self.lock().values().map(|row| row.sealed.clone()).collect()
    }

    /// Lets the time of every row run out.
    pub fn expire_all(&self) {
        self.lock().values_mut().for_each(|row| row.expires = jiff::Timestamp::UNIX_EPOCH);
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ConversationRows for MemoryConversations {
    async fn load(&self, owner: &Owner, id: &ConversationId) -> Result<Option<SealedConversation>, PortError> {
        let answer = self.outage.call("load conversation").await?;
        let row = self.lock().get(&(owner.clone(), id.clone())).cloned();
        answer.with(row)
    }

    async fn store(&self, owner: &Owner, id: &ConversationId, row: &SealedConversation) -> Result<(), PortError> {
        let answer = self.outage.call("store conversation").await?;
        {
            let mut rows = self.lock();
            let stored = rows.get(&(owner.clone(), id.clone()));
            let is_next = stored.map_or(0, |stored| stored.version) + 1 == row.version;
            if !is_next && stored.is_none_or(|stored| stored.sealed != row.sealed) {
                return Err(PortError::Conflict { operation: "store conversation" });
            }
            rows.insert((owner.clone(), id.clone()), row.clone());
        }
        answer.with(())
    }

    async fn erase(&self, owner: &Owner, id: &ConversationId) -> Result<(), PortError> {
        let answer = self.outage.call("erase conversation").await?;
        self.lock().remove(&(owner.clone(), id.clone()));
        answer.with(())
    }
}
