//! `clinchat`: the command of operators, developers and whoever prefers a terminal to the chat page.
//!
//! Order of reading: `args` (what can be typed), `commands` (one file each), `client` and `session` (the API and who asks),
//! `display` (what is shown). The environment is read in `config`, profiles are found in `profile`.

mod args;
mod client;
mod cognito;
mod commands;
mod config;
mod display;
#[cfg(test)]
mod double;
mod invoke;
#[cfg(test)]
mod journeys;
mod outcome;
mod profile;
mod session;
mod transport;
mod wire;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    extract::child::run_child_if_asked_with(ocr::render);
    let arguments = args::Arguments::parse();
    let mut screen = display::Screen::of_terminal(arguments.shared.chatter());
    let result = commands::run(&arguments, &config::Config::from_env(), &mut screen);
    outcome::exit_code(result, &mut screen)
}
