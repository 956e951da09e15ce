//! Parts of the trail as files: JSON Lines, CSV, a FHIR R4 Bundle. A page is a whole file of its own; the header
//! `x-next-cursor` says where the next one begins.

mod csv;
mod fhir;

use crate::response::RowBody;
use domain::audit::search::TrailRow;

/// How a part is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    JsonLines,
    /// With a header line.
    Csv,
    /// A Bundle of `AuditEvent`s.
    Fhir,
}

impl Format {
    /// Reads `?format=`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::JsonLines, Self::Csv, Self::Fhir].into_iter().find(|format| format.name() == name)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
            Self::Fhir => "fhir",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Fhir => "application/fhir+json",
        }
    }

    /// The file.
    pub fn write(self, rows: &[TrailRow]) -> String {
        match self {
            Self::JsonLines => rows.iter().fold(String::new(), |mut text, row| {
                text.push_str(&serde_json::to_string(&RowBody::new(row)).unwrap_or_default());
                text.push('\n');
                text
            }),
            Self::Csv => csv::write(rows),
            Self::Fhir => fhir::bundle(rows).to_string(),
        }
    }
}
