//! `eval extract`: how well a folder of documents is read, beside other extractors in the same run.
//!
//! The truth of `a.pdf` lies beside it: `a.txt` (text in reading order) and `a.md` or `a.pdf.md` (headings, tables).

mod peers;
mod similarity;
mod structure;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use domain::documents::pages::ExtractedDocument;
use extract::Limits;
use serde::Serialize;

use self::peers::{Peer, Reading};
use self::similarity::{normal, ratio};
use crate::display::Screen;
use crate::display::table::{Side, render};
use crate::outcome::Outcome;

/// `eval extract`.
#[derive(Args)]
pub struct Extract {
    /// A folder of documents; the truth of a.pdf is a.txt and a.md (or a.pdf.md)
    pub folder: PathBuf,
    /// One JSON document: {"files": [...], "means": {...}}
    #[arg(long)]
    pub json: bool,
    /// The Python that has pypdfium2, and that runs pdftotext
    #[arg(long, default_value = "python3")]
    pub python: String,
    /// Without other extractors
    #[arg(long)]
    pub alone: bool,
    /// Recognise the text of pages that are images, with the tesseract program; languages as it names them
    #[arg(long, value_name = "LANGUAGES", num_args = 0..=1, default_missing_value = "eng")]
    pub ocr: Option<String>,
    /// Fail if the mean of the normalised ratio is lower, or none was measured
    #[arg(long, value_name = "RATIO")]
    pub least: Option<f64>,
}

/// What came of one file in one extractor. A measure without a truth is absent.
#[derive(Debug, Serialize)]
struct Measured {
    file: String,
    tool: &'static str,
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<usize>,
    measures: BTreeMap<&'static str, f64>,
}

/// What is printed of each file, in this order.
const COLUMNS: &[&str] = &[
    "raw",
    "norm",
    "heading recall",
    "heading precision",
    "level order",
    "rows exact",
    "headers left",
    "cpu ms",
    "wall ms",
    "pages/s",
    "peak MB",
];

/// Measures and prints.
pub fn run(extract: &Extract, screen: &mut Screen) -> Result<Outcome> {
    let files = files(&extract.folder)?;
    let peers = if extract.alone { Vec::new() } else { Peer::installed(&extract.python) };
    let mut measured = Vec::new();
    for file in &files {
        screen.note(file.display().to_string());
        measured.push(of_ours(file, extract.ocr.as_deref())?);
        if file.extension().is_some_and(|extension| extension == "pdf") {
            measured.extend(peers.iter().map(|peer| of_peer(*peer, &extract.python, file)));
        }
    }
    if extract.json {
        let means: BTreeMap<_, _> = tools(&measured).into_iter().map(|tool| (tool, means(&measured, tool))).collect();
        screen.json(&serde_json::json!({"files": measured, "means": means}))?;
    } else {
        print(&measured, screen)?;
    }
    let mean = means(&measured, "clinchat").get("norm").copied();
    let is_met = extract.least.is_none_or(|least| mean.is_some_and(|mean| mean >= least));
    Ok(if is_met { Outcome::Done } else { Outcome::Failed })
}

/// Every file that is not the truth of another, in order of names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let is_plain = |path: &Path| path.extension().is_some_and(|extension| extension == "txt" || extension == "md");
    let truths: Vec<PathBuf> = files.iter().filter(|path| !is_plain(path)).flat_map(|path| truths(path)).collect();
    files.retain(|path| !truths.contains(path));
    Ok(files)
}

/// Text first, then Markdown.
fn truths(file: &Path) -> [PathBuf; 3] {
    [file.with_extension("txt"), file.with_extension("md"), PathBuf::from(format!("{}.md", file.display()))]
}

fn of_ours(file: &Path, languages: Option<&str>) -> Result<Measured> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let (cpu, begun) = (children_cpu_ms(), Instant::now());
    let (extracted, peak_kib) = match languages {
        None => extract::extract_in_child_measured(&bytes, &name, &Limits::default()),
        Some(languages) => {
            let recogniser = ocr::Tesseract::new(languages);
            (extract::extract_recognising(&bytes, &name, &Limits::default(), &recogniser, |_, _| ()), None)
        }
    };
    let mut measures = BTreeMap::new();
    let cpu_ms = children_cpu_ms() - cpu;
    measures.insert("cpu ms", cpu_ms as f64);
    measures.insert("wall ms", begun.elapsed().as_millis() as f64);
    if let Some(kib) = peak_kib {
        measures.insert("peak MB", kib as f64 / 1024.0);
    }
    let (outcome, pages) = match &extracted {
        Ok(document) => {
            add_quality(file, document, &mut measures);
            add_speed(document.pages.len(), cpu_ms, &mut measures);
            ("text".to_owned(), Some(document.pages.len()))
        }
        Err(error) => (format!("{:?}/{:?}", error.reason, error.detail), None),
    };
    Ok(Measured { file: name.into_owned(), tool: "clinchat", outcome, pages, measures })
}

