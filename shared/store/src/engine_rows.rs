//! Which engine serves which tenant: rows of the documents table, in a partition of their own.
//!
//! ```text
//! pk = TENANTS   sk = {tenant}
//! engine copied_to
//! ```

use crate::item::{s, text};
use crate::port_error;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::scale::{Engine, EngineRegistry, EngineState};

/// The partition. A tenant's own begins with `TENANT#`.
const PARTITION: &str = "TENANTS";

/// The rows.
#[derive(Debug, Clone)]
pub struct EngineRows {
    client: Client,
    name: String,
}

impl EngineRows {
    /// The rows of the documents table.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }
}

fn engine(name: &str) -> Option<Engine> {
    [Engine::Segments, Engine::Copying, Engine::Vectors].into_iter().find(|engine| engine.as_str() == name)
}

#[async_trait]
impl EngineRegistry for EngineRows {
    async fn engine(&self, tenant: &TenantId) -> Result<EngineState, PortError> {
        const OPERATION: &str = "GetItem engine";
        let key = self.client.get_item().table_name(&self.name).key("pk", s(PARTITION)).key("sk", s(tenant.as_str()));
        let got = key.consistent_read(true).send().await.map_err(|error| port_error(OPERATION, &error))?;
        let Some(row) = got.item else { return Ok(EngineState::default()) };
        let engine = text(&row, "engine").and_then(engine);
        let engine = engine.ok_or(PortError::Unexpected { operation: OPERATION, code: "row".into() })?;
        let copied_to = text(&row, "copied_to").and_then(|id| DocumentId::parse(id).ok());
        Ok(EngineState { engine, copied_to })
    }

    async fn switch(&self, tenant: &TenantId, from: &EngineState, to: &EngineState) -> Result<(), PortError> {
        let mut expected = "engine = :from".to_owned();
        if *from == EngineState::default() {
            expected = format!("(attribute_not_exists(engine) OR {expected})");
        }
        let mut update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", s(PARTITION))
            .key("sk", s(tenant.as_str()))
            .expression_attribute_values(":from", s(from.engine.as_str()))
            .expression_attribute_values(":to", s(to.engine.as_str()));
        let copied = match &from.copied_to {
            Some(id) => {
                update = update.expression_attribute_values(":before", s(id.as_str()));
                "copied_to = :before"
            }
            None => "attribute_not_exists(copied_to)",
        };
        let change = match &to.copied_to {
            Some(id) => {
                update = update.expression_attribute_values(":copied", s(id.as_str()));
                "SET engine = :to, copied_to = :copied"
            }
            None => "SET engine = :to REMOVE copied_to",
        };
        update
            .update_expression(change)
            .condition_expression(format!("{expected} AND {copied}"))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("UpdateItem engine", &error))
    }
}
