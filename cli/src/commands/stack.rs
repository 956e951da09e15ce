//! `up`, `down`, `reset`: the local stack's own program, found and started.

use crate::config::Config;
use crate::outcome::Outcome;
use crate::profile::project;
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Where the program lies in the project.
const PROGRAM: &str = "local/stack.py";
const NO_PROJECT: &str = "This is no checkout of the project: the local stack is started from one. Change into it and try again.";

/// Becomes `python3 local/stack.py <verb>`: so Ctrl-C reaches it, and its exit code is ours.
pub fn run(verb: &str, options: &[String], config: &Config) -> Result<Outcome> {
    let project = project(config).context(NO_PROJECT)?;
    let error = command(&project, verb).args(options).exec();
    Err(error).context("python3 cannot be started: the local stack needs Python 3")
}

/// The program with a verb.
pub fn command(project: &Path, verb: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(project.join(PROGRAM)).arg(verb);
    command
}
