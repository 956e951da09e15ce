//! One file for each command; this one chooses.

mod ask;
pub mod audit;
mod collect;
mod completions;
mod cost;
pub mod deid;
mod edit;
pub mod eval;
mod extract;
pub mod index;
pub mod keys;
mod list;
mod login;
mod open;
mod pages;
mod profiles;
mod receipt;
mod remove;
mod show;
mod stack;
mod status;
mod transfer;
mod upload;
mod versions;

use crate::args::{Arguments, Command, ProfileCommand};
use crate::client::Client;
use crate::config::Config;
use crate::display::{Chatter, Screen};
use crate::outcome::Outcome;
use crate::profile::{Found, Places};
use crate::session::Session;
use anyhow::Result;

/// Runs a command.
pub fn run(arguments: &Arguments, config: &Config, screen: &mut Screen) -> Result<Outcome> {
    let shared = &arguments.shared;
    let places = Places::new(config);
    let (verbose, is_interactive) = (screen.chatter == Chatter::Verbose, screen.is_interactive);
    let found = || -> Result<Found> { places.find(&shared.profile) };
    let client = || -> Result<Client> {
        Ok(Client::new(Session::new(found()?, shared.person.as_deref(), config, is_interactive)?, verbose))
    };
    match &arguments.command {
        Command::Up { options } => stack::run("up", options, config),
        Command::Down => stack::run("down", &[], config),
        Command::Reset => stack::run("reset", &[], config),
        Command::Status(flag) => status::run(&found()?, &client()?, flag.json, config, screen),
        Command::Cost(flag) => cost::run(flag.json, &client()?, screen),
        Command::Upload(upload) => upload::run(upload, &client()?, screen),
        Command::Ls(list) => list::run(list, &client()?, screen),
        Command::Show(one) => show::run(one, &client()?, screen),
        Command::Versions(one) => versions::run(one, &client()?, screen),
        Command::Receipt(one) => receipt::run(one, &client()?, screen),
        Command::Edit(edit) => edit::run(edit, &client()?, screen),
        Command::Open(open) => open::run(open, &client()?, screen),
        Command::Rm(remove) => remove::run(remove, &client()?, screen),
        Command::Ask(ask) => ask::run(ask, &client()?, screen),
        Command::Audit(trail) => audit::run(trail, client, found, screen),
        Command::Extract(extract) => extract::run(extract, screen),
        Command::Eval(eval) => eval::run(eval, config, screen),
        Command::Index(index) => index::run(index, &found()?, screen),
        Command::Keys(keys) => keys::run(keys, &found()?, screen),
        Command::Deid(options) => deid::run(options, config, screen),
        Command::Login { username } => login::sign_in(username.as_deref(), &client()?, screen),
        Command::Logout => login::sign_out(&client()?, screen),
        Command::Token => login::token(&client()?, screen),
        Command::Profile(ProfileCommand::List(flag)) => profiles::list(&places, &shared.profile, flag.json, screen),
        Command::Profile(ProfileCommand::Add(add)) => profiles::add(add, &places, screen),
        Command::Completions { shell } => completions::run(*shell, screen),
    }
}
