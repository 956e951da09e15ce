//! CSV (RFC 4180). Every field is quoted, and one that a spreadsheet would take for a formula gets an apostrophe in front.

use domain::audit::search::TrailRow;

const COLUMNS: [&str; 12] = [
    "id",
    "timestamp",
    "event_type",
    "action",
    "outcome",
    "entity_type",
    "entity_id",
    "actor",
    "roles",
    "request_id",
    "source",
    "data",
];

fn field(text: &str) -> String {
    // What spreadsheets begin a formula with, or skip before one.
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%', '＝', '＋', '－', '＠']);
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, text.replace('"', "\"\""))
}

/// The file: a header and a line per row.
pub fn write(rows: &[TrailRow]) -> String {
    let line = |fields: Vec<String>| fields.join(",") + "\r\n";
    let mut text = line(COLUMNS.iter().map(|name| field(name)).collect());
    for row in rows {
        let roles = row.roles.join(" ");
        let fields = [
            &row.id,
            &row.timestamp,
            &row.event_type,
            &row.action,
            &row.outcome,
            &row.entity_type,
            &row.entity_id,
            &row.agent,
            &roles,
            &row.request_id,
            row.source.as_ref().unwrap_or(&String::new()),
            &row.details,
        ]
        .map(|value| field(value));
        text.push_str(&line(fields.to_vec()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_field_is_run_or_ends_the_field() {
        for evil in ["=HYPERLINK(\"x\")", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "|calc", "＝1"] {
            assert!(field(evil).starts_with("\"'"), "{evil:?}");
        }
        assert_eq!(field("a \"b\", c"), "\"a \"\"b\"\", c\"");
        let row = TrailRow { entity_id: "=cmd()\"\r\n".into(), details: "{\"rows\":1}".into(), ..TrailRow::default() };
        let text = write(&[row]);
        assert!(text.starts_with("\"id\",\"timestamp\"") && text.contains("\"'=cmd()\"\"\r\n\"") && text.ends_with("\r\n"));
    }
}
