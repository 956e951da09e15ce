//! `eval retrieval`: how well the shipped search finds the right documents, on any set in BEIR layout.

pub(super) mod beir;
mod measure;
mod metrics;

use crate::config::Config;
use crate::display::Screen;
use crate::display::measure::count;
use crate::display::progress::Bar;
use crate::display::table::{Side, render};
use crate::display::text::one_line;
use crate::outcome::Outcome;
use crate::profile::project;
use anyhow::{Context, Result, bail};
use beir::LabelledSet;
use domain::retrieval::Embedder;
use embed::MiniLm;
use measure::{Measured, Split, System};
use metrics::Figures;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The command line.
#[derive(clap::Args)]
pub struct Retrieval {
    /// A folder with corpus.jsonl, queries.jsonl and qrels.tsv, or a folder of such folders
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Which questions count
    #[arg(long, value_enum, default_value_t = Split::All)]
    pub split: Split,
    /// The embedding model's file; by default models/ of the checkout, or beside this program
    #[arg(long, env = "CLINCHAT_MODEL", value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Measures and prints.
pub fn run(retrieval: &Retrieval, config: &Config, screen: &mut Screen) -> Result<Outcome> {
    // Every set is read before the first is measured: a wrong line should not be found after minutes.
    let sets = sets(&retrieval.folder)?;
    let model = load_model(retrieval.model.as_deref(), config)?;
    measure_all(&sets, retrieval, &model, screen)
}

fn measure_all(sets: &[LabelledSet], retrieval: &Retrieval, model: &dyn Embedder, screen: &mut Screen) -> Result<Outcome> {
    let mut all = Vec::with_capacity(sets.len());
    for set in sets {
        let bar = Bar::alone(screen, &set.name);
        let mut progress = |what: &'static str, done: usize, of: usize| bar.done(what, done as u64, of as u64);
        let measured = measure::measure(set, retrieval.split, model, &mut progress)?;
        drop(bar);
        if !retrieval.json {
            print_set(&measured, !all.is_empty(), screen)?;
            screen.flush()?;
        }
        all.push(measured);
    }
    if retrieval.json {
        screen.json(&to_json(&all, retrieval.split, model))?;
    } else if all.len() > 1 {
        screen.line(format!("\nmean of {}", count(all.len(), "set")))?;
        print_figures(&means(&all), screen)?;
    }
    Ok(Outcome::Done)
}

/// The folder itself if it is a set, else the sets in it, by name.
fn sets(folder: &Path) -> Result<Vec<LabelledSet>> {
    let read = |folder: &Path| beir::read(folder).map_err(anyhow::Error::from);
    if beir::is_set(folder) {
        return Ok(vec![read(folder)?]);
    }
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut folders: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.retain(|folder| beir::is_set(folder));
    folders.sort();
    if folders.is_empty() {
        bail!("{} holds no corpus.jsonl, and no folder in it does", folder.display());
    }
    folders.iter().map(|folder| read(folder)).collect()
}

/// The model that was named, or the checkout's, or the one beside the program.
pub fn load_model(named: Option<&Path>, config: &Config) -> Result<MiniLm> {
    let in_project = project(config).map(|folder| folder.join("models").join(embed::MODEL_FILE));
    let beside = config.program.as_ref().and_then(|program| Some(program.parent()?.join(embed::MODEL_FILE)));
    let path = match named {
        Some(path) => path.to_owned(),
        None => in_project.into_iter().chain(beside).find(|path| path.is_file()).with_context(|| {
            format!(
                "There is no {}. Run `python3 models/fetch.py` in the checkout, or name the file with --model.",
                embed::MODEL_FILE
            )
        })?,
    };
    MiniLm::load(&path).map_err(|error| anyhow::anyhow!("{}: {error}; run `python3 models/fetch.py`", path.display()))
}

fn print_set(measured: &Measured, is_below: bool, screen: &mut Screen) -> Result<()> {
    let head = format!(
        "{}: {}, {}, {}; CPU {:.1} s to index, {:.1} s to ask",
        screen.paint.strong(&one_line(&measured.name)),
        count(measured.documents, "document"),
        count(measured.chunks, "chunk"),
        count(measured.questions, "question"),
        measured.cpu_s_index,
        measured.cpu_s_search,
    );
    screen.line(format!("{}{head}", if is_below { "\n" } else { "" }))?;
    if measured.questions_without_judgement > 0 {
        screen.note(format!("left out, nothing is judged relevant: {}", count(measured.questions_without_judgement, "question")));
    }
    if measured.documents_without_text > 0 {
        screen.note(format!("cannot be found, without text: {}", count(measured.documents_without_text, "document")));
    }
    print_figures(&measured.systems, screen)
}

fn print_figures(systems: &[(System, Figures)], screen: &mut Screen) -> Result<()> {
    let head = [
        ("", Side::Left),
        ("nDCG@10", Side::Right),
        ("Recall@5", Side::Right),
        ("Recall@10", Side::Right),
        ("MRR@10", Side::Right),
    ];
    let row = |(system, figures): &(System, Figures)| {
        std::iter::once(system.name().to_owned()).chain(figures.values().iter().map(|value| format!("{value:.3}"))).collect()
    };
    let rows: Vec<Vec<String>> = systems.iter().map(row).collect();
    for line in render(&head, &rows, screen.table_columns, screen.paint) {
        screen.line(line)?;
    }
    Ok(())
}

/// Each set counts the same.
fn means(all: &[Measured]) -> Vec<(System, Figures)> {
    let of = |at: usize| Figures::mean(&all.iter().map(|measured| measured.systems[at].1).collect::<Vec<_>>());
    System::ALL.iter().enumerate().map(|(at, system)| (*system, of(at))).collect()
}

fn to_json(all: &[Measured], split: Split, model: &dyn Embedder) -> Value {
    let by_name = |systems: &[(System, Figures)]| -> Map<String, Value> {
        let name = |system: &System| json!(system).as_str().unwrap_or_default().to_owned();
        systems.iter().map(|(system, figures)| (name(system), json!(figures))).collect()
    };
    let set = |measured: &Measured| {
        let mut set = json!(measured);
        set["systems"] = Value::Object(by_name(&measured.systems));
        set
    };
    json!({
        "model": model.model_id(),
        "split": split,
        "sets": all.iter().map(set).collect::<Vec<_>>(),
        "mean": by_name(&means(all)),
    })
}

#[cfg(test)]
mod tests;
