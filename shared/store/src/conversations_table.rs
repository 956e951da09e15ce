//! Conversations, each a sealed row of its owner's.
//!
//! ```text
//! pk = CONVERSATION#{tenant}#{subject}   sk = {conversation}   sealed version expires_at
//! ```
//! The owner is in the key: whoever names another's conversation asks for a row that is not there.

use crate::item::{n, number, s};
use crate::port_error;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::SdkConfig;
use domain::chat::conversation::{ConversationRows, Owner, SealedConversation};
use domain::fault::PortError;
use domain::ids::ConversationId;
use jiff::Timestamp;

/// The conversations table.
#[derive(Debug, Clone)]
pub struct ConversationsTable {
    client: Client,
    name: String,
}

impl ConversationsTable {
    /// A table by name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }
}

fn partition(owner: &Owner) -> AttributeValue {
    s(format!("CONVERSATION#{}#{}", owner.tenant(), owner.subject()))
}

#[async_trait]
impl ConversationRows for ConversationsTable {
    async fn load(&self, owner: &Owner, id: &ConversationId) -> Result<Option<SealedConversation>, PortError> {
        const OPERATION: &str = "GetItem conversation";
        let get = self.client.get_item().table_name(&self.name).key("pk", partition(owner)).key("sk", s(id.as_str()));
        let got = get.consistent_read(true).send().await.map_err(|error| port_error(OPERATION, &error))?;
        let Some(item) = got.item else { return Ok(None) };
        let sealed = item.get("sealed").and_then(|value| value.as_b().ok()).map(|blob| blob.as_ref().to_vec());
        let expires = number(&item, "expires_at").and_then(|seconds| Timestamp::from_second(seconds).ok());
        match (sealed, number(&item, "version"), expires) {
            (Some(sealed), Some(version), Some(expires)) => Ok(Some(SealedConversation { sealed, version, expires })),
            _ => Err(PortError::Unexpected { operation: OPERATION, code: "row".into() }),
        }
    }

    async fn store(&self, owner: &Owner, id: &ConversationId, row: &SealedConversation) -> Result<(), PortError> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("pk", partition(owner))
            .item("sk", s(id.as_str()))
            .item("sealed", AttributeValue::B(row.sealed.clone().into()))
            .item("version", n(row.version))
            .item("expires_at", n(row.expires.as_second()))
            // An SDK retry of a write that had landed finds its own bytes.
            .expression_attribute_values(":own", AttributeValue::B(row.sealed.clone().into()));
        put = if row.version == 1 {
            put.condition_expression("attribute_not_exists(pk) OR sealed = :own")
        } else {
            put.condition_expression("version = :read OR sealed = :own").expression_attribute_values(":read", n(row.version - 1))
        };
        put.send().await.map(|_| ()).map_err(|error| port_error("PutItem conversation", &error))
    }

    async fn erase(&self, owner: &Owner, id: &ConversationId) -> Result<(), PortError> {
        let delete = self.client.delete_item().table_name(&self.name).key("pk", partition(owner)).key("sk", s(id.as_str()));
        delete.send().await.map(|_| ()).map_err(|error| port_error("DeleteItem conversation", &error))
    }
}
