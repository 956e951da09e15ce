//! `audit verify`: every trail in a folder, row by row.

use super::folder::{TrailFolder, trails};
use super::{Verify, read_heads, read_keys};
use crate::display::Screen;
use crate::display::measure::count;
use crate::display::progress::Bar;
use crate::outcome::Outcome;
use anyhow::{Context, Result};
use domain::ids::TenantId;
use seal::{File, Finding, FolderError, Hash, Head, PublicKey, Report, Start, TrailVerifier, Why, file_name};
use serde_json::{Value, json};

/// Whether a trail is sound, and the rows of a sound one.
pub type Checked = Result<(Report, Option<File>), Finding>;

/// Checks the trails, and says which is unsound first.
pub fn run(asked: &Verify, screen: &mut Screen) -> Result<Outcome> {
    let keys = read_keys(&asked.keys)?;
    let heads = read_heads(&asked.heads)?;
    let start = if asked.partial { Start::Anywhere } else { Start::Beginning };
    let folders = trails(&asked.folder)?;
    let mut results: Vec<(String, Checked)> = Vec::new();
    let mut met: Vec<TenantId> = Vec::new();
    for folder in &folders {
        let tenant = asked.tenant.clone().or_else(|| folder.tenant.clone()).or_else(|| folder.said.clone());
        let bar = Bar::alone(screen, &folder.path.display().to_string());
        let checked = if tenant.as_ref().is_some_and(|tenant| met.contains(tenant)) {
            // Two trails of one tenant: one of them is not the trail.
            Err(Finding { first_bad: 1, file: folder.path.display().to_string(), why: Why::Stray })
        } else {
            check(folder, &keys, tenant.clone(), start, &heads, &bar, |_, _, _| ())?
        };
        drop(bar);
        let name = tenant.as_ref().map_or_else(|| folder.path.display().to_string(), ToString::to_string);
        met.extend(tenant);
        results.push((name, checked));
    }
    // A tenant of which there is a head and nothing else, or nothing at all.
    let mut wanted: Vec<TenantId> = asked.tenant.iter().cloned().chain(heads.iter().map(|head| head.tenant.clone())).collect();
    wanted.sort();
    wanted.dedup();
    for tenant in wanted.into_iter().filter(|tenant| !met.contains(tenant)) {
        results.push((tenant.to_string(), Err(Finding { first_bad: 1, file: file_name(1), why: Why::Empty })));
    }
    if results.is_empty() {
        results.push((asked.folder.display().to_string(), Err(Finding { first_bad: 1, file: file_name(1), why: Why::Empty })));
    }
    let is_sound = results.iter().all(|(_, checked)| checked.is_ok());
    if asked.json {
        let trails: Vec<Value> = results.iter().map(|(name, checked)| as_json(name, checked)).collect();
        screen.json(&json!({ "sound": is_sound, "trails": trails }))?;
    } else {
        for (name, checked) in &results {
            screen.line(as_text(name, checked))?;
        }
        if is_sound && heads.is_empty() {
            screen.note("Without --head nobody can say that the end was not cut off.");
        }
    }
    Ok(if is_sound { Outcome::Done } else { Outcome::Unsound })
}

/// Checks one folder and hands its rows on.
pub fn check(
    folder: &TrailFolder,
    keys: &[PublicKey],
    tenant: Option<TenantId>,
    start: Start,
    heads: &[Head],
    bar: &Bar,
    each: impl FnMut(u64, &[u8], Hash),
) -> Result<Checked> {
    let heads = heads.iter().filter(|head| tenant.as_ref().is_none_or(|tenant| head.tenant == *tenant)).cloned().collect();
    let verifier = TrailVerifier::new(keys, tenant, start, heads);
    let (mut done, total) = (0, folder.names.len() as u64);
    let read = |name: &str| {
        done += 1;
        bar.done("verifying", done, total);
        folder.read(name)
    };
    match verifier.folder(folder.names.clone(), read, each) {
        Ok(sound) => Ok(Ok(sound)),
        Err(FolderError::Unsound(finding)) => Ok(Err(finding)),
        Err(FolderError::Unreadable(error)) => Err(error).with_context(|| format!("{} cannot be read", folder.path.display())),
    }
}

fn as_json(name: &str, checked: &Checked) -> Value {
    match checked {
        Ok((report, _)) => json!({
            "trail": name, "sound": true, "files": report.files, "rows": report.rows, "text_bytes": report.text_bytes,
            "heads_met": report.heads, "head": report.head, "strangers": report.strangers,
        }),
        Err(finding) => json!({
            "trail": name, "sound": false, "first_bad": finding.first_bad, "file": finding.file, "code": finding.why.code(),
            "reason": finding.why.to_string(),
        }),
    }
}

fn as_text(name: &str, checked: &Checked) -> String {
    match checked {
        Ok((report, _)) => {
            let (rows, files) = (count(report.rows as usize, "row"), count(report.files as usize, "file"));
            let until =
                report.head.as_ref().map_or_else(String::new, |head| format!(", row {} sealed {}", head.count, head.time));
            let met = if report.heads > 0 { format!(", {} met", count(report.heads, "pinned head")) } else { String::new() };
            let strangers = match report.strangers.as_slice() {
                [] => String::new(),
                [first, ..] => {
                    let all = count(report.strangers.len(), "file");
                    format!(" ({all} not of the trail, which the seal has passed over: {} ...)", file_name(*first))
                }
            };
            format!("{name}: sound: {rows} in {files}{until}{met}{strangers}")
        }
        Err(finding) => format!("{name}: NOT SOUND from row {} on ({}): {}", finding.first_bad, finding.file, finding.why),
    }
}
