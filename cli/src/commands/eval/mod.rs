//! `eval`: quality figures on anyone's labelled data, from the crates that the functions run. Needs no stack.
//! One file for each kind of figure, with its options beside it.

mod deid;
mod spans;

use crate::config::Config;
use crate::display::Screen;
use crate::outcome::Outcome;
use anyhow::Result;
use clap::Subcommand;

/// What can be measured.
#[derive(Subcommand)]
pub enum Eval {
    /// How well identifiers are found, on files of {"id", "text", "spans"}, beside Microsoft Presidio where it is installed
    #[command(after_help = "\
Examples:
  clinchat eval deid labelled/
  clinchat eval deid labelled/ --peer .local/venv-presidio/bin/python --json
  clinchat eval deid labelled/ --part odd               every second line only: tune on the others

Recall: gold spans of which every letter and digit is found. Precision: found spans at least half inside gold.")]
    Deid(deid::EvalDeid),
}

/// Measures and prints.
pub fn run(eval: &Eval, config: &Config, screen: &mut Screen) -> Result<Outcome> {
    match eval {
        Eval::Deid(options) => deid::run(options, config, screen),
    }
}
