//! `audit`: the audit trail, for auditors and for systems that report to it.

mod coverage;
mod export;
mod list;
mod post;
mod replay;
mod sealed;

use crate::client::Client;
use crate::display::Screen;
use crate::outcome::Outcome;
use crate::profile::Found;
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use domain::audit::EventType;
use domain::ids::TenantId;
use jiff::Timestamp;
use std::path::PathBuf;

/// The trail's commands.
#[derive(Subcommand)]
pub enum Audit {
    /// Search the trail; the search itself is recorded
    #[command(after_help = "\
Examples:
  clinchat --as auditor audit list
  clinchat --as auditor audit list --type document_viewed --from 2026-03-01T00:00:00Z
  clinchat --as auditor audit list --entity document:doc_0123456789abcdefghjkmnpqrs
  clinchat --as auditor audit list --entity patient:MRN-1001         as the reporting system names it
  clinchat --as auditor audit list --request JKJaXmPLvHcESHA= --json")]
    List(List),
    /// Take a part of the trail out as JSON Lines, CSV or FHIR; each page is recorded
    #[command(after_help = "\
Examples:
  clinchat --as auditor audit export > trail.jsonl
  clinchat --as auditor audit export --format csv --type data_access > access.csv
  clinchat --as auditor audit export --format fhir --from 2026-03-01T00:00:00Z --to 2026-04-01T00:00:00Z > march.json")]
    Export(Export),
    /// Report events of another system
    #[command(after_help = "\
Example:
  clinchat --as audit-source audit post events.json      {\"events\": [...]}; functions/audit/README.md has the fields

Sending the same file again is safe. Exit code 1 if an event was refused.")]
    Post(Post),
    /// Whether each request that the API let through left a row in the trail
    #[command(after_help = "\
Examples:
  clinchat --profile dev audit coverage                    the last whole hour that is closed
  clinchat --profile dev audit coverage --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z --json

Needs AWS credentials in the environment, and a profile made with `profile add --from-outputs`. Exit code 5 if a request has no row.")]
    Coverage(Coverage),
    /// Write rows of the table as batches for the seal, for rows that its stream has lost
    #[command(after_help = "\
Example:
  clinchat --profile dev audit replay batches/ --tenant main --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z

Needs AWS credentials in the environment, and a profile made with `profile add --from-outputs`. docs/runbook.md says how to go on.")]
    Replay(Replay),
    #[command(flatten)]
    Sealed(sealed::Sealed),
}

/// `audit coverage`.
#[derive(Args)]
pub struct Coverage {
    /// Not before this time
    #[arg(long, value_name = "TIME", requires = "to")]
    pub from: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<Timestamp>,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `audit replay`.
#[derive(Args)]
pub struct Replay {
    /// Where to
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Whose rows
    #[arg(long, value_parser = TenantId::parse)]
    pub tenant: TenantId,
    /// Not before this time
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
}

/// What to look for.
#[derive(Args)]
pub struct Sought {
    /// About this thing, as KIND:ID
    #[arg(long, value_name = "KIND:ID")]
    pub entity: Option<String>,
    /// By this person or program, as the trail names it
    #[arg(long, value_name = "ID")]
    pub actor: Option<String>,
    /// By this person, as another system names them
    #[arg(long, value_name = "NAME", conflicts_with = "actor")]
    pub outside_actor: Option<String>,
    /// Only events of this kind
    #[arg(long = "type", value_name = "KIND", value_parser = |name: &str| EventType::parse(name).ok_or("there is no such kind of event"))]
    pub event_type: Option<EventType>,
    /// Only of this request (the `trace_id` of an answer)
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
    /// Not before this time
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
}

impl Sought {
    /// As the API's query.
    pub fn query(&self) -> Result<Vec<(&'static str, String)>> {
        let mut query = Vec::new();
        if let Some(entity) = &self.entity {
            let (kind, id) =
                entity.split_once(':').ok_or_else(|| anyhow::anyhow!("--entity takes KIND:ID, such as patient:MRN-1001."))?;
            query.extend([("entity_type", kind.to_owned()), ("entity_id", id.to_owned())]);
        }
        let mut add = |name, value: Option<String>| query.extend(value.map(|value| (name, value)));
        add("actor", self.actor.clone());
        add("outside_actor", self.outside_actor.clone());
        add("event_type", self.event_type.map(|kind| kind.as_str().to_owned()));
        add("request_id", self.request.clone());
        add("from", self.from.map(|time| time.to_string()));
        add("to", self.to.map(|time| time.to_string()));
        Ok(query)
    }
}

/// `audit list`.
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    pub sought: Sought,
    /// The oldest first
    #[arg(long)]
    pub oldest: bool,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// How a part is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One object per line
    Jsonl,
    /// With a header line
    Csv,
    /// One Bundle of `AuditEvent`s (R4)
    Fhir,
}

/// `audit export`.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    pub sought: Sought,
    /// How it is written
    #[arg(long, value_enum, default_value = "jsonl")]
    pub format: Format,
}

/// `audit post`.
#[derive(Args)]
pub struct Post {
    /// The events; `-` for standard input
    pub file: PathBuf,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs a command of the trail.
pub fn run(
    audit: &Audit,
    client: impl Fn() -> Result<Client>,
    found: impl Fn() -> Result<Found>,
    screen: &mut Screen,
) -> Result<Outcome> {
    match audit {
        Audit::List(list) => list::run(list, &client()?, screen),
        Audit::Export(export) => export::run(export, &client()?, screen),
        Audit::Post(post) => post::run(post, &client()?, screen),
        Audit::Coverage(asked) => coverage::run(asked, &found()?, screen),
        Audit::Replay(asked) => replay::run(asked, &found()?, screen),
        Audit::Sealed(sealed) => sealed::run(sealed, found, screen),
    }
}
