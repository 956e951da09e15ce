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
//!
//! Somebody else may write a file under the next number, and it is locked there. It is passed over: the next file says in its
//! signed digest which one it follows. All writers fill the first free number, and all judge by the same bytes, so that this is
//! as exactly-once as before. Only what was there first is a stranger's: nothing is built over another version of a file, or this
//! would be a way to have sealed rows forgotten under the seal's own signature.

use crate::canonical::Row;
use crate::file::{FILE_BYTES_MAX, File, build, file_name, key_of, public_key_object, read_file};
use crate::key::{PublicKey, signed_message};
use crate::merkle::Peaks;
use crate::proof::event_of_line;
use crate::verify::{Finding, Start, TrailVerifier, Why};
use domain::fault::PortError;
use domain::ids::TenantId;
use domain::objects::{ObjectHistory, ObjectReader, ObjectWriter, WriteCondition};
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

/// Files of strangers in a row that are passed over. More of them are not passed over but told.
const STRANGERS_MAX: u64 = 64;

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
    /// Files of strangers that were passed over.
    pub strangers: u64,
}

/// What is remembered of one tenant's chain. Only ever what was read or written: a copy that is too old costs a lost race.
#[derive(Default)]
struct Known {
    last: Option<File>,
    /// Files of strangers behind the last one.
    strangers: u64,
    peaks: Peaks,
    /// The last files, the newest last.
    recent: VecDeque<Recent>,
    ids: HashSet<Arc<str>>,
}

/// What is remembered of one file.
struct Recent {
    sealed: Timestamp,
    /// The number of the file before.
    before: u64,
    ids: Vec<Arc<str>>,
}

/// What lies under a number.
enum Judged {
    Ours(Box<Checked>),
    Stranger(Finding),
}

/// A file of ours, the peaks with it, and the ids in it.
type Checked = (File, Peaks, Vec<Arc<str>>);

/// What a function remembers between calls.
#[derive(Default)]
pub struct Chains(BTreeMap<TenantId, Known>);

