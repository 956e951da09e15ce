//! Into the chain, each row exactly once, whatever the stream repeats and however many write at the same time.
//!
//! The archive is the only state. A file's name is its number, and it is written only if nothing has that name: of several
//! writers who have seen the same chain one gets the next place, the others read what it wrote and begin again from there.
//! So whoever writes file n has seen everything up to n - 1, and leaves out the rows that are in there already.
//!
//! Which files can those be in? No file is older than a row in it (`file::build` sees to that without believing a clock), and
//! times never run backwards along the chain. A row that was written at w is therefore in none of the files before the
//! last one that is older than w. The stream forgets after a day; the search back is that long at most, and in ordinary life
//! it ends at the last file.

use crate::canonical::Row;
use crate::file::{File, build, file_name, key_of, public_key_object};
use crate::key::{PublicKey, signed_message};
use crate::merkle::Peaks;
use crate::proof::event_of_line;
use crate::verify::{Finding, Start, TrailVerifier};
use domain::fault::PortError;
use domain::ids::TenantId;
use domain::objects::{Fetched, ObjectReader, ObjectWriter, WriteCondition};
use domain::signing::MessageSigner;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

/// Races that one call may lose. Each means that another writer got on, and few write at the same time.
const RACES_MAX: u32 = 64;
/// How much of one tenant's chain is remembered between calls: the day that the stream can repeat, and some. What is older is
/// read again if somebody offers it.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(26);
/// Files on their way at the same time. A replay of a day reads thousands.
const AT_ONCE: u64 = 16;

