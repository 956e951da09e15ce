//! What the alerts remember, in the audit functions' table.
//!
//! ```text
//! pk = SEEN#{rule}#{tenant}#{digest}      sk = {ULID of the row}
//! pk = ALERT#{rule}#{tenant}#{period}     sk = {digest} or #storm     holder lease sent
//! ```

use crate::audit_state::AuditState;
use crate::item::{Item, n, s, text};
use crate::port_error;
use async_trait::async_trait;
use aws_sdk_dynamodb::types::Select;
use domain::audit::watch::{AlertMemory, Claim, Claimed, STORM};
use domain::fault::PortError;
use jiff::Timestamp;
use ulid::Ulid;

#[async_trait]
impl AlertMemory for AuditState {
    async fn note(&self, series: &str, row: Ulid, from: Timestamp, expires: Timestamp, limit: u32) -> Result<u32, PortError> {
        const OPERATION: &str = "PutItem alert series";
        let key = s(format!("SEEN#{series}"));
        let put = self.client.put_item().table_name(&self.name).item("pk", key.clone()).item("sk", s(row.to_string()));
        let put = put.item("expires_at", n(expires.as_second())).send().await;
        put.map_err(|error| port_error(OPERATION, &error))?;
        let from = Ulid::from_parts(u64::try_from(from.as_millisecond()).unwrap_or(0), 0);
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :key AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":key", key)
            .expression_attribute_values(":from", s(from.to_string()))
            .expression_attribute_values(":to", s(row.to_string()))
            .select(Select::Count)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let found = query.send().await.map_err(|error| port_error("Query alert series", &error))?;
        Ok(u32::try_from(found.count).unwrap_or(0))
    }

    async fn claims(&self, group: &str, limit: usize) -> Result<Vec<String>, PortError> {
        // The message about too many sorts first: one more, to leave it out.
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :key")
            .expression_attribute_values(":key", s(format!("ALERT#{group}")))
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX));
        let found = query.send().await.map_err(|error| port_error("Query alerts", &error))?;
        let keys = found.items().iter().filter_map(|item| text(item, "sk")).filter(|key| *key != STORM);
        Ok(keys.take(limit).map(str::to_owned).collect())
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        const OPERATION: &str = "UpdateItem alert";
        let (pk, sk) = (s(format!("ALERT#{}", claim.group)), s(&claim.key));
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", pk.clone())
            .key("sk", sk.clone())
            .update_expression("SET holder = :holder, lease = :until, expires_at = :expires")
            .condition_expression(
                "attribute_not_exists(sent) AND (attribute_not_exists(holder) OR holder = :holder OR lease < :now)",
            )
            .expression_attribute_values(":holder", s(&claim.holder))
            .expression_attribute_values(":now", n(claim.now.as_millisecond()))
            .expression_attribute_values(":until", n(claim.until.as_millisecond()))
            .expression_attribute_values(":expires", n(claim.expires.as_second()));
        match update.send().await.map_err(|error| port_error(OPERATION, &error)) {
            Ok(_) => Ok(Claimed::Mine),
            Err(PortError::Conflict { .. }) => {
                let get = self.client.get_item().table_name(&self.name).key("pk", pk).key("sk", sk).consistent_read(true);
                let row: Option<Item> = get.send().await.map_err(|error| port_error("GetItem alert", &error))?.item;
                let is_sent = row.is_some_and(|row| row.contains_key("sent"));
                Ok(if is_sent { Claimed::Sent } else { Claimed::Elsewhere })
            }
            Err(error) => Err(error),
        }
    }

    async fn sent(&self, claim: &Claim) -> Result<(), PortError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", s(format!("ALERT#{}", claim.group)))
            .key("sk", s(&claim.key))
            .update_expression("SET sent = :now")
            .expression_attribute_values(":now", n(claim.now.as_millisecond()));
        update.send().await.map(|_| ()).map_err(|error| port_error("UpdateItem alert", &error))
    }
}