fn of_peer(peer: Peer, python: &str, file: &Path) -> Measured {
    let mut measures = BTreeMap::new();
    let reading = peer.read(python, file);
    if let Some(Reading { text, cpu_ms, peak_mb }) = &reading {
        add_text(file, text, &mut measures);
        measures.insert("cpu ms", *cpu_ms as f64);
        measures.insert("peak MB", *peak_mb);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let outcome = if reading.is_some() { "text" } else { "failed" };
    Measured { file: name, tool: peer.name(), outcome: outcome.to_owned(), pages: None, measures }
}

fn add_quality(file: &Path, document: &ExtractedDocument, measures: &mut BTreeMap<&'static str, f64>) {
    let pages: Vec<&str> = document.pages.iter().map(|page| page.text.as_str()).collect();
    add_text(file, &pages.join("\n\n"), measures);
    let [text, markdown, beside] = truths(file);
    if let Some(truth) = [markdown, beside].iter().find_map(|path| std::fs::read_to_string(path).ok()) {
        if let Some(headings) = structure::headings(&truth, document) {
            measures.insert("heading recall", headings.recall);
            measures.insert("heading precision", headings.precision);
            headings.order.map(|order| measures.insert("level order", order));
        }
        structure::rows(&truth, document).map(|rows| measures.insert("rows exact", rows));
    }
    // Only a truth of text alone is known to be whole at the pages' edges.
    if let Ok(truth) = std::fs::read_to_string(text) {
        let left = structure::headers_left(&truth, document);
        measures.insert("headers left", left as f64 / document.pages.len().max(1) as f64);
    }
}

fn add_text(file: &Path, text: &str, measures: &mut BTreeMap<&'static str, f64>) {
    if let Some(truth) = truths(file).iter().find_map(|path| std::fs::read_to_string(path).ok()) {
        measures.insert("raw", ratio(&truth, text));
        measures.insert("norm", ratio(&normal(&truth), &normal(text)));
    }
}

fn add_speed(pages: usize, cpu_ms: u64, measures: &mut BTreeMap<&'static str, f64>) {
    // The clock ticks every ten milliseconds, so a short document has no speed.
    if cpu_ms >= 200 {
        measures.insert("pages/s", pages as f64 * 1000.0 / cpu_ms as f64);
    }
}

/// User and system time of all children that have ended, in milliseconds (in steps of ten).
fn children_cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // Fields 16 and 17 of the whole line, in hundredths of a second.
    after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10
}

fn tools(measured: &[Measured]) -> Vec<&'static str> {
    let mut tools = Vec::new();
    for one in measured {
        if !tools.contains(&one.tool) {
            tools.push(one.tool);
        }
    }
    tools
}

/// The mean of each measure over the files that have it; the least of the texts' likeness.
fn means(measured: &[Measured], tool: &str) -> BTreeMap<String, f64> {
    let mut means = BTreeMap::new();
    let of = |column: &str| -> Vec<f64> {
        measured.iter().filter(|one| one.tool == tool).filter_map(|one| one.measures.get(column).copied()).collect()
    };
    for column in COLUMNS {
        let values = of(column);
        if !values.is_empty() {
            means.insert((*column).to_owned(), values.iter().sum::<f64>() / values.len() as f64);
        }
    }
    if let Some(least) = of("norm").into_iter().reduce(f64::min) {
        means.insert("norm, least".to_owned(), least);
    }
    means
}

fn print(measured: &[Measured], screen: &mut Screen) -> Result<()> {
    let shown: Vec<&str> =
        COLUMNS.iter().copied().filter(|column| measured.iter().any(|one| one.measures.contains_key(column))).collect();
    let mut head = vec![("file", Side::Left), ("tool", Side::Left), ("outcome", Side::Left), ("pages", Side::Right)];
    head.extend(shown.iter().map(|column| (*column, Side::Right)));
    let row = |name: &str, tool: &str, outcome: &str, pages: String, value: &dyn Fn(&str) -> Option<f64>| {
        let mut row = vec![name.to_owned(), tool.to_owned(), outcome.to_owned(), pages];
        row.extend(shown.iter().map(|column| value(column).map_or_else(String::new, |value| figure(column, value))));
        row
    };
    let mut rows: Vec<Vec<String>> = measured
        .iter()
        .map(|one| {
            let pages = one.pages.map_or_else(String::new, |pages| pages.to_string());
            row(&one.file, one.tool, &one.outcome, pages, &|column| one.measures.get(column).copied())
        })
        .collect();
    for tool in tools(measured) {
        let means = means(measured, tool);
        rows.push(row("mean", tool, "", String::new(), &|column| means.get(column).copied()));
        if let Some(least) = means.get("norm, least") {
            rows.push(row("least", tool, "", String::new(), &|column| (column == "norm").then_some(*least)));
        }
    }
    for line in render(&head, &rows, None, screen.paint) {
        screen.line(line)?;
    }
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for one in measured.iter().filter(|one| one.tool == "clinchat") {
        *outcomes.entry(&one.outcome).or_default() += 1;
    }
    screen.line("")?;
    for (outcome, count) in outcomes {
        screen.line(format!("{count:>5}  {outcome}"))?;
    }
    Ok(())
}

fn figure(column: &str, value: f64) -> String {
    match column {
        "cpu ms" | "wall ms" | "pages/s" | "peak MB" => format!("{value:.0}"),
        _ => format!("{value:.3}"),
    }
}
