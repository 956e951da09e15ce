//! Documents: the table, the card, the line.

use super::measure::{age, size};
use super::table::{Side, render};
use super::text::one_line;
use super::{Paint, Screen};
use crate::wire::{Document, Status};
use anyhow::Result;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A state in its colour.
pub fn status(status: &Status, paint: Paint) -> String {
    let words = one_line(&status.words());
    if status.is_indexed() {
        paint.good(&words)
    } else if status.is_failed() {
        paint.bad(&words)
    } else {
        paint.moving(&words)
    }
}

/// `extracting 3/20`, as far as it is known.
pub fn stage(document: &Document) -> Option<String> {
    document.progress.as_ref().filter(|_| document.status.0 == "indexing").map(|progress| {
        let stage = one_line(&progress.stage);
        if progress.total == 0 { stage } else { format!("{stage} {}/{}", progress.done, progress.total) }
    })
}

/// The table of `ls`.
pub fn table(documents: &[Document], columns: Option<usize>, paint: Paint, now: Timestamp) -> Vec<String> {
    let head = [
        ("ID", Side::Left),
        ("TITLE", Side::Gives),
        ("STATUS", Side::Left),
        ("PAGES", Side::Right),
        ("SIZE", Side::Right),
        ("AGE", Side::Right),
    ];
    let row = |document: &Document| {
        let detail = document.reason.as_deref().map(one_line).or_else(|| stage(document));
        let shown = status(&document.status, paint);
        vec![
            one_line(&document.id),
            one_line(&document.title),
            detail.map_or_else(|| shown.clone(), |detail| format!("{shown}: {detail}")),
            document.pages.map(|pages| pages.to_string()).unwrap_or_default(),
            document.size_bytes.map(size).unwrap_or_default(),
            age(&document.updated_at, now),
        ]
    };
    render(&head, &documents.iter().map(row).collect::<Vec<_>>(), columns, paint)
}

/// A list in one line; nothing if it is empty.
fn joined(labels: &[String]) -> Option<String> {
    (!labels.is_empty()).then(|| one_line(&labels.join(", ")))
}

/// `name 2, medical record number 1`.
fn identifiers(counts: &BTreeMap<String, u32>) -> String {
    if counts.is_empty() {
        return "none found".into();
    }
    counts.iter().map(|(kind, count)| format!("{} {count}", one_line(kind).replace('_', " "))).collect::<Vec<_>>().join(", ")
}

/// The card of `show`.
pub fn card(document: &Document, screen: &mut Screen, now: Timestamp) -> Result<()> {
    let paint = screen.paint;
    screen.line(paint.strong(&one_line(&document.title)))?;
    let indexed_version = document.searchable_version.as_ref().filter(|v| Some(*v) != document.version.as_ref());
    let rows = [
        ("id", Some(one_line(&document.id))),
        ("file", Some(one_line(&document.name))),
        ("status", Some(status(&document.status, paint))),
        ("progress", stage(document)),
        ("reason", document.reason.as_deref().map(one_line)),
        ("advice", document.advice.as_deref().map(one_line)),
        ("format", document.format.as_deref().map(one_line)),
        ("tags", joined(&document.tags)),
        ("date", document.date.as_deref().map(one_line)),
        ("only for", joined(&document.groups)),
        ("pages", document.pages.map(|n| n.to_string())),
        ("passages", document.chunks.map(|n| n.to_string())),
        ("size", document.size_bytes.map(size)),
        ("identifiers", document.identifiers.as_ref().map(identifiers)),
        ("version", document.version.as_deref().map(one_line)),
        ("answers cite", indexed_version.map(|v| format!("version {}", one_line(v)))),
        ("created", Some(format!("{} (age {})", one_line(&document.created_at), age(&document.created_at, now)))),
        ("updated", Some(format!("{} (age {})", one_line(&document.updated_at), age(&document.updated_at, now)))),
    ];
    for (name, value) in rows.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))) {
        screen.line(format!("{} {value}", paint.faint(&format!("  {name:<12}"))))?;
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::display::testing;
    use serde_json::json;

    /// A document with these fields on top of the ones that are always there.
    pub fn document(fields: &serde_json::Value) -> Document {
        let mut all = json!({
            "id": "doc_0123456789abcdefghjkmnpqrs", "title": "Sepsis", "name": "sepsis.pdf", "format": "pdf", "status": "indexed",
            "created_at": "2026-11-22T11:00:00Z", "updated_at": "2026-11-22T11:59:00Z",
        });
        for (name, value) in fields.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_table() {
        let documents = [
            document(&json!({"pages": 4, "size_bytes": 52_000})),
            document(&json!({"status": "indexing", "progress": {"stage": "embedding", "done": 3, "total": 20}})),
            document(&json!({"status": "failed", "reason": "encrypted", "title": "A\u{1b}[31m\nB"})),
            document(&json!({"status": "awaiting_upload"})),
        ];
        assert_eq!(
            table(&documents, None, Paint::OFF, now()).join("\n"),
            "\
ID                              TITLE     STATUS                    PAGES   SIZE    AGE
doc_0123456789abcdefghjkmnpqrs  Sepsis    indexed                       4  51 KB  1 min
doc_0123456789abcdefghjkmnpqrs  Sepsis    indexing: embedding 3/20                1 min
doc_0123456789abcdefghjkmnpqrs  A [31m B  failed: encrypted                       1 min
doc_0123456789abcdefghjkmnpqrs  Sepsis    awaiting upload                         1 min"
        );
    }

    #[test]
    fn the_card_shows_what_is_known() {
        let (mut screen, out, _) = testing::screen();
        let failed = json!({"status": "failed", "reason": "encrypted", "advice": "Remove the password.",
            "version": "v2", "searchable_version": "v1", "tags": ["draft", "ward 3"], "date": "2026-03-01", "groups": ["icu"]});
        card(&document(&failed), &mut screen, now()).unwrap();
        assert_eq!(
            out.text(),
            "\
Sepsis
  id           doc_0123456789abcdefghjkmnpqrs
  file         sepsis.pdf
  status       failed
  reason       encrypted
  advice       Remove the password.
  format       pdf
  tags         draft, ward 3
  date         2026-03-01
  only for     icu
  version      v2
  answers cite version v1
  created      2026-11-22T11:00:00Z (age 1 h)
  updated      2026-11-22T11:59:00Z (age 1 min)
"
        );
    }
}
