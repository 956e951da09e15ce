//! Prints the performance and quality figures: `cargo run --release -p bench -- [NAME ...]`, all of them by default.

mod answers;
mod audit;
mod cold;
mod deid;
mod egress;
mod embedding;
mod index_reads;
mod machine;
mod money;
mod peer;
mod plot;
mod process;
mod relay;
mod rotation;
mod sample;
mod schedules;
mod search;
mod stack;
mod subjects;
mod upload;
mod warm;

use anyhow::{Result, bail, ensure};
use std::process::Command;
use tests::runtime_api;

/// A figure.
struct Figure {
    name: &'static str,
    shows: &'static str,
    print: fn() -> Result<()>,
}

const fn figure(name: &'static str, shows: &'static str, print: fn() -> Result<()>) -> Figure {
    Figure { name, shows, print }
}

const FIGURES: &[Figure] = &[
    figure("answers", "sample questions answered from the sample documents", answers::run),
    figure("cold", "start, first answer and warm answers of each function binary, beside Python and boto3", cold::run),
    figure("warm", "where the processor time of a warm answer goes", warm::run),
    figure("upload", "from a PDF in the bucket to its first hit, on the local stack", upload::run),
    figure("deid", "identifiers: a million hostile texts, round trips, load, memory, speed", deid::run),
    figure(
        "egress",
        "50,000 questions about patients to an obedient model: what leaves, and what its orders change",
        egress::run,
    ),
    figure("embed", "one text to its vector, beside ONNX Runtime", embedding::run),
    figure(
        "search",
        "how a search and its index grow with the corpus, beside bm25s and numpy (PLOT=1 draws docs/search-cost.svg)",
        search::run,
    ),
    figure("reads", "what a cold start reads of an index, loose and packed", index_reads::run),
    figure("relay", "how long a sentence of a model is under way through the chat function", relay::run),
    figure("money", "a thousand chats at once against a budget, five hundred requests of one person against a limit", money::run),
    figure("audit", "the sealed audit trail: checking beside sha256sum, 10,000 mutations, schedules and crowds", audit::run),
    figure("rotation", "keys of providers under random histories of rotations, failures and races", rotation::run),
    figure("schedules", "the index under random schedules of events, failures and races", schedules::run),
];

fn main() -> Result<()> {
    extract::child::run_child_if_asked();
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|name| !FIGURES.iter().any(|f| f.name == **name)) {
        let known: Vec<&str> = FIGURES.iter().map(|f| f.name).collect();
        bail!("there is no figure {unknown:?}; there are: {}", known.join(", "));
    }
    if let [name] = &asked[..]
        && let Some(figure) = FIGURES.iter().find(|f| f.name == *name)
    {
        println!("\n== {}: {}", figure.name, figure.shows);
        return (figure.print)();
    }
    // Each in a process of its own: what one figure has allocated is not what the next one measures.
    let program = std::env::current_exe()?;
    for figure in FIGURES.iter().filter(|f| asked.is_empty() || asked.iter().any(|a| a == f.name)) {
        ensure!(
            Command::new(&program).arg(figure.name).status()?.success(),
            "the figure {} failed; it says why above",
            figure.name
        );
    }
    Ok(())
}
