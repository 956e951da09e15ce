//! An audit row as bytes: every field that is stored, in one way only. Two rows have the same bytes if and only if they
//! have the same content, whatever order a stream or an SDK gives the fields in.

use domain::ids::TenantId;
use serde_json::Value;
use std::fmt::Write as _;

/// A row on its way into the trail.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Which row of its tenant: its sort key. The same row has the same one however often the stream offers it.
    pub id: String,
    /// When the table took it, in seconds since 1970, as the stream says; the same in every replay.
    pub written: i64,
    /// The canonical bytes, one line of JSON.
    pub content: String,
}

/// Ids and times only, as everywhere.
impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("id", &self.id).field("written", &self.written).finish_non_exhaustive()
    }
}

/// The tenant and the row of an item as the stream spells it (`{"pk": {"S": "TENANT#main"}, ...}`); `None` if it is no audit
/// row.
pub fn row_of_image(image: &Value, written: i64) -> Option<(TenantId, Row)> {
    let text = |name: &str| image.get(name)?.get("S")?.as_str();
    let tenant = TenantId::parse(text("pk")?.strip_prefix("TENANT#")?).ok()?;
    let id = text("sk").filter(|id| !id.is_empty())?.to_owned();
    Some((tenant, Row { id, written, content: canonical_row(image) }))
}

/// The row's line in a file, without its end.
pub fn line(seq: u64, row: &Row) -> String {
    format!("{{\"seq\":{seq},\"written\":{},\"row\":{}}}", row.written, row.content)
}

/// A stored item: names in byte order, members of sets in byte order, no spaces.
pub fn canonical_row(item: &Value) -> String {
    let mut out = String::with_capacity(512);
    write_item(item, &mut out);
    out
}

/// A map from names to typed values.
fn write_item(item: &Value, out: &mut String) {
    write_object(item, out, write_typed);
}

/// A typed value, such as `{"S": "x"}`.
fn write_typed(typed: &Value, out: &mut String) {
    let Value::Object(pairs) = typed else { return write_plain(typed, out) };
    let mut kinds: Vec<(&String, &Value)> = pairs.iter().collect();
    kinds.sort_unstable_by_key(|(kind, _)| *kind);
    out.push('{');
    for (at, (kind, value)) in kinds.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_string(kind, out);
        out.push(':');
        match (kind.as_str(), value) {
            // A set has no order of its own.
            ("SS" | "NS" | "BS", Value::Array(members)) => {
                let mut members: Vec<String> = members.iter().map(plain).collect();
                members.sort_unstable();
                out.push('[');
                out.push_str(&members.join(","));
                out.push(']');
            }
            ("M", value) => write_item(value, out),
            ("L", Value::Array(members)) => write_array(members, out, write_typed),
            (_, value) => write_plain(value, out),
        }
    }
    out.push('}');
}

fn write_object(value: &Value, out: &mut String, write: impl Fn(&Value, &mut String)) {
    let Value::Object(pairs) = value else { return write_plain(value, out) };
    let mut pairs: Vec<(&String, &Value)> = pairs.iter().collect();
    // Sorted here: whether the map is depends on a feature of another crate.
    pairs.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

fn write_array(members: &[Value], out: &mut String, write: impl Fn(&Value, &mut String)) {
    out.push('[');
    for (at, member) in members.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(member, out);
    }
    out.push(']');
}

fn plain(value: &Value) -> String {
    let mut out = String::new();
    write_plain(value, &mut out);
    out
}

fn write_plain(value: &Value, out: &mut String) {
    match value {
        Value::Object(_) => write_object(value, out, write_plain),
        Value::Array(members) => write_array(members, out, write_plain),
        Value::String(text) => write_string(text, out),
        // Writing into a string does not fail.
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    let _ = write!(out, "{}", Value::from(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_content_has_the_same_bytes_and_no_other_has() {
        let one = json!({ "sk": { "S": "1" }, "roles": { "SS": ["b", "a"] }, "data": { "M": { "y": { "N": "1" }, "x": { "L": [{ "S": "q\n" }, { "NULL": true }] } } } });
        let text =
            r#"{"data":{"M":{"x":{"L":[{"S":"q\n"},{"NULL":true}]},"y":{"N":"1"}}},"roles":{"SS":["a","b"]},"sk":{"S":"1"}}"#;
        assert_eq!(canonical_row(&one), text);
        let again: Value = serde_json::from_str(text).unwrap();
        assert_eq!(canonical_row(&again), text);
        for other in [
            json!({ "n": { "N": "1" } }),
            json!({ "n": { "S": "1" } }),
            json!({ "n": { "L": [] } }),
            json!({ "n": { "SS": [] } }),
        ] {
            assert_eq!(serde_json::from_str::<Value>(&canonical_row(&other)).unwrap(), other);
        }
        // A list has an order, a set has none.
        assert_ne!(
            canonical_row(&json!({ "l": { "L": [{ "S": "a" }, { "S": "b" }] } })),
            canonical_row(&json!({ "l": { "L": [{ "S": "b" }, { "S": "a" }] } }))
        );
    }

    #[test]
    fn what_is_no_audit_row_is_none() {
        for image in [
            json!(null),
            json!({}),
            json!({ "pk": { "S": "TENANT#main" } }),
            json!({ "pk": { "S": "ALERT#main" }, "sk": { "S": "x" } }),
            json!({ "pk": { "S": "TENANT#Not a tenant" }, "sk": { "S": "x" } }),
            json!({ "pk": { "N": "1" }, "sk": { "S": "x" } }),
            json!({ "pk": { "S": "TENANT#main" }, "sk": { "S": "" } }),
        ] {
            assert!(row_of_image(&image, 0).is_none(), "{image}");
        }
        let (tenant, row) = row_of_image(&json!({ "pk": { "S": "TENANT#main" }, "sk": { "S": "x" } }), 7).unwrap();
        assert_eq!((tenant.as_str(), row.id.as_str()), ("main", "x"));
        assert_eq!(line(3, &row), r#"{"seq":3,"written":7,"row":{"pk":{"S":"TENANT#main"},"sk":{"S":"x"}}}"#);
        assert!(!format!("{row:?}").contains("TENANT"));
    }
}
