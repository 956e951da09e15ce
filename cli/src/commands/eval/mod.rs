//! `eval`: quality figures on anyone's labelled data, from the crates that the functions run. Needs no stack.
//! One file for each kind of figure, with its options beside it.

use crate::display::Screen;
use crate::outcome::Outcome;
use anyhow::Result;
use clap::Subcommand;

/// What can be measured.
#[derive(Subcommand)]
pub enum Eval {}

/// Measures and prints.
pub fn run(eval: &Eval, _screen: &mut Screen) -> Result<Outcome> {
    match *eval {}
}
