//! `eval deid`: how well identifiers are found, by file and by kind, beside Microsoft Presidio.

use super::spans::{Document, Figures, Share, Span};
use crate::commands::deid::{Mode, load};
use crate::config::Config;
use crate::display::Screen;
use crate::display::table::{Side, render};
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use deid::surrogate::{Conversation, Policy};
use deid::{Deidentifier, OperatingPoint};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Presidio behind two pipes.
const PEER: &str = include_str!("../../../../bench/peer/deid.py");

/// `eval deid`.
#[derive(Args)]
pub struct EvalDeid {
    /// A folder of labelled .jsonl files
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// How strict, as in `clinchat deid`
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Every line, or every second one: the first, third, ... are odd
    #[arg(long, value_enum, default_value_t)]
    pub part: Part,
    /// Rules and lists only, without the neural recogniser
    #[arg(long)]
    pub fast: bool,
    /// The Python in which presidio-analyzer is installed; it is left out where it is not
    #[arg(long, default_value = "python3", value_name = "PYTHON")]
    pub peer: PathBuf,
    /// Do not look for the peer
    #[arg(long)]
    pub no_peer: bool,
    /// The tables, as in `clinchat deid`
    #[arg(long, value_name = "FILE")]
    pub tables: Option<PathBuf>,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Which lines.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// All
    #[default]
    All,
    /// First, third, fifth, ...
    Odd,
    /// Second, fourth, ...
    Even,
}

impl Part {
    const fn has(self, at: usize) -> bool {
        match self {
            Self::All => true,
            Self::Odd => at.is_multiple_of(2),
            Self::Even => !at.is_multiple_of(2),
        }
    }
}

/// Measures and prints.
pub fn run(options: &EvalDeid, config: &Config, screen: &mut Screen) -> Result<Outcome> {
    let start = processor_seconds();
    let deidentifier = load(options.tables.as_deref(), config)?;
    let deidentifier = if options.fast { deidentifier.without_network() } else { deidentifier };
    let load_ms = (processor_seconds() - start) * 1000.0;
    let files = files(&options.folder)?;
    let has_peer = !options.no_peer && is_installed(&options.peer);
    if !has_peer && !options.no_peer {
        screen.note("presidio-analyzer is not installed there: ours alone (--peer names another Python)");
    }
    let mut results = Vec::new();
    for path in &files {
        let documents = read(path, options.part)?;
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (ours, restored) = measure(&deidentifier, options.mode.point(), &documents);
        let peer = if has_peer { Some(measure_peer(&options.peer, &documents)?) } else { None };
        results.push((name, ours, peer, restored));
    }
    if options.json {
        let files: Vec<Value> = results
            .iter()
            .map(|(name, ours, peer, restored)| json!({"file": name, "ours": figures_json(ours), "presidio": peer.as_ref().map(figures_json), "round_trip": restored}))
            .collect();
        screen.json(&json!({"load_ms": load_ms, "files": files}))?;
        return Ok(Outcome::Done);
    }
    print(&results, load_ms, screen)?;
    Ok(Outcome::Done)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    found.sort();
    if found.is_empty() {
        bail!("{} holds no .jsonl file", folder.display());
    }
    Ok(found)
}

fn read(path: &Path, part: Part) -> Result<Vec<Document>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let lines = text.lines().enumerate().filter(|(at, line)| part.has(*at) && !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| {
                anyhow::anyhow!("{}, line {}: no labelled document (column {})", path.display(), at + 1, error.column())
            })
        })
        .collect()
}

/// Ours, and how many documents came back byte for byte.
fn measure(deidentifier: &Deidentifier, point: OperatingPoint, documents: &[Document]) -> (Figures, Share) {
    let (mut figures, mut restored) = (Figures::default(), Share::default());
    let policy = Policy { point, ..Policy::default() };
    for document in documents {
        let text = &document.text;
        let start = processor_seconds();
        let spans = deidentifier.find(text, point);
        let seconds = processor_seconds() - start;
        let points = |at: usize| text[..at].chars().count();
        let found: Vec<Span> = spans
            .iter()
            .map(|span| Span {
                start: points(span.range.start),
                end: points(span.range.end),
                label: span.label.as_str().to_owned(),
            })
            .collect();
        figures.add(document, &found, seconds);
        let mut conversation = Conversation::new(b"evaluation");
        let replaced = deidentifier.pseudonymise(text, &policy, &mut conversation);
        let is_back = replaced.is_ok_and(|replaced| conversation.restore(replaced.text.as_str()).text == *text);
        restored.found += usize::from(is_back);
        restored.all += 1;
    }
    (figures, restored)
}

