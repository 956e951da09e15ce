//! What a vector costs: a question's, a chunk's, a long window's; and what the model costs to load. Beside it the same model
//! in ONNX Runtime, where that can be installed.

use crate::answers::{model, project};
use crate::machine;
use crate::process;
use crate::sample::{Sample, table};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
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
    let theirs = peer(&texts);
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
    if let Err(reason) = theirs {
        println!("peer skipped: {reason:#}");
    }
    println!("load average at the end {}", machine::load());
    Ok(())
}

/// What `peer/embedding.py` prints.
#[derive(Deserialize)]
struct Peer {
    load_ms: f64,
    resident_mb: f64,
    texts: Vec<Vec<f64>>,
}

fn peer(texts: &[String]) -> Result<Peer> {
    let python = peer_python()?;
    let mut script = Command::new(python)
        .arg(project().join("bench/peer/embedding.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    script.stdin.take().context("a pipe")?.write_all(serde_json::to_string(texts)?.as_bytes())?;
    let output = script.wait_with_output()?;
    if !output.status.success() {
        bail!("peer/embedding.py failed: {}", last_line(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The Python of a throw-away environment with the pinned packages.
fn peer_python() -> Result<PathBuf> {
    let folder = project().join(".local/venv-bench");
    let (python, stamp) = (folder.join("bin/python"), folder.join("stamp"));
    let requirements = project().join("bench/requirements.txt");
    let wanted = fs::read_to_string(&requirements)?;
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "-r"];
    quietly(Command::new(&python).args(pip).arg(&requirements))?;
    fs::write(stamp, wanted)?;
    Ok(python)
}

fn quietly(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        bail!("{program}: {}", last_line(&output.stderr));
    }
    Ok(())
}

fn last_line(output: &[u8]) -> String {
    String::from_utf8_lossy(output).lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default().to_owned()
}
