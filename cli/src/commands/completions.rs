//! `completions`: the script that completes this command in a shell.

use crate::args::Arguments;
use crate::display::Screen;
use crate::outcome::Outcome;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

/// Prints it.
pub fn run(shell: Shell, screen: &mut Screen) -> Result<Outcome> {
    // The generator panics where it cannot write, so it writes into memory.
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), "clinchat", &mut script);
    screen.bytes(&script)?;
    Ok(Outcome::Done)
}
