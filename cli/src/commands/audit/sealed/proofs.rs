//! `audit prove` and `audit check-proof`: one event, for somebody who does not get the rest.

use super::folder::{TrailFolder, trails};
use super::verify::{Checked, check as check_trail};
use super::{CheckProof, Prove, download, read_heads, read_keys, small_file};
use crate::display::Screen;
use crate::display::progress::Bar;
use crate::outcome::Outcome;
use crate::profile::Found;
use anyhow::{Context, Result, bail};
use seal::{File, Head, Proof, Prover, PublicKey, Start, event_of_line, file_name, read_file};
use serde_json::json;

/// Looks for the event, then proves it: the trail passes by twice, and nothing of it is kept.
pub fn prove(asked: &Prove, found: impl Fn() -> Result<Found>, screen: &mut Screen) -> Result<Outcome> {
    let keys = read_keys(&asked.keys)?;
    let heads = read_heads(asked.head.as_slice())?;
    let fetched = tempfile::tempdir()?;
    let folder = match (&asked.folder, &asked.tenant) {
        (Some(folder), _) => folder.clone(),
        (None, Some(tenant)) => {
            download::fetch(&found()?, tenant, fetched.path(), None, None, screen)?;
            fetched.path().to_path_buf()
        }
        (None, None) => bail!("Say --tenant, or --dir."),
    };
    for trail in trails(&folder)? {
        let tenant = asked.tenant.clone().or_else(|| trail.tenant.clone());
        if asked.tenant.is_some() && trail.tenant.is_some() && asked.tenant != trail.tenant {
            continue;
        }
        let mut seq = None;
        let look = |at: u64, line: &[u8]| {
            // Ids are long and random: the text says in a moment which lines are worth reading.
            let is_near = line.windows(asked.id.len().max(1)).any(|part| part == asked.id.as_bytes());
            if is_near && event_of_line(line).is_some_and(|(_, id)| id == asked.id) {
                seq = Some(at);
            }
        };
        let (report, last) = match pass(&trail, &keys, tenant.clone(), &heads, screen, look)? {
            Ok(sound) => sound,
            Err(finding) => bail!("{} is not what was sealed, and proves nothing: {finding}", trail.path.display()),
        };
        let (Some(seq), Some(last)) = (seq, last) else { continue };
        let (count, last) = match heads.iter().find(|head| head.tenant == last.digest.tenant) {
            Some(head) if seq > head.count => {
                bail!("The head is older than the event: it has {} rows, the event is row {seq}.", head.count)
            }
            Some(head) => (head.count, file_of(&trail, head)?),
            None if heads.is_empty() => (report.head.map_or(0, |head| head.count), last),
            None => bail!("The head is not one of {}.", last.digest.tenant),
        };
        let mut prover = Prover::new(seq, count);
        let bar = Bar::alone(screen, &trail.path.display().to_string());
        let again =
            check_trail(&trail, &keys, tenant, Start::Beginning, &heads, &bar, |at, line, leaf| prover.row(at, line, leaf))?;
        drop(bar);
        let proof = prover.finish(&last).filter(|_| again.is_ok()).context("The trail was changed meanwhile; try again.")?;
        screen.json(&proof)?;
        return Ok(Outcome::Done);
    }
    bail!("There is no event {} in the trail.", asked.id)
}

fn pass(
    trail: &TrailFolder,
    keys: &[PublicKey],
    tenant: Option<domain::ids::TenantId>,
    heads: &[Head],
    screen: &Screen,
    mut look: impl FnMut(u64, &[u8]),
) -> Result<Checked> {
    let bar = Bar::alone(screen, &trail.path.display().to_string());
    check_trail(trail, keys, tenant, Start::Beginning, heads, &bar, |at, line, _| look(at, line))
}

/// The file that a head was pinned of. That it is, was checked with the trail.
fn file_of(trail: &TrailFolder, head: &Head) -> Result<File> {
    let name = file_name(head.files);
    let bytes = trail.read(&name).with_context(|| format!("{name} cannot be read"))?;
    let file = read_file(&bytes).ok().filter(|file| file.digest.head() == *head);
    file.with_context(|| format!("{name} is not the file of that head"))
}

/// Checks a proof with nothing but the key.
pub fn check(asked: &CheckProof, screen: &mut Screen) -> Result<Outcome> {
    let keys = read_keys(&asked.keys)?;
    let read = serde_json::from_str::<Proof>(&small_file(&asked.proof)?);
    let proof = read.with_context(|| format!("{} is no proof", asked.proof.display()))?;
    // A file of heads may hold those of other days and tenants.
    let heads = read_heads(asked.head.as_slice())?;
    let is_its = |head: &&Head| head.tenant == proof.tenant && head.count == proof.count;
    let checked = proof.check(&keys, heads.iter().find(is_its).or(heads.first()));
    if asked.json {
        let reason = checked.as_ref().err().map(ToString::to_string);
        screen.json(&json!({
            "proven": checked.is_ok(), "tenant": proof.tenant, "id": proof.id, "seq": proof.seq, "count": proof.count, "reason": reason,
        }))?;
    } else {
        screen.line(match &checked {
            Ok(()) => format!("{}: proven: row {} of {} of the trail of {}", proof.id, proof.seq, proof.count, proof.tenant),
            Err(error) => format!("NOT PROVEN: {error}"),
        })?;
    }
    Ok(if checked.is_ok() { Outcome::Done } else { Outcome::Unsound })
}
