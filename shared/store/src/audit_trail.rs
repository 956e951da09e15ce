//! Reading the audit trail: the table for a time, an index for an entity, an actor, a kind or a request. What one key does
//! not say is filtered by the database.

use crate::audit_table::partition;
use crate::item::{Item, s, text};
use crate::port_error;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use aws_types::SdkConfig;
use domain::audit::coverage::{AccessRecord, RequestTrail};
use domain::audit::search::{AuditTrail, TrailFilter, TrailPage, TrailRow};
use domain::fault::PortError;
use domain::ids::TenantId;
use futures_util::future::join_all;
use jiff::Timestamp;
use std::collections::HashMap;
use ulid::Ulid;

const OPERATION: &str = "Query audit";
/// Reads behind one page. Beyond that the page is short and says where to go on.
const READS_MAX: usize = 20;
/// Requests that are asked about at the same time.
const AT_ONCE: usize = 32;

/// The audit table, to read.
#[derive(Debug, Clone)]
pub struct AuditRows {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl AuditRows {
    /// A table by name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    async fn has_row(&self, request: &AccessRecord) -> Result<bool, PortError> {
        let time = request.rows_between();
        let found = self
            .client
            .query()
            .table_name(&self.name)
            .index_name("by-request")
            .key_condition_expression("request_id = :request AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":request", s(request.request.as_str()))
            .expression_attribute_values(":from", s(edge(time.from, 0)))
            .expression_attribute_values(":to", s(edge(time.to, 0)))
            .limit(1)
            .select(Select::Count)
            .send()
            .await
            .map_err(|error| port_error(OPERATION, &error))?;
        Ok(found.count > 0)
    }
}

#[async_trait]
impl RequestTrail for AuditRows {
    async fn has_rows(&self, requests: &[AccessRecord]) -> Result<Vec<bool>, PortError> {
        let mut found = Vec::with_capacity(requests.len());
        for some in requests.chunks(AT_ONCE) {
            for has_row in join_all(some.iter().map(|request| self.has_row(request))).await {
                found.push(has_row?);
            }
        }
        Ok(found)
    }
}

/// Which index, its key's attribute, and the key.
fn index(tenant: &TenantId, filter: &TrailFilter) -> (Option<&'static str>, &'static str, String) {
    if let Some((kind, id)) = &filter.entity {
        (Some("by-entity"), "entity_key", format!("{tenant}#{kind}#{id}"))
    } else if let Some(request) = &filter.request {
        (Some("by-request"), "request_id", request.as_str().to_owned())
    } else if let Some(actor) = &filter.actor {
        (Some("by-actor"), "actor_key", format!("{tenant}#{actor}"))
    } else if let Some(event_type) = filter.event_type {
        (Some("by-type"), "type_key", format!("{tenant}#{}", event_type.as_str()))
    } else {
        (None, "pk", partition(tenant))
    }
}

/// The first or last id of a time. An id begins with its millisecond.
pub(crate) fn edge(time: Timestamp, rest: u128) -> String {
    Ulid::from_parts(u64::try_from(time.as_millisecond()).unwrap_or(0), rest).to_string()
}

fn row(item: &Item) -> TrailRow {
    let of = |name| text(item, name).unwrap_or_default().to_owned();
    let mut roles = item.get("roles").and_then(|v| v.as_ss().ok()).cloned().unwrap_or_default();
    roles.sort();
    TrailRow {
        id: of("id"),
        timestamp: of("timestamp"),
        event_type: of("event_type"),
        action: of("action"),
        outcome: of("outcome"),
        entity_type: of("entity_type"),
        entity_id: of("entity_id"),
        agent: of("agent"),
        roles,
        request_id: of("request_id"),
        source: text(item, "source").map(str::to_owned),
        details: of("data"),
    }
}

#[async_trait]
impl AuditTrail for AuditRows {
    async fn page(
        &self,
        tenant: &TenantId,
        filter: &TrailFilter,
        after: Option<Ulid>,
        limit: u32,
    ) -> Result<TrailPage, PortError> {
        let (index, attribute, key) = index(tenant, filter);
        let mut values: HashMap<String, AttributeValue> = HashMap::from([
            (":key".into(), s(key)),
            // Without a bound the whole of the time that an id can say.
            (":from".into(), s(edge(filter.from.unwrap_or(Timestamp::UNIX_EPOCH), 0))),
            (":to".into(), s(filter.to.map_or_else(|| "8".to_owned(), |to| edge(to, 0)))),
        ]);
        // A page goes on strictly after its last row. `:to` itself is no row's id: its random part is zero.
        if let Some(after) = after {
            if filter.newest_first {
                values.insert(":to".into(), s(Ulid(after.0.saturating_sub(1)).to_string()));
            } else {
                values.insert(":from".into(), s(Ulid(after.0.saturating_add(1)).to_string()));
            }
        }
        if values[":from"].as_s().ok() > values[":to"].as_s().ok() {
            return Ok(TrailPage::default());
        }
        let mut wanted = Vec::new();
        let mut want = |name: &'static str, value: Option<String>| {
            if let Some(value) = value.filter(|_| name != attribute) {
                values.insert(format!(":{name}"), s(value));
                wanted.push(format!("{name} = :{name}"));
            }
        };
        want("pk", Some(partition(tenant)).filter(|_| index.is_some()));
        want("entity_key", filter.entity.as_ref().map(|(kind, id)| format!("{tenant}#{kind}#{id}")));
        want("request_id", filter.request.as_ref().map(|request| request.as_str().to_owned()));
        want("actor_key", filter.actor.as_ref().map(|actor| format!("{tenant}#{actor}")));
        want("type_key", filter.event_type.map(|kind| format!("{tenant}#{}", kind.as_str())));
        let limit = limit as usize;
        let mut rows: Vec<TrailRow> = Vec::new();
        let mut start: Option<Item> = None;
        for _ in 0..READS_MAX {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .set_index_name(index.map(str::to_owned))
                .key_condition_expression(format!("{attribute} = :key AND sk BETWEEN :from AND :to"))
                .set_filter_expression((!wanted.is_empty()).then(|| wanted.join(" AND ")))
                .set_expression_attribute_values(Some(values.clone()))
                .scan_index_forward(!filter.newest_first)
                .set_exclusive_start_key(start.take())
                // One more than asked for tells whether there is a next page.
                .limit(i32::try_from(limit + 1 - rows.len()).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| port_error(OPERATION, &error))?;
            rows.extend(page.items().iter().map(row));
            start = page.last_evaluated_key;
            if start.is_none() || rows.len() > limit {
                break;
            }
        }
        let last_read = start.as_ref().and_then(|key| text(key, "sk")).and_then(|id| Ulid::from_string(id).ok());
        let next = if rows.len() > limit {
            rows.truncate(limit);
            rows.last().and_then(|row| Ulid::from_string(&row.id).ok())
        } else {
            last_read
        };
        Ok(TrailPage { rows, next })
    }
}
