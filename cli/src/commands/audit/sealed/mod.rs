//! The sealed trail on a laptop. `verify`, `prove` and `check-proof` need a folder and a public key and speak to nobody;
//! `download` fetches the folder with the operator's AWS credentials.

mod download;
mod folder;
mod proofs;
mod verify;

use crate::display::Screen;
use crate::outcome::Outcome;
use crate::profile::Found;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use domain::ids::TenantId;
use jiff::civil::Date;
use seal::{Head, PublicKey};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// A head or a key is smaller than this.
const SMALL_FILE_BYTES_MAX: u64 = 4 << 20;

/// The sealed trail's commands.
#[derive(Subcommand)]
pub enum Sealed {
    /// Check that a copy of the sealed trail is what was sealed; offline
    #[command(after_help = "\
Examples:
  clinchat audit verify archive/ --key public.pem
  clinchat audit verify archive/ --key public.pem --head head.json
  clinchat audit verify archive/ --key old.pem --key new.pem --json

Finds every edit, deletion, insertion, reordering and repetition, and names the first row that cannot be vouched for. Take the
key from the key's owner (`aws kms get-public-key`), not from the archive. That the end was not cut off only a head shows
that was pinned elsewhere. Exit code 0: sound; 5: not.")]
    Verify(Verify),
    /// Print a proof that one event is in the trail
    #[command(after_help = "\
Examples:
  clinchat audit prove 01KE6B0400000000000000000A --dir archive/ --key public.pem > proof.json
  clinchat --profile dev audit prove 01KE6B0400000000000000000A --tenant main --key public.pem > proof.json
  clinchat audit prove 01KE6B0400000000000000000A --dir archive/ --key public.pem --head head.json > proof.json

With --head the proof ends at that head's root: whoever has had the head since then needs nothing else. Without --dir the trail is downloaded into a temporary folder first.")]
    Prove(Prove),
    /// Check such a proof; offline
    #[command(after_help = "\
Examples:
  clinchat audit check-proof proof.json --key public.pem
  clinchat audit check-proof proof.json --key public.pem --head head.json

Exit code 0: the event is in the trail; 5: the proof does not show it.")]
    CheckProof(CheckProof),
    /// Download the sealed trail, or a period of it
    #[command(after_help = "\
Examples:
  clinchat --profile dev audit download archive/ --tenant main
  clinchat --profile dev audit download archive/ --tenant main --from 2026-01-01 --to 2026-03-31

Needs AWS credentials in the environment, and a profile made with `profile add --from-outputs`. Days are UTC and those of the
sealing. What is there already is not fetched again, so that an interrupted download goes on.")]
    Download(Download),
}

/// `audit verify`.
#[derive(Args)]
pub struct Verify {
    /// The copy
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The public key, in PEM form; several if the key was changed
    #[arg(long = "key", required = true, value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// Heads that were pinned elsewhere: one, or a list of them
    #[arg(long = "head", value_name = "FILE")]
    pub heads: Vec<PathBuf>,
    /// Whose trail it must be
    #[arg(long, value_parser = TenantId::parse)]
    pub tenant: Option<TenantId>,
    /// The copy holds a period, not the whole trail: begin at the first file that is there
    #[arg(long)]
    pub partial: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `audit prove`.
#[derive(Args)]
pub struct Prove {
    /// The event's id
    pub id: String,
    /// The copy of the whole trail
    #[arg(long = "dir", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The public key, in PEM form; several if the key was changed
    #[arg(long = "key", required = true, value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// Prove under this head, which was pinned elsewhere, instead of under the trail's end
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
    /// Whose event it is
    #[arg(long, value_parser = TenantId::parse, required_unless_present = "folder")]
    pub tenant: Option<TenantId>,
}

/// `audit check-proof`.
#[derive(Args)]
pub struct CheckProof {
    /// The proof
    #[arg(value_name = "FILE")]
    pub proof: PathBuf,
    /// The public key, in PEM form; several if the key was changed
    #[arg(long = "key", required = true, value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// The head that was pinned elsewhere and whose trail it must be
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `audit download`.
#[derive(Args)]
pub struct Download {
    /// Where to
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Whose trail
    #[arg(long, value_parser = TenantId::parse)]
    pub tenant: TenantId,
    /// Only what was sealed on this day and later
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub from: Option<Date>,
    /// Only what was sealed on this day and earlier
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub to: Option<Date>,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub fn run(sealed: &Sealed, found: impl Fn() -> Result<Found>, screen: &mut Screen) -> Result<Outcome> {
    match sealed {
        Sealed::Verify(asked) => verify::run(asked, screen),
        Sealed::Prove(asked) => proofs::prove(asked, found, screen),
        Sealed::CheckProof(asked) => proofs::check(asked, screen),
        Sealed::Download(asked) => download::run(asked, &found()?, screen),
    }
}

fn small_file(path: &Path) -> Result<String> {
    let cannot = || format!("{} cannot be read", path.display());
    if fs::metadata(path).with_context(cannot)?.len() > SMALL_FILE_BYTES_MAX {
        bail!("{} is too big for what it should be", path.display());
    }
    fs::read_to_string(path).with_context(cannot)
}

fn read_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    let read = |path: &PathBuf| PublicKey::of_pem(&small_file(path)?).with_context(|| path.display().to_string());
    paths.iter().map(read).collect()
}

/// One head, a list of them, or a list under the name `heads`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Heads {
    One(Head),
    Many(Vec<Head>),
    Named { heads: Vec<Head> },
}

fn read_heads(paths: &[PathBuf]) -> Result<Vec<Head>> {
    let mut heads = Vec::new();
    for path in paths {
        let read =
            serde_json::from_str(&small_file(path)?).with_context(|| format!("{} holds no pinned head", path.display()))?;
        match read {
            Heads::One(head) => heads.push(head),
            Heads::Many(more) | Heads::Named { heads: more } => heads.extend(more),
        }
    }
    Ok(heads)
}
