//! `extract`: a document as the indexer would read it. Needs no stack.

use super::pages::{markdown, page_json};
use crate::args::{Extract, ExtractFormat};
use crate::display::Screen;
use crate::display::progress::Bar;
use crate::display::text::plain;
use crate::outcome::Outcome;
use anyhow::{Context, Result};
use domain::documents::pages::{ExtractedDocument, Reason};
use extract::{Detail, Limits};
use serde::Serialize;
use serde_json::json;
use std::fs::File;
use std::io::Read;

/// What standard error gets in one line if the document cannot be read.
#[derive(Serialize)]
struct Refusal {
    /// The stable code that the API shows too.
    reason: Reason,
    /// Which check said so.
    detail: Detail,
    /// What a person can do about it.
    advice: &'static str,
}

/// Reads and prints.
pub fn run(extract: &Extract, screen: &mut Screen) -> Result<Outcome> {
    let limits = Limits::default();
    let path = &extract.file;
    let mut bytes = Vec::new();
    // One byte over the limit is enough to be told that it is over.
    let read = File::open(path).and_then(|file| file.take(limits.bytes_max as u64 + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("{} cannot be read", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bar = Bar::alone(screen, &name);
    let progress = |done: u32, total: u32| bar.done("reading", done.into(), total.into());
    let result = match &extract.ocr {
        Some(languages) => {
            extract::extract_recognising(&bytes, &name, &limits, &ocr::Tesseract::new(languages.as_str()), progress)
        }
        None => extract::extract_in_child_with(&bytes, &name, &limits, progress),
    };
    drop(bar);
    match result {
        Ok(document) => print(&document, extract, screen).map(|()| Outcome::Done),
        Err(error) => {
            if extract.json || extract.format == ExtractFormat::Jsonl {
                let refusal = Refusal { reason: error.reason, detail: error.detail, advice: error.reason.advice() };
                screen.insist(serde_json::to_string(&refusal)?);
            } else {
                let reason = domain::documents::index_object::reason_code(error.reason);
                screen.insist(format!("{}: {reason}: {}", plain(&path.display().to_string()), error.reason.advice()));
            }
            Ok(Outcome::Unreadable)
        }
    }
}

fn print(document: &ExtractedDocument, extract: &Extract, screen: &mut Screen) -> Result<()> {
    let pages = document.pages.iter();
    if extract.json {
        let pages: Vec<_> = pages.map(|page| page_json(page, extract.blocks)).collect();
        return screen.json(&json!({"title": document.title, "pages": pages}));
    }
    for (at, page) in pages.enumerate() {
        match extract.format {
            ExtractFormat::Jsonl => screen.line(page_json(page, extract.blocks).to_string())?,
            ExtractFormat::Markdown => screen.line(format!("{}{}", if at == 0 { "" } else { "\n" }, markdown(page)))?,
            ExtractFormat::Text => screen.line(format!("{}{}", if at == 0 { "" } else { "\u{c}" }, page.text))?,
        }
    }
    Ok(())
}
