//! `eval grounding`: how well the support check tells supported sentences from corrupted ones, and how well questions without
//! an answer are refused, on a folder of anyone's documents.

mod chance;
mod claims;
mod collection;
mod corruptions;
mod edits;
mod memory;
mod refusals;
mod report;
mod rewordings;

use super::retrieval::load_model;
use crate::config::Config;
use crate::display::Screen;
use crate::outcome::Outcome;
use anyhow::Result;
use clap::Args;
use collection::Collection;
use std::path::PathBuf;

/// What is measured, and on what.
#[derive(Args)]
pub struct Grounding {
    /// A folder in BEIR layout (corpus.jsonl, queries.jsonl, qrels.tsv), or one with documents/ and questions.jsonl
    pub folder: PathBuf,
    /// How many sentences are reworded and corrupted
    #[arg(long, default_value_t = 300, value_name = "N")]
    pub sentences: usize,
    /// How many questions are asked; half of them have their documents held back
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub questions: usize,
    /// Another seed makes another set
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Print sentences that were judged wrongly, up to so many of each kind
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub examples: usize,
    /// The embedding model's file; by default models/ of the checkout, or beside this program
    #[arg(long, env = "CLINCHAT_MODEL", value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Measures and prints.
pub fn run(grounding: &Grounding, config: &Config, screen: &mut Screen) -> Result<Outcome> {
    let collection = Collection::read(&grounding.folder)?;
    let model = load_model(grounding.model.as_deref(), config)?;
    let claims = claims::measure(grounding, &collection, &model)?;
    let refusals = refusals::measure(grounding, &collection, &model)?;
    report::print(grounding, &claims, &refusals, screen)?;
    Ok(Outcome::Done)
}
