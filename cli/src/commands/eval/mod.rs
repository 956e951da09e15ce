//! `eval`: quality figures on anyone's labelled data, from the crates that the functions run. Needs no stack.
//! One file for each kind of figure, with its options beside it.

mod deid;
mod extract;
pub mod grounding;
pub mod retrieval;
mod spans;

use crate::config::Config;
use crate::display::Screen;
use crate::outcome::Outcome;
use anyhow::Result;
use clap::Subcommand;

/// What can be measured.
#[derive(Subcommand)]
pub enum Eval {
    /// How well search finds the right documents, on a labelled set in BEIR layout
    #[command(after_help = "\
Examples:
  clinchat eval retrieval sets/medquad
  clinchat eval retrieval sets --json                   every set in a folder, and their mean
  clinchat eval retrieval sets/medquad --split report   the half of the questions on which nothing was chosen

A set is a folder with corpus.jsonl ({\"_id\", \"title\", \"text\"}), queries.jsonl ({\"_id\", \"text\"}) and qrels.tsv
(query-id, corpus-id, score; also qrels/test.tsv).")]
    Retrieval(retrieval::Retrieval),
    /// How well answers are proven: corruptions caught, false alarms, questions refused rightly and wrongly
    #[command(after_help = "\
Examples:
  clinchat eval grounding sets/medquad
  clinchat eval grounding samples --json
  clinchat eval grounding sets/medquad --seed 2 --examples 5   other sentences; show what was judged wrongly

A set is a folder with corpus.jsonl, queries.jsonl and qrels.tsv, or one with documents/ and questions.jsonl.")]
    Grounding(grounding::Grounding),
    /// How well identifiers are found, on files of {"id", "text", "spans"}, beside Microsoft Presidio where it is installed
    #[command(after_help = "\
Examples:
  clinchat eval deid labelled/
  clinchat eval deid labelled/ --peer .local/venv-presidio/bin/python --json
  clinchat eval deid labelled/ --part odd               every second line only: tune on the others

Recall: gold spans of which every letter and digit is found. Precision: found spans at least half inside gold.")]
    Deid(deid::EvalDeid),
    /// How well documents are read: text, headings, tables, speed, memory
    #[command(after_help = "\
Examples:
  clinchat eval extract documents/
  clinchat eval extract documents/ --json | jq .means
  clinchat eval extract samples/scans --alone --ocr --least .98
  clinchat eval extract documents/ --python venv/bin/python   # beside pypdfium2, if that Python has it")]
    Extract(extract::Extract),
}

/// Measures and prints.
pub fn run(eval: &Eval, config: &Config, screen: &mut Screen) -> Result<Outcome> {
    match eval {
        Eval::Retrieval(retrieval) => retrieval::run(retrieval, config, screen),
        Eval::Grounding(grounding) => grounding::run(grounding, config, screen),
        Eval::Deid(options) => deid::run(options, config, screen),
        Eval::Extract(extract) => extract::run(extract, screen),
    }
}
