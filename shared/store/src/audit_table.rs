//! The audit trail: rows are put, never changed. The function's role has `PutItem` and nothing else.
//!
//! ```text
//! pk = TENANT#{tenant}   sk = {ULID}   id timestamp entity_type entity_id data created_at
//! event_type action outcome agent roles request_id source?
//! ```
//! `id, timestamp, entity_type, entity_id, data, created_at` are the names that the audited systems agreed on; the rest are
//! FHIR `AuditEvent`'s.

use crate::item::{Item, n, s};
use crate::port_error;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::SdkConfig;
use domain::audit::{AuditEvent, AuditLog};
use domain::fault::PortError;

/// The audit table.
#[derive(Debug, Clone)]
pub struct AuditTable {
    client: Client,
    name: String,
}

impl AuditTable {
    /// A table by name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }
}

fn item(event: &AuditEvent) -> Result<Item, PortError> {
    let data = serde_json::to_string(&event.details)
        .map_err(|_| PortError::Unexpected { operation: "PutItem audit", code: "details".into() })?;
    let mut item = Item::from([
        ("pk".into(), s(format!("TENANT#{}", event.tenant))),
        ("sk".into(), s(event.id.to_string())),
        ("id".into(), s(event.id.to_string())),
        ("timestamp".into(), s(event.recorded.to_string())),
        ("created_at".into(), n(event.recorded.as_millisecond())),
        ("entity_type".into(), s(event.entity.kind())),
        ("entity_id".into(), s(event.entity.id())),
        ("data".into(), s(data)),
        ("event_type".into(), s(event.event_type.as_str())),
        ("action".into(), s(event.event_type.action().as_str())),
        ("outcome".into(), s(event.outcome.as_str())),
        ("agent".into(), s(event.agent.as_str())),
        ("request_id".into(), s(event.request_id.as_str())),
    ]);
    if let Some(source) = &event.source {
        item.insert("source".into(), s(source.as_str()));
    }
    if !event.roles.is_empty() {
        item.insert("roles".into(), AttributeValue::Ss(event.roles.iter().map(|r| r.as_str().to_owned()).collect()));
    }
    Ok(item)
}

#[async_trait]
impl AuditLog for AuditTable {
    async fn append(&self, event: &AuditEvent) -> Result<(), PortError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item(event)?))
            .condition_expression("attribute_not_exists(pk)");
        match put.send().await.map_err(|error| port_error("PutItem audit", &error)) {
            // An SDK retry of a write that had landed: the id is ours alone, so the row there is this event.
            Ok(_) | Err(PortError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
