//! What the audit functions remember beside the trail, in a table of its own, so that the trail's table holds rows of the
//! trail and nothing else.
//!
//! ```text
//! pk = TAKEN#{tenant}                     sk = {keyed digest of source and key}    id content
//! ```
//! Everything here expires.

use crate::item::{Item, n, s, text};
use crate::port_error;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::SdkConfig;
use domain::audit::AuditEvent;
use domain::fault::PortError;
use domain::ids::TenantId;
use domain::text::hexadecimal;
use ulid::Ulid;

/// The table.
#[derive(Debug, Clone)]
pub struct AuditState {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl AuditState {
    /// A table by name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The row that says that a source's key was used, and for what.
    pub(crate) fn taken_row(event: &AuditEvent, key: &[u8; 32], content: &[u8; 32], expires_at: i64) -> Item {
        Item::from([
            ("pk".into(), s(format!("TAKEN#{}", event.tenant))),
            ("sk".into(), s(hexadecimal(key))),
            ("id".into(), s(event.id.to_string())),
            ("content".into(), AttributeValue::B(content.to_vec().into())),
            ("expires_at".into(), n(expires_at)),
        ])
    }

    /// For which event and content a key was used, if it was.
    pub(crate) async fn taken(&self, tenant: &TenantId, key: &[u8; 32]) -> Result<Option<(Ulid, Vec<u8>)>, PortError> {
        const OPERATION: &str = "GetItem audit state";
        let get = self.client.get_item().table_name(&self.name).key("pk", s(format!("TAKEN#{tenant}")));
        let got = get.key("sk", s(hexadecimal(key))).consistent_read(true).send().await;
        let Some(item) = got.map_err(|error| port_error(OPERATION, &error))?.item else { return Ok(None) };
        let id = text(&item, "id").and_then(|id| Ulid::from_string(id).ok());
        let content = item.get("content").and_then(|v| v.as_b().ok()).map(|blob| blob.as_ref().to_vec());
        match (id, content) {
            (Some(id), Some(content)) => Ok(Some((id, content))),
            _ => Err(PortError::Unexpected { operation: OPERATION, code: "row".into() }),
        }
    }
}
