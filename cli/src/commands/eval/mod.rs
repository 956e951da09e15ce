//! `eval`: quality figures on anyone's labelled data, from the crates that the functions run. Needs no stack.
//! One file for each kind of figure, with its options beside it.

mod extract;

use crate::display::Screen;
use crate::outcome::Outcome;
use anyhow::Result;
use clap::Subcommand;

/// What can be measured.
#[derive(Subcommand)]
pub enum Eval {
    /// How well documents are read: text, headings, tables, speed, memory
    #[command(after_help = "\
Examples:
  clinchat eval extract documents/
  clinchat eval extract documents/ --json | jq .means
  clinchat eval extract documents/ --python venv/bin/python   # beside pypdfium2, if that Python has it")]
    Extract(extract::Extract),
}

/// Measures and prints.
pub fn run(eval: &Eval, screen: &mut Screen) -> Result<Outcome> {
    match eval {
        Eval::Extract(extract) => extract::run(extract, screen),
    }
}
