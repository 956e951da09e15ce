//! How often a provider has refused a key, by minute and version: a row for each, counted up by one write, that goes by itself.
//! The rotation reads what the chat function wrote; nobody else sees a refusal. And what the rotation has told, so that it is told once.

use crate::item::{Item, n, number, s, text};
use crate::{LimitsTable, port_error};
use async_trait::async_trait;
use domain::alert::ToldLog;
use domain::fault::PortError;
use domain::keys::{KeyVersion, RefusalLog};
use jiff::Timestamp;

/// The window that is looked at is a quarter of an hour.
const KEPT_SECONDS: i64 = 24 * 3_600;
/// What is told is told again on another day.
const TOLD_SECONDS: i64 = 48 * 3_600;
const TOLD: &str = "told";

/// All versions of a provider's key, so that one question tells whether any was refused.
fn partition(provider: &str) -> String {
    format!("KEY#{provider}")
}

fn told(dedupe_key: &str) -> String {
    format!("TOLD#{dedupe_key}")
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
            .key("pk", s(partition(provider)))
            .key("sk", s(format!("{}#{}", minute(now), version.0)))
            .update_expression("ADD refusals :one SET expires_at = :expiry")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":expiry", n(now.as_second() + KEPT_SECONDS));
        update.send().await.map(|_| ()).map_err(|error| port_error("UpdateItem refusals", &error))
    }

    async fn has_any(&self, provider: &'static str, since: Timestamp) -> Result<bool, PortError> {
        Ok(!self.refusals(provider, since).await?.is_empty())
    }

    async fn count(&self, provider: &'static str, version: &KeyVersion, since: Timestamp) -> Result<u32, PortError> {
        let items = self.refusals(provider, since).await?;
        let is_of = |item: &&Item| text(item, "sk").is_some_and(|key| key.split_once('#').is_some_and(|(_, of)| of == version.0));
        Ok(items.iter().filter(is_of).filter_map(|item| number::<u32>(item, "refusals")).sum())
    }
}

impl LimitsTable {
    /// The rows of a provider since a time.
    async fn refusals(&self, provider: &str, since: Timestamp) -> Result<Vec<Item>, PortError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND sk >= :since")
            .expression_attribute_values(":pk", s(partition(provider)))
            .expression_attribute_values(":since", s(minute(since)))
            .consistent_read(true);
        // One page: a row a minute and version for a quarter of an hour.
        let page = query.send().await.map_err(|error| port_error("Query refusals", &error))?;
        Ok(page.items().to_vec())
    }
}

#[async_trait]
impl ToldLog for LimitsTable {
    async fn was_told(&self, dedupe_key: &str) -> Result<bool, PortError> {
        let get = self.client.get_item().table_name(&self.name).key("pk", s(told(dedupe_key))).key("sk", s(TOLD));
        let got = get.consistent_read(true).send().await.map_err(|error| port_error("GetItem told", &error))?;
        Ok(got.item().is_some())
    }

    async fn note_told(&self, dedupe_key: &str, now: Timestamp) -> Result<(), PortError> {
        let put = self.client.put_item().table_name(&self.name).item("pk", s(told(dedupe_key))).item("sk", s(TOLD));
        let put = put.item("expires_at", n(now.as_second() + TOLD_SECONDS));
        put.send().await.map(|_| ()).map_err(|error| port_error("PutItem told", &error))
    }
}