/// This thread's processor time in seconds: what a shared machine can still tell.
fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn is_installed(python: &Path) -> bool {
    let status =
        Command::new(python).args(["-c", "import presidio_analyzer, spacy"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[derive(Deserialize)]
struct PeerLine {
    spans: Vec<(usize, usize, String)>,
    seconds: f64,
}

fn measure_peer(python: &Path, documents: &[Document]) -> Result<Figures> {
    let mut child = Command::new(python)
        .args(["-c", PEER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("the peer does not start")?;
    let mut input = child.stdin.take().context("the peer takes nothing")?;
    let lines: String = documents.iter().map(|document| json!({"text": document.text}).to_string() + "\n").collect();
    // In a thread: both pipes would fill up otherwise.
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().context("the peer broke off")?;
    let is_written = writer.join().is_ok_and(|result| result.is_ok());
    if !output.status.success() || !is_written {
        bail!("the peer failed: {}", output.status);
    }
    let mut figures = Figures::default();
    let text = String::from_utf8(output.stdout).context("the peer wrote no text")?;
    for (document, line) in documents.iter().zip(text.lines()) {
        let line: PeerLine = serde_json::from_str(line).context("the peer wrote something else")?;
        let found: Vec<Span> = line.spans.into_iter().map(|(start, end, label)| Span { start, end, label }).collect();
        figures.add(document, &found, line.seconds);
    }
    Ok(figures)
}

fn figures_json(figures: &Figures) -> Value {
    json!({
        "documents": figures.documents, "characters": figures.characters, "recall": figures.recall.value(), "precision": figures.precision.value(), "f2": figures.f2(),
        "character_recall": figures.characters_recall.value(), "character_precision": figures.characters_precision.value(), "types": figures.types.value(),
        "false_hits": figures.false_hits(), "false_hits_per_10k": figures.false_hits_per_10k(), "kilobytes_per_second": figures.kilobytes_per_second(),
        "p99_ms": figures.p99_ms(), "slowest_ms": figures.slowest_ms, "by_label": figures.by_label,
    })
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn row(name: &str, who: &str, figures: &Figures) -> Vec<String> {
    vec![
        name.to_owned(),
        who.to_owned(),
        number(figures.recall.value()),
        number(figures.precision.value()),
        number(figures.f2()),
        number(figures.types.value()),
        number(figures.characters_recall.value()),
        number(figures.characters_precision.value()),
        figures.false_hits().to_string(),
        format!("{:.2}", figures.false_hits_per_10k()),
        format!("{:.0}", figures.kilobytes_per_second()),
        format!("{:.2}", figures.p99_ms()),
    ]
}

fn print(results: &[(String, Figures, Option<Figures>, Share)], load_ms: f64, screen: &mut Screen) -> Result<()> {
    let right = |name| (name, Side::Right);
    let head = [
        ("FILE", Side::Left),
        ("WHO", Side::Left),
        right("RECALL"),
        right("PRECISION"),
        right("F2"),
        right("TYPE"),
        right("CHAR R"),
        right("CHAR P"),
        right("FALSE"),
        right("/10K"),
        right("KB/S"),
        right("P99 MS"),
    ];
    let mut rows = Vec::new();
    for (name, ours, peer, _) in results {
        rows.push(row(name, "ours", ours));
        rows.extend(peer.iter().map(|peer| row("", "presidio", peer)));
    }
    for line in render(&head, &rows, screen.table_columns, screen.paint) {
        screen.line(line)?;
    }
    screen.line("")?;
    let head = [("FILE", Side::Left), ("LABEL", Side::Left), right("GOLD"), right("RECALL"), right("PRESIDIO")];
    let mut rows = Vec::new();
    for (name, ours, peer, _) in results {
        for (at, (label, share)) in ours.by_label.iter().enumerate() {
            let other = peer.as_ref().and_then(|peer| peer.by_label.get(label)).and_then(|share| share.value());
            let name = if at == 0 { name.clone() } else { String::new() };
            rows.push(vec![name, label.clone(), share.all.to_string(), number(share.value()), number(other)]);
        }
    }
    for line in render(&head, &rows, screen.table_columns, screen.paint) {
        screen.line(line)?;
    }
    let restored = results.iter().fold((0, 0), |sum, (_, _, _, share)| (sum.0 + share.found, sum.1 + share.all));
    screen.line("")?;
    screen.line(format!(
        "round trip: {} of {} documents byte for byte; tables loaded in {load_ms:.0} ms CPU",
        restored.0, restored.1
    ))
}
