//! Attribute maps: reading and writing single attributes.

use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

/// A row as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

pub fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

#[expect(clippy::needless_pass_by_value, reason = "numbers; `n(3)` reads better than `n(&3)`")]
pub fn n(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A text attribute.
pub fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|v| v.as_s().ok()).map(String::as_str)
}

/// A number attribute.
pub fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name).and_then(|v| v.as_n().ok()).and_then(|v| v.parse().ok())
}

/// A set of texts; DynamoDB has no empty ones.
pub fn set(values: impl Iterator<Item = String>) -> Option<AttributeValue> {
    let values: Vec<String> = values.collect();
    (!values.is_empty()).then_some(AttributeValue::Ss(values))
}

/// The texts of a set, none if it is absent; nothing if the attribute is something else.
pub fn texts<'a>(item: &'a Item, name: &str) -> Option<&'a [String]> {
    item.get(name).map_or(Some(&[]), |value| value.as_ss().ok().map(Vec::as_slice))
}
