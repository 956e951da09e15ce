//! What the alerts remember, in the audit functions' table.
//!
//! ```text
//! pk = SEEN#{rule}#{tenant}#{digest}      sk = {when it happened, and the row, as a ULID}
//! pk = ALERT#{rule}#{tenant}#{period}     sk = {digest} or #storm     holder lease sent
//! ```

use crate::audit_state::AuditState;
use crate::item::{Item, n, s, text};
use crate::port_error;
use async_trait::async_trait;
use domain::audit::watch::{AlertMemory, Claim, Claimed, Mark, STORM};
use domain::fault::PortError;
use jiff::Timestamp;
use ulid::Ulid;

/// Rows of a series are in the order in which things happened.
fn place(at: Timestamp, random: u128) -> String {
    Ulid::from_parts(u64::try_from(at.as_millisecond()).unwrap_or(0), random).to_string()
}

#[async_trait]
impl AlertMemory for AuditState {
    async fn note(&self, mark: &Mark) -> Result<Vec<Timestamp>, PortError> {
        const OPERATION: &str = "PutItem alert series";
        let (pk, sk) = (s(format!("SEEN#{}", mark.series)), place(mark.at, mark.row.random()));
        let put = self.client.put_item().table_name(&self.name).item("pk", pk.clone()).item("sk", s(&sk));
        let put = put.item("expires_at", n(mark.expires.as_second())).send().await;
        put.map_err(|error| port_error(OPERATION, &error))?;
        let mut times = Vec::new();
        let (earliest, latest) = (place(mark.at - mark.span, 0), place(mark.at + mark.span, u128::MAX));
        for (from, to, is_forward) in [(&earliest, &sk, false), (&sk, &latest, true)] {
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression("pk = :key AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":key", pk.clone())
                .expression_attribute_values(":from", s(from))
                .expression_attribute_values(":to", s(to))
                .scan_index_forward(is_forward)
                .limit(i32::try_from(mark.limit).unwrap_or(i32::MAX));
            let found = query.send().await.map_err(|error| port_error("Query alert series", &error))?;
            let places = found.items().iter().filter_map(|item| Ulid::from_string(text(item, "sk")?).ok());
            // The row itself is at the end of one and the beginning of the other.
            let places = places.filter(|place| !is_forward || place.to_string() != sk);
            times.extend(places.filter_map(|place| Timestamp::from_millisecond(place.timestamp_ms().cast_signed()).ok()));
        }
        Ok(times)
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
