//! What a vector costs: a question's, a chunk's, a long window's; and what the model costs to load. Beside it the same model
//! in ONNX Runtime, where that can be installed.

use crate::answers::{model, project};
use crate::machine;
use crate::peer;
use crate::process;
use crate::sample::{Sample, table};
use anyhow::{Context as _, Result, bail, ensure};
use domain::documents::chunks::{Chunk, Span};
use domain::retrieval::EmbeddedChunk;
use serde::Deserialize;
use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs of each text, and loads of the model.
const RUNS: usize = 15;
/// A question of the sample set.
const QUESTION: &str = "How soon after recognising sepsis must antibiotics be given?";
/// Where the words of the windows come from.
const SOURCE: &str = "samples/documents/LGH-IT-011-it-downtime.md";
/// Window sizes in words: where the chunker closes a window, and what people often take instead.
const WINDOWS: [usize; 2] = [60, 150];

/// Prints the figure.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    println!("{RUNS} runs each, one thread; CPU ms, median (minimum)");
    let source = fs::read_to_string(project().join(SOURCE))?;
    let words: Vec<&str> = source.split_whitespace().collect();
    ensure!(words.len() > WINDOWS[1], "{SOURCE} is too short");
    let texts: Vec<String> = std::iter::once(QUESTION.to_owned()).chain(WINDOWS.map(|count| words[..count].join(" "))).collect();

    let resident_before = process::resident_mb(std::process::id())?;
    let begun = process::own_thread_ms();
    let embedder = model()?;
    let first_load = process::own_thread_ms() - begun;
    let resident = process::resident_mb(std::process::id())? - resident_before;
    let mut load = Sample::default();
    for _ in 0..RUNS {
        let begun = process::own_thread_ms();
        drop(black_box(model()?));
        load.add(process::own_thread_ms() - begun);
    }
    let mut ours = Vec::new();
    for text in &texts {
        let mut sample = Sample::default();
        black_box(embedder.embed(text));
        for _ in 0..RUNS {
            let begun = process::own_thread_ms();
            black_box(embedder.embed(text));
            sample.add(process::own_thread_ms() - begun);
        }
        ours.push(sample);
    }
    println!("model: first load {first_load:.1}, again {load}; resident {resident:.1} MB");
    let theirs = onnx_runtime(&texts);
    if let Ok(theirs) = &theirs {
        println!("ONNX Runtime: first load {:.1}; resident {:.1} MB", theirs.load_ms, theirs.resident_mb);
    }
    let mut rows = vec![["", "word pieces", "ours", "ONNX Runtime", "ratio"].map(str::to_owned).to_vec()];
    for (at, (text, sample)) in texts.iter().zip(&ours).enumerate() {
        let name = if at == 0 { "question".to_owned() } else { format!("{} words", WINDOWS[at - 1]) };
        let mut row = vec![name, embedder.token_ids(text).len().to_string(), sample.to_string()];
        if let Ok(theirs) = &theirs {
            let mut peer = Sample::default();
            theirs.texts.get(at).into_iter().flatten().for_each(|ms| peer.add(*ms));
            row.extend([peer.to_string(), format!("{:.2}", peer.median() / sample.median())]);
        }
        rows.push(row);
    }
    println!("{}", table(&rows));
    println!("indexing a window of {} words: chunk and its sentences {}", WINDOWS[0], indexing(&embedder, &words[..WINDOWS[0]]));
    if let Err(reason) = theirs {
        println!("peer skipped: {reason:#}");
    }
    println!("load average at the end {}", machine::load());
    Ok(())
}

/// A chunk as the indexer embeds it: the window under its title, and every sentence of it.
fn indexing(embedder: &embed::MiniLm, words: &[&str]) -> Sample {
    let text = words.join(" ");
    let span = Span { page: 1, start: 0, end: text.chars().count() };
    let chunk = Chunk { ordinal: 0, section: vec!["Downtime".into()], text, spans: vec![span], flags: vec![] };
    let mut sample = Sample::default();
    for _ in 0..RUNS {
        let chunk = chunk.clone();
        let begun = process::own_thread_ms();
        black_box(EmbeddedChunk::embed(embedder, "IT downtime procedure", chunk));
        sample.add(process::own_thread_ms() - begun);
    }
    sample
}

/// What `peer/embedding.py` prints.
#[derive(Deserialize)]
struct Peer {
    load_ms: f64,
    resident_mb: f64,
    texts: Vec<Vec<f64>>,
}

fn onnx_runtime(texts: &[String]) -> Result<Peer> {
    let python = peer::python()?;
    let mut script = Command::new(python)
        .arg(project().join("bench/peer/embedding.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    script.stdin.take().context("a pipe")?.write_all(serde_json::to_string(texts)?.as_bytes())?;
    let output = script.wait_with_output()?;
    if !output.status.success() {
        bail!("peer/embedding.py failed: {}", peer::last_line(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
