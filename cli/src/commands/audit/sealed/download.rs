//! `audit download`: a tenant's sealed files as they lie in the archive, all of them or those of a period.

use super::Download;
use crate::display::Screen;
use crate::display::measure::count;
use crate::display::progress::Bar;
use crate::outcome::Outcome;
use crate::profile::Found;
use anyhow::{Context, Result, bail};
use domain::ids::TenantId;
use domain::objects::{Fetched, ObjectReader as _};
use futures_util::future::join_all;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use objects::Bucket;
use seal::{MEMBER_BYTES_MAX, count_files, key_of, read_digest};
use serde_json::json;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// A file has at most a few megabytes.
const ATTEMPT: Duration = Duration::from_mins(1);
/// Files on their way at the same time.
const AT_ONCE: usize = 16;

/// What was fetched.
pub struct Fetch {
    /// The files of the trail that are in the folder now.
    pub files: RangeInclusive<u64>,
    /// Of these, those that were not there before.
    pub fetched: usize,
}

/// Downloads and says what.
pub fn run(asked: &Download, found: &Found, screen: &mut Screen) -> Result<Outcome> {
    let fetch = fetch(found, &asked.tenant, &asked.folder, asked.from, asked.to, screen)?;
    let (first, last) = (*fetch.files.start(), *fetch.files.end());
    if asked.json {
        screen.json(&json!({ "tenant": asked.tenant, "first_file": first, "last_file": last, "fetched": fetch.fetched }))?;
    } else {
        let files = count((last + 1 - first) as usize, "file");
        screen.line(format!("{}: {files} of the trail in {}, {} new", asked.tenant, asked.folder.display(), fetch.fetched))?;
        let partial = if first > 1 { " --partial" } else { "" };
        screen.note(format!("Check it: clinchat audit verify {} --key PUBLIC.pem{partial}", asked.folder.display()));
    }
    Ok(Outcome::Done)
}

/// Brings a tenant's trail into a folder.
pub fn fetch(
    found: &Found,
    tenant: &TenantId,
    folder: &Path,
    from: Option<Date>,
    to: Option<Date>,
    screen: &Screen,
) -> Result<Fetch> {
    let name = found.profile.outputs.get("ArchiveBucket").filter(|name| !name.is_empty());
    let missing = || format!("The profile {} has no ArchiveBucket: add it again with `profile add --from-outputs`.", found.name);
    let name = name.with_context(missing)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let sdk = runtime::aws::sdk_config_of(ATTEMPT, &found.profile.region, found.profile.endpoint.as_deref()).await?;
        let archive = Bucket::new(&sdk, name.clone());
        let bar = Bar::alone(screen, tenant.as_str());
        bar.doing("looking");
        let files = period(&archive, tenant, from, to).await?;
        let mut wanted: Vec<String> = archive.keys("keys/").await?;
        wanted.extend(files.clone().map(|file| key_of(tenant, file)));
        let total = wanted.len() as u64;
        wanted.retain(|key| !folder.join(key).exists());
        let mut done = total - wanted.len() as u64;
        for some in wanted.chunks(AT_ONCE) {
            for saved in join_all(some.iter().map(|key| save(&archive, key, folder))).await {
                saved?;
                done += 1;
                bar.done("downloading", done, total);
            }
        }
        let fetched = wanted.iter().filter(|key| key.starts_with("trail/")).count();
        Ok(Fetch { files, fetched })
    })
}

/// The files that were sealed in a period. Times never run backwards along the trail, so that both ends are found by halving.
async fn period(archive: &Bucket, tenant: &TenantId, from: Option<Date>, to: Option<Date>) -> Result<RangeInclusive<u64>> {
    let last = count_files(archive, tenant).await?;
    let begin = |day: Date| day.to_zoned(TimeZone::UTC).map(|day| day.timestamp()).context("no day of the calendar");
    let first = match from {
        Some(day) => first_from(archive, tenant, last, begin(day)?).await?,
        None => 1,
    };
    let end = match to {
        Some(day) => first_from(archive, tenant, last, begin(day.tomorrow()?)?).await? - 1,
        None => last,
    };
    if end < first {
        bail!("Nothing of {tenant} was sealed in that time.");
    }
    Ok(first..=end)
}

/// The first file that was sealed at a time or later; one beyond the last if there is none.
async fn first_from(archive: &Bucket, tenant: &TenantId, last: u64, time: Timestamp) -> Result<u64> {
    let (mut low, mut high) = (1, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        // What lies under a number may be a stranger's and say nothing: then the next one's time is asked for.
        let mut at = middle;
        let sealed = loop {
            if at == high {
                break None;
            }
            let beginning = archive.get_range(&key_of(tenant, at), 0..MEMBER_BYTES_MAX as u64).await?;
            let digest = beginning.and_then(|bytes| read_digest(&bytes).ok());
            match digest.filter(|digest| digest.tenant == *tenant && digest.file == at) {
                Some(digest) => break Some(digest.time),
                None => at += 1,
            }
        };
        if sealed.is_some_and(|sealed| sealed < time) {
            low = at + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Whole or not at all: an interrupted download leaves nothing that passes for a file.
async fn save(archive: &Bucket, key: &str, folder: &Path) -> Result<()> {
    let Fetched::Found { bytes, .. } = archive.get(key, None, None).await? else {
        bail!("{key} is not in the archive any more");
    };
    let path = folder.join(key);
    let parent = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
    // Beside the trails, not among their files: what a kill leaves behind is no stranger in a trail.
    let draft = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(draft.path(), bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    draft.persist(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}
