//! The audit trail: rows are put, never changed. A writer's role has `PutItem` and nothing else.
//!
//! ```text
//! pk = TENANT#{tenant}   sk = {ULID}   id timestamp entity_type entity_id data created_at
//! event_type action outcome agent roles request_id source? expires_at
//! entity_key actor_key type_key                                  what the indexes are made of
//! ```
//! `id, timestamp, entity_type, entity_id, data, created_at` are the names that the audited systems agreed on; the rest are
//! FHIR `AuditEvent`'s.

use crate::audit_state::AuditState;
use crate::item::{Item, n, s};
use crate::port_error;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use aws_types::SdkConfig;
use domain::audit::receive::{EventIntake, Taken};
use domain::audit::{AuditEvent, AuditLog, TABLE_DAYS};
use domain::fault::PortError;
use domain::ids::TenantId;

/// Nobody may update a row, so when it leaves the table is said when it is written.
const DAY_S: i64 = 86_400;

/// The audit table.
#[derive(Debug, Clone)]
pub struct AuditTable {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl AuditTable {
    /// A table by name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }
}

/// The partition of a tenant.
pub(crate) fn partition(tenant: &TenantId) -> String {
    format!("TENANT#{tenant}")
}

fn item(event: &AuditEvent) -> Result<Item, PortError> {
    let data = serde_json::to_string(&event.details)
        .map_err(|_| PortError::Unexpected { operation: "PutItem audit", code: "details".into() })?;
    let tenant = &event.tenant;
    let mut item = Item::from([
        ("pk".into(), s(partition(tenant))),
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
        ("entity_key".into(), s(format!("{tenant}#{}#{}", event.entity.kind(), event.entity.id()))),
        ("actor_key".into(), s(format!("{tenant}#{}", event.agent))),
        ("type_key".into(), s(format!("{tenant}#{}", event.event_type.as_str()))),
        ("expires_at".into(), n(event.recorded.as_second() + TABLE_DAYS * DAY_S)),
    ]);
    // An index takes no empty key.
    if !event.request_id.as_str().is_empty() {
        item.insert("request_id".into(), s(event.request_id.as_str()));
    }
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

/// Takes other systems' events: the trail's table and the table of keys, written in one transaction.
#[derive(Debug, Clone)]
pub struct AuditIntake {
    trail: AuditTable,
    state: AuditState,
}

impl AuditIntake {
    /// Over both tables.
    pub const fn new(trail: AuditTable, state: AuditState) -> Self {
        Self { trail, state }
    }
}

#[async_trait]
impl EventIntake for AuditIntake {
    async fn take(&self, event: &AuditEvent, key: &[u8; 32], content: &[u8; 32]) -> Result<Taken, PortError> {
        const OPERATION: &str = "TransactWriteItems audit";
        let put = |table: &str, item: Item| {
            let put = Put::builder().table_name(table).set_item(Some(item)).condition_expression("attribute_not_exists(pk)");
            let put = put.build().map_err(|_| PortError::Unexpected { operation: OPERATION, code: "put".into() })?;
            Ok::<_, PortError>(TransactWriteItem::builder().put(put).build())
        };
        let taken = AuditState::taken_row(event, key, content, event.recorded.as_second() + TABLE_DAYS * DAY_S);
        let write = self
            .trail
            .client
            .transact_write_items()
            .transact_items(put(&self.trail.name, item(event)?)?)
            .transact_items(put(self.state.name(), taken)?)
            .send()
            .await;
        let Err(error) = write else { return Ok(Taken::Now) };
        // Anything but a condition that did not hold is what it is everywhere: a denied write does not pass by itself.
        if !error.as_service_error().is_some_and(TransactWriteItemsError::is_transaction_canceled_exception) {
            return Err(port_error(OPERATION, &error));
        }
        // Either the key is known, or two of the same ran into each other: what is there now decides.
        match self.state.taken(&event.tenant, key).await? {
            Some((id, stored)) if stored == *content => Ok(if id == event.id { Taken::Now } else { Taken::Before(id) }),
            Some(_) => Ok(Taken::Other),
            None => Err(PortError::Unavailable { operation: OPERATION, code: "TransactionConflict".into() }),
        }
    }
}