/// Appends to trails.
pub struct Sealer<'a> {
    /// The archive.
    pub reader: &'a dyn ObjectReader,
    /// The archive.
    pub writer: &'a dyn ObjectWriter,
    /// The archive.
    pub history: &'a dyn ObjectHistory,
    /// The key.
    pub signer: &'a dyn MessageSigner,
    /// Its public half, first, and those before it.
    pub keys: &'a [PublicKey],
    /// Names of keys with which somebody else has signed, as whoever deploys has found.
    pub disowned: &'a [String],
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
        let mut strangers = 0;
        let mut known = if let Some(known) = chains.0.remove(tenant) {
            known
        } else {
            let known = self.find_end(tenant).await?;
            strangers = known.strangers;
            known
        };
        let sealed = self.append(&mut known, tenant, rows).await;
        let sealed = sealed.map(|sealed| Sealed { strangers: sealed.strangers + strangers, ..sealed });
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
            let unsealed = build(tenant, (known.last.as_ref(), known.next()), &known.peaks, &left, (self.clock)(), &key);
            let signature = self.signer.sign(signed_message(unsealed.text.as_bytes()).as_bytes()).await?;
            let (peaks, count) = (unsealed.peaks.clone(), unsealed.rows());
            let file = unsealed.sealed(signature);
            let place = key_of(tenant, file.digest.file);
            match self.writer.put(&place, file.bytes(), WriteCondition::Absent).await {
                Ok(_) => {
                    let rest = left.split_off(count as usize);
                    let ids = left.into_iter().map(|row| row.id.into()).collect();
                    left = rest;
                    known.extend((file, peaks, ids));
                    sealed.files += 1;
                    sealed.rows += count;
                }
                Err(PortError::Conflict { .. }) if sealed.races < RACES_MAX => {
                    sealed.races += 1;
                    sealed.strangers += self.catch_up(known, tenant).await?;
                }
                Err(PortError::Conflict { .. }) => return Err(SealRowsError::Races),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn fetch(&self, tenant: &TenantId, file: u64) -> Result<Option<Vec<u8>>, PortError> {
        // What a stranger has laid there may be of any size.
        self.reader.get_range(&key_of(tenant, file), 0..FILE_BYTES_MAX + 1).await
    }

    /// The end of a chain that is not remembered: the last file that is of it, and what strangers have laid behind that one.
    async fn find_end(&self, tenant: &TenantId) -> Result<Known, SealRowsError> {
        let there = count_files(self.reader, tenant).await?;
        let mut known = Known::default();
        let mut strange = None;
        let reach = there.saturating_sub(STRANGERS_MAX);
        for number in (reach + 1..=there).rev() {
            let Some(bytes) = self.fetch(tenant, number).await? else { continue };
            match self.checked(tenant, number, &bytes) {
                Ok(checked) => {
                    known.extend(checked);
                    break;
                }
                Err(finding) if finding.why.may_be_strange() => strange = strange.or(Some(finding)),
                Err(finding) => return Err(finding.into()),
            }
        }
        match strange {
            Some(finding) if known.last.is_none() && reach > 0 => return Err(finding.into()),
            Some(_) => self.catch_up(&mut known, tenant).await?,
            None => 0,
        };
        Ok(known)
    }

    /// Reads what others have written since; answers how many files of strangers were passed over.
    async fn catch_up(&self, known: &mut Known, tenant: &TenantId) -> Result<u64, SealRowsError> {
        let mut strangers = 0;
        loop {
            let next = known.next();
            let Some(bytes) = self.fetch(tenant, next).await? else { return Ok(strangers) };
            match self.judge(known, tenant, next, &bytes)? {
                Judged::Ours(checked) => known.extend(*checked),
                Judged::Stranger(finding) => {
                    // Locked versions stay: what has one version only was never anything else.
                    if self.history.versions(&key_of(tenant, next)).await?.len() != 1 {
                        return Err(finding.into());
                    }
                    strangers += 1;
                    known.strangers += 1;
                }
            }
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
                // What lies between two files of the trail is a stranger's: the later one has signed that.
                if known.recent.front().is_some_and(|recent| recent.before < number) {
                    continue;
                }
                let Some(bytes) = bytes? else {
                    return Err(self.verifier(tenant).missing(number).into());
                };
                let (file, _, ids) = self.checked(tenant, number, &bytes)?;
                known.ids.extend(ids.iter().cloned());
                known.recent.push_front(Recent { sealed: file.digest.time, before: file.digest.before(), ids });
            }
        }
        Ok(())
    }

    /// Whether a file under the next number is the trail's next one, or a stranger's, of which nothing counts.
    fn judge(&self, known: &Known, tenant: &TenantId, number: u64, bytes: &[u8]) -> Result<Judged, Finding> {
        let last = known.last.as_ref();
        let follows = |file: &File| {
            file.digest.before() == last.map_or(0, |last| last.digest.file) && file.digest.previous == last.map(File::hash)
        };
        match self.checked(tenant, number, bytes) {
            Ok(checked) if follows(&checked.0) => Ok(Judged::Ours(Box::new(checked))),
            Ok(_) => Err(Finding { why: Why::NotChained, ..self.verifier(tenant).stray(&file_name(number)) }),
            // Well made and in its place, but under a key that nobody named: a stranger's, or one of ours that was forgotten. Only
            // whoever deploys can tell, and until then nothing is built beside it.
            Err(finding)
                if finding.why == Why::UnknownKey && read_file(bytes).is_ok_and(|file| self.may_be_ours(&file, follows)) =>
            {
                Err(finding)
            }
            Err(finding) if finding.why.may_be_strange() && known.strangers < STRANGERS_MAX => Ok(Judged::Stranger(finding)),
            Err(finding) => Err(finding),
        }
    }

    fn may_be_ours(&self, file: &File, follows: impl Fn(&File) -> bool) -> bool {
        follows(file) && !self.disowned.contains(&file.digest.key)
    }

    fn verifier(&self, tenant: &TenantId) -> TrailVerifier<'_> {
        TrailVerifier::new(self.keys, Some(tenant.clone()), Start::Anywhere, Vec::new())
    }

    /// A file of the archive, if it is one that the key signed for this place.
    fn checked(&self, tenant: &TenantId, number: u64, bytes: &[u8]) -> Result<Checked, Finding> {
        let mut verifier = self.verifier(tenant);
        let mut ids = Vec::new();
        let name = file_name(number);
        let file = verifier.file(&name, bytes, |_, line, _| ids.extend(event_of_line(line).map(|(_, id)| Arc::from(id))))?;
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
    fn extend(&mut self, (file, peaks, ids): Checked) {
        self.ids.extend(ids.iter().cloned());
        self.recent.push_back(Recent { sealed: file.digest.time, before: file.digest.before(), ids });
        (self.last, self.peaks, self.strangers) = (Some(file), peaks, 0);
    }

    /// The next number.
    fn next(&self) -> u64 {
        self.last.as_ref().map_or(0, |file| file.digest.file) + self.strangers + 1
    }

    /// The next file back, if it may hold a row that was written then.
    fn file_before(&self, written: i64) -> Option<u64> {
        let oldest = self.recent.front()?;
        Some(oldest.before).filter(|file| *file > 0 && oldest.sealed.as_second() >= written)
    }

    /// Lets go what the stream cannot repeat any more; files that hold it are read again when somebody offers it all the same.
    fn forget(&mut self) {
        let Some(newest) = self.recent.back().map(|recent| recent.sealed) else { return };
        let is_old = |recent: &Recent| newest.duration_since(recent.sealed) > REMEMBERED;
        while self.recent.len() > 1 && self.recent.front().is_some_and(is_old) {
            for id in self.recent.pop_front().map(|recent| recent.ids).unwrap_or_default() {
                self.ids.remove(&id);
            }
        }
    }
}