/// Why rows are not sealed yet. All of them may be offered again.
#[derive(Debug, thiserror::Error)]
pub enum SealRowsError {
    /// The archive or the key cannot be reached.
    #[error("the archive or the key cannot be reached")]
    Port(#[from] PortError),
    /// What is in the archive was not written by the seal: nothing is built on it.
    #[error("the archive is not what was sealed: {0}")]
    Archive(#[from] Finding),
    /// Others were faster each time.
    #[error("others were faster {RACES_MAX} times")]
    Races,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Files that were written.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Rows that were sealed already.
    pub repeated: u64,
    /// Races that were lost.
    pub races: u32,
}

/// What is remembered of one tenant's chain. Only ever what was read or written: a copy that is too old costs a lost race.
#[derive(Default)]
struct Known {
    last: Option<File>,
    peaks: Peaks,
    /// When each of the last files was sealed, and the ids in it; the newest last.
    recent: VecDeque<(Timestamp, Vec<Arc<str>>)>,
    ids: HashSet<Arc<str>>,
}

/// What a function remembers between calls.
#[derive(Default)]
pub struct Chains(BTreeMap<TenantId, Known>);

/// Appends to trails.
pub struct Sealer<'a> {
    /// The archive.
    pub reader: &'a dyn ObjectReader,
    /// The archive.
    pub writer: &'a dyn ObjectWriter,
    /// The key.
    pub signer: &'a dyn MessageSigner,
    /// Its public half, first, and those before it.
    pub keys: &'a [PublicKey],
    /// What time it is.
    pub clock: &'a (dyn Fn() -> Timestamp + Send + Sync),
}

impl Sealer<'_> {
    /// Lays the public key beside the trail, once.
    pub async fn publish_key(&self) -> Result<(), PortError> {
        for key in self.keys {
            match self.writer.put(&public_key_object(&key.name()), key.pem().into_bytes(), WriteCondition::Absent).await {
                Ok(_) | Err(PortError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Seals rows of one tenant, in their order. When it returns without an error, each of them is in the chain once.
    pub async fn seal(&self, chains: &mut Chains, tenant: &TenantId, rows: &[Row]) -> Result<Sealed, SealRowsError> {
        let mut known = match chains.0.remove(tenant) {
            Some(known) => known,
            None => self.find_end(tenant).await?,
        };
        let sealed = self.append(&mut known, tenant, rows).await;
        // What was read and written stays so whatever failed after it: the next try goes on from there, however long the way is.
        if !matches!(sealed, Err(SealRowsError::Archive(_))) {
            chains.0.insert(tenant.clone(), known);
        }
        sealed
    }

    async fn append(&self, known: &mut Known, tenant: &TenantId, rows: &[Row]) -> Result<Sealed, SealRowsError> {
        let mut sealed = Sealed::default();
        let Some(oldest) = rows.iter().map(|row| row.written).min() else { return Ok(sealed) };
        let key = self.keys.first().map(PublicKey::name).unwrap_or_default();
        self.look_back(known, tenant, oldest).await?;
        let mut offered = HashSet::new();
        let mut left: Vec<Row> = rows.iter().filter(|row| offered.insert(row.id.clone())).cloned().collect();
        sealed.repeated = (rows.len() - left.len()) as u64;
        loop {
            let before = left.len();
            left.retain(|row| !known.ids.contains(row.id.as_str()));
            sealed.repeated += (before - left.len()) as u64;
            if left.is_empty() {
                known.forget();
                return Ok(sealed);
            }
            let unsealed = build(tenant, known.last.as_ref(), &known.peaks, &left, (self.clock)(), &key);
            let signature = self.signer.sign(signed_message(unsealed.text.as_bytes()).as_bytes()).await?;
            let (peaks, count) = (unsealed.peaks.clone(), unsealed.rows());
            let file = unsealed.sealed(signature);
            let place = key_of(tenant, file.digest.file);
            match self.writer.put(&place, file.bytes(), WriteCondition::Absent).await {
                Ok(_) => {
                    let rest = left.split_off(count as usize);
                    let ids = left.into_iter().map(|row| row.id.into()).collect();
                    left = rest;
                    known.extend(file, peaks, ids);
                    sealed.files += 1;
                    sealed.rows += count;
                }
                Err(PortError::Conflict { .. }) if sealed.races < RACES_MAX => {
                    sealed.races += 1;
                    self.catch_up(known, tenant).await?;
                }
                Err(PortError::Conflict { .. }) => return Err(SealRowsError::Races),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn fetch(&self, tenant: &TenantId, file: u64) -> Result<Option<Vec<u8>>, PortError> {
        match self.reader.get(&key_of(tenant, file), None, None).await? {
            Fetched::Found { bytes, .. } => Ok(Some(bytes)),
            Fetched::NotModified | Fetched::Absent => Ok(None),
        }
    }

    /// The end of a chain that is not remembered.
    async fn find_end(&self, tenant: &TenantId) -> Result<Known, SealRowsError> {
        let there = count_files(self.reader, tenant).await?;
        let mut known = Known::default();
        if there > 0
            && let Some(bytes) = self.fetch(tenant, there).await?
        {
            let (file, peaks, ids) = self.checked(tenant, there, &bytes, None)?;
            known.extend(file, peaks, ids);
        }
        Ok(known)
    }

    /// Reads what others have written since.
    async fn catch_up(&self, known: &mut Known, tenant: &TenantId) -> Result<(), SealRowsError> {
        loop {
            let next = known.last.as_ref().map_or(1, |file| file.digest.file + 1);
            let Some(bytes) = self.fetch(tenant, next).await? else { return Ok(()) };
            let (file, peaks, ids) = self.checked(tenant, next, &bytes, known.last.as_ref())?;
            known.extend(file, peaks, ids);
        }
    }

    /// Reads back until no earlier file can hold a row that was written then.
    async fn look_back(&self, known: &mut Known, tenant: &TenantId, written: i64) -> Result<(), SealRowsError> {
        // In ordinary life one file is enough; the longer the way back, the more are fetched at a time.
        let mut at_once = 1;
        while let Some(last) = known.file_before(written) {
            let numbers: Vec<u64> = (last.saturating_sub(at_once - 1).max(1)..=last).rev().collect();
            at_once = (at_once * 2).min(AT_ONCE);
            let fetched = join_all(numbers.iter().map(|file| self.fetch(tenant, *file))).await;
            for (number, bytes) in numbers.into_iter().zip(fetched) {
                let Some(bytes) = bytes? else {
                    let verifier = TrailVerifier::new(self.keys, Some(tenant.clone()), Start::Anywhere, Vec::new());
                    return Err(verifier.missing(number).into());
                };
                let (file, _, ids) = self.checked(tenant, number, &bytes, None)?;
                known.ids.extend(ids.iter().cloned());
                known.recent.push_front((file.digest.time, ids));
            }
        }
        Ok(())
    }

    /// A file of the archive, if it is one that the key signed and that follows the one before. Nothing is built on another.
    fn checked(
        &self,
        tenant: &TenantId,
        number: u64,
        bytes: &[u8],
        before: Option<&File>,
    ) -> Result<(File, Peaks, Vec<Arc<str>>), Finding> {
        let mut verifier = TrailVerifier::new(self.keys, Some(tenant.clone()), Start::Anywhere, Vec::new());
        let mut ids = Vec::new();
        let name = file_name(number);
        let file = verifier.file(&name, bytes, |_, line, _| ids.extend(event_of_line(line).map(|(_, id)| Arc::from(id))))?;
        if before.is_some_and(|before| file.digest.previous != Some(before.hash())) {
            return Err(verifier.stray(&name));
        }
        Ok((file, verifier.peaks().clone(), ids))
    }
}

/// How many files a tenant's trail has: numbers have no gaps, so that is found in twice the logarithm of it.
pub async fn count_files(reader: &dyn ObjectReader, tenant: &TenantId) -> Result<u64, PortError> {
    let exists = async |file: u64| Ok::<bool, PortError>(reader.head(&key_of(tenant, file)).await?.is_some());
    let (mut there, mut beyond) = (0, 1);
    while exists(beyond).await? {
        (there, beyond) = (beyond, beyond * 2);
    }
    while beyond - there > 1 {
        let middle = there + (beyond - there) / 2;
        if exists(middle).await? {
            there = middle;
        } else {
            beyond = middle;
        }
    }
    Ok(there)
}

impl Known {
    fn extend(&mut self, file: File, peaks: Peaks, ids: Vec<Arc<str>>) {
        self.ids.extend(ids.iter().cloned());
        self.recent.push_back((file.digest.time, ids));
        (self.last, self.peaks) = (Some(file), peaks);
    }

    /// The next file back, if it may hold a row that was written then.
    fn file_before(&self, written: i64) -> Option<u64> {
        let last = self.last.as_ref()?.digest.file;
        let is_old_enough = self.recent.front().is_some_and(|(time, _)| time.as_second() < written);
        last.checked_sub(self.recent.len() as u64).filter(|file| *file > 0 && !is_old_enough)
    }

    /// Lets go what the stream cannot repeat any more; files that hold it are read again when somebody offers it all the same.
    fn forget(&mut self) {
        let Some(newest) = self.recent.back().map(|(time, _)| *time) else { return };
        let is_old = |time: &Timestamp| newest.duration_since(*time) > REMEMBERED;
        while self.recent.len() > 1 && self.recent.front().is_some_and(|(time, _)| is_old(time)) {
            for id in self.recent.pop_front().map(|(_, ids)| ids).unwrap_or_default() {
                self.ids.remove(&id);
            }
        }
    }
}
