//! How often a provider has refused a key, by version and minute: a row for each minute, counted up by one write, that goes by
//! itself. The rotation reads what the chat function wrote; nobody else sees a refusal.

use crate::item::{n, number, s};
use crate::{LimitsTable, port_error};
use async_trait::async_trait;
use domain::fault::PortError;
use domain::keys::{KeyVersion, RefusalLog};
use jiff::Timestamp;

/// The window that is looked at is a quarter of an hour.
const KEPT_SECONDS: i64 = 24 * 3_600;

fn partition(provider: &str, version: &KeyVersion) -> String {
    format!("KEY#{provider}#{}", version.0)
}

/// Of one width, so that text order is the order.
fn minute(at: Timestamp) -> String {
    format!("{:012}", at.as_second().max(0) / 60)
}

#[async_trait]
impl RefusalLog for LimitsTable {
    async fn note(&self, provider: &'static str, version: &KeyVersion, now: Timestamp) -> Result<(), PortError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", s(partition(provider, version)))
            .key("sk", s(minute(now)))
            .update_expression("ADD refusals :one SET expires_at = :expiry")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":expiry", n(now.as_second() + KEPT_SECONDS));
        update.send().await.map(|_| ()).map_err(|error| port_error("UpdateItem refusals", &error))
    }

    async fn count(&self, provider: &'static str, version: &KeyVersion, since: Timestamp) -> Result<u32, PortError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND sk >= :since")
            .expression_attribute_values(":pk", s(partition(provider, version)))
            .expression_attribute_values(":since", s(minute(since)))
            .consistent_read(true);
        // One page: a row a minute for a quarter of an hour.
        let page = query.send().await.map_err(|error| port_error("Query refusals", &error))?;
        Ok(page.items().iter().filter_map(|item| number::<u32>(item, "refusals")).sum())
    }
}
