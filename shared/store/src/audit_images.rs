//! Rows of the audit table in the form in which the table's stream shows them: what the seal reads, when the stream has them no
//! longer.

use crate::audit_table::partition;
use crate::audit_trail::{AuditRows, edge};
use crate::item::{Item, s, text};
use crate::port_error;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::fault::PortError;
use domain::ids::TenantId;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

const OPERATION: &str = "Query audit images";
/// Rows of one batch: what the stream hands over at a time, and far below what an invocation may carry.
const BATCH: i32 = 500;

impl AuditRows {
    /// Some rows of a tenant in their order, after this row if one is named, and after which the next ones come.
    pub async fn images(
        &self,
        tenant: &TenantId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        after: Option<String>,
    ) -> Result<(Vec<Value>, Option<String>), PortError> {
        let pk = s(partition(tenant));
        let start = after.map(|sk| Item::from([("pk".into(), pk.clone()), ("sk".into(), s(sk))]));
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", pk)
            .expression_attribute_values(":from", s(edge(from.unwrap_or(Timestamp::UNIX_EPOCH), 0)))
            .expression_attribute_values(":to", s(to.map_or_else(|| "8".to_owned(), |to| edge(to, 0))))
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .limit(BATCH)
            .send()
            .await
            .map_err(|error| port_error(OPERATION, &error))?;
        let images: Option<Vec<Value>> = page.items().iter().map(image).collect();
        let images = images.ok_or_else(|| PortError::Unexpected { operation: OPERATION, code: "attribute".into() })?;
        let next = page.last_evaluated_key.as_ref().and_then(|key| text(key, "sk")).map(str::to_owned);
        Ok((images, next))
    }
}

fn image(item: &Item) -> Option<Value> {
    let attributes = item.iter().map(|(name, value)| Some((name.clone(), attribute(value)?)));
    attributes.collect::<Option<Map<String, Value>>>().map(Value::Object)
}

/// An attribute as the stream writes it. Kinds that DynamoDB may add one day are not guessed at.
fn attribute(value: &AttributeValue) -> Option<Value> {
    let bytes = |blob: &aws_sdk_dynamodb::primitives::Blob| STANDARD.encode(blob.as_ref());
    Some(match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(is) => json!({ "BOOL": is }),
        AttributeValue::Null(is) => json!({ "NULL": is }),
        AttributeValue::B(blob) => json!({ "B": bytes(blob) }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(blobs) => json!({ "BS": blobs.iter().map(bytes).collect::<Vec<_>>() }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(attribute).collect::<Option<Vec<_>>>()? }),
        AttributeValue::M(values) => json!({ "M": image(values)? }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_looks_as_in_the_stream() {
        let item = Item::from([
            ("sk".to_owned(), s("01KE6B04")),
            ("created_at".to_owned(), AttributeValue::N("1767600000123".into())),
            ("roles".to_owned(), AttributeValue::Ss(vec!["auditor".into()])),
            ("content".to_owned(), AttributeValue::B(vec![1, 2].into())),
            (
                "odd".to_owned(),
                AttributeValue::M(Item::from([("x".to_owned(), AttributeValue::L(vec![AttributeValue::Bool(true)]))])),
            ),
        ]);
        let expected = json!({
            "sk": { "S": "01KE6B04" }, "created_at": { "N": "1767600000123" }, "roles": { "SS": ["auditor"] },
            "content": { "B": "AQI=" }, "odd": { "M": { "x": { "L": [{ "BOOL": true }] } } },
        });
        assert_eq!(image(&item), Some(expected));
    }
}
