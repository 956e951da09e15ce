//! Whether a trail is what was sealed. One file after the other, each in bounded memory, without a store and without a clock;
//! stops at the first row that cannot be vouched for and says its number.

use crate::digest::{Digest, Head, MARK_BYTES};
use crate::file::{File, file_name, key_of, read_file};
use crate::key::PublicKey;
use crate::merkle::{Hash, Peaks, leaf};
use domain::ids::TenantId;
use sha2::{Digest as _, Sha256};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Cut off, or no file of ours.
    #[error("the file is damaged or was not written by the seal")]
    Malformed,
    /// The signature is gone.
    #[error("the digest has no signature")]
    Unsigned,
    /// Signed with a key that was not given.
    #[error("the digest names a key that was not given")]
    UnknownKey,
    /// The digest is not the one that was signed.
    #[error("the signature does not fit the digest")]
    BadSignature,
    /// A file of another tenant.
    #[error("the file belongs to another tenant")]
    OtherTenant,
    /// A file of another place in the chain.
    #[error("the file belongs to another place: it says {said}")]
    OtherPlace {
        /// What the digest says that it is.
        said: String,
    },
    /// A file between is not there.
    #[error("the file {0} is missing")]
    Missing(String),
    /// There is a file that is no part of the chain.
    #[error("the file is no part of the trail")]
    Stray,
    /// It does not follow the file before.
    #[error("the digest does not follow the digest of the file before")]
    NotChained,
    /// The file before was sealed later.
    #[error("the file says that it was sealed before the one that it follows")]
    TimeRunsBackwards,
    /// The compressed rows cannot be read to their end.
    #[error("the rows cannot be unpacked")]
    RowsUnreadable {
        /// As far as they could be.
        text: Vec<u8>,
    },
    /// A row is not the one that was sealed.
    #[error("the row is not the one that was sealed")]
    RowChanged,
    /// The rows are those that were sealed, the file around them is not.
    #[error("the rows were packed anew")]
    Repacked,
    /// The root does not fit.
    #[error("the root of the tree does not fit the rows")]
    WrongRoot,
    /// The trail ends before a pinned head.
    #[error("the trail ends before the pinned head of {count} rows")]
    EndsBeforeHead {
        /// How many rows there must be.
        count: u64,
    },
    /// The trail is another one than the pinned head's.
    #[error("the trail is not the one whose head of {count} rows was pinned")]
    OtherThanHead {
        /// How many rows the head had.
        count: u64,
    },
    /// There is nothing.
    #[error("there is no sealed file")]
    Empty,
}

impl Why {
    /// Whether it can be said of a file that somebody laid among those of the trail, of which nothing counts.
    pub(crate) const fn may_be_strange(&self) -> bool {
        matches!(
            self,
            Self::Malformed
                | Self::Unsigned
                | Self::UnknownKey
                | Self::BadSignature
                | Self::OtherTenant
                | Self::OtherPlace { .. }
        )
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unsigned => "unsigned",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::OtherTenant => "other_tenant",
            Self::OtherPlace { .. } => "other_place",
            Self::Missing(_) => "missing_file",
            Self::Stray => "stray_file",
            Self::NotChained => "not_chained",
            Self::TimeRunsBackwards => "time_runs_backwards",
            Self::RowsUnreadable { .. } => "rows_unreadable",
            Self::RowChanged => "row_changed",
            Self::Repacked => "repacked",
            Self::WrongRoot => "wrong_root",
            Self::EndsBeforeHead { .. } => "ends_before_head",
            Self::OtherThanHead { .. } => "other_than_head",
            Self::Empty => "empty",
        }
    }
}

/// The first thing that is wrong with a trail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {first_bad}, {file}: {why}")]
pub struct Finding {
    /// The number of the first row that cannot be vouched for; every row before it can.
    pub first_bad: u64,
    /// The file.
    pub file: String,
    /// What is wrong.
    pub why: Why,
}

/// Why a folder is not a sound trail.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError<E> {
    /// Something is wrong with the trail.
    #[error(transparent)]
    Unsound(#[from] Finding),
    /// A file could not be read at all.
    #[error("a file cannot be read")]
    Unreadable(E),
}

/// The number in a file's name, if it is the name of a file.
fn number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".jsonl.gz")?.parse().ok()?;
    (file_name(number) == name && number > 0).then_some(number)
}

/// Where a trail may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At its first row.
    Beginning,
    /// Anywhere: a period of it. What was before the first file is believed, because that file's signature covers it.
    Anywhere,
}

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of the rows' text.
    pub text_bytes: u64,
    /// Numbers between its files under which the seal has found files of a stranger, and has signed that it passed over them.
    pub strangers: Vec<u64>,
    /// Pinned heads that were met.
    pub heads: usize,
    /// Where the trail is now.
    pub head: Option<Head>,
}

/// The file before, as far as the next one needs it.
#[derive(Debug, Clone)]
struct Link {
    digest: Digest,
    hash: Hash,
    signature: Vec<u8>,
}

/// Checks one tenant's files in order.
pub struct TrailVerifier<'a> {
    keys: &'a [PublicKey],
    tenant: Option<TenantId>,
    start: Start,
    heads: Vec<Head>,
    peaks: Peaks,
    last: Option<Link>,
    /// Rows up to the last pinned head that was met.
    pinned: u64,
    met: usize,
    rows: u64,
    files: u64,
    text_bytes: u64,
    strangers: Vec<u64>,
    /// The first file that is not the trail's since the last one that is: unsound, unless the next one has signed that it
    /// passed over it.
    strange: Option<Finding>,
}

impl<'a> TrailVerifier<'a> {
    /// A trail that begins here. `heads` are the pinned heads of this tenant; without a tenant the first file says it.
    pub fn new(keys: &'a [PublicKey], tenant: Option<TenantId>, start: Start, mut heads: Vec<Head>) -> Self {
        heads.sort_by_key(|head| head.files);
        let tenant = tenant.or_else(|| heads.first().map(|head| head.tenant.clone()));
        let (peaks, last) = (Peaks::default(), None);
        let (rows, files, text_bytes, strangers, strange) = (0, 0, 0, Vec::new(), None);
        Self { keys, tenant, start, heads, peaks, last, pinned: 0, met: 0, rows, files, text_bytes, strangers, strange }
    }

    /// The file that comes next, or `None` if that is open.
    pub fn expected(&self) -> Option<u64> {
        match (&self.last, self.start) {
            (Some(link), _) => Some(link.digest.file + 1),
            (None, Start::Beginning) => Some(1),
            (None, Start::Anywhere) => None,
        }
    }

    /// The peaks of everything so far: the next file is built on them.
    pub const fn peaks(&self) -> &Peaks {
        &self.peaks
    }

    fn finding(&self, file: &str, why: Why) -> Finding {
        Finding { first_bad: self.peaks.count() + 1, file: file.to_owned(), why }
    }

    /// That a file lies beside the trail which is no part of it.
    pub fn stray(&self, name: &str) -> Finding {
        self.finding(name, Why::Stray)
    }

    /// That a file which the trail needs is not there.
    pub fn missing(&self, file: u64) -> Finding {
        self.finding(&file_name(file), Why::Missing(file_name(file)))
    }

    /// Checks a folder: the files of one tenant by name, in any order, and what reads one. Hands each row on.
    pub fn folder<E>(
        mut self,
        mut names: Vec<String>,
        mut read: impl FnMut(&str) -> Result<Vec<u8>, E>,
        mut each: impl FnMut(u64, &[u8], Hash),
    ) -> Result<(Report, Option<File>), FolderError<E>> {
        names.sort_unstable();
        let (files, strays): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| number(name).is_some());
        let mut last = None;
        for name in files {
            let bytes = read(&name).map_err(FolderError::Unreadable)?;
            last = self.offer(&name, &bytes, &mut each)?.or(last);
        }
        if let Some(name) = strays.first() {
            return Err(self.stray(name).into());
        }
        Ok((self.finish()?, last))
    }

    /// Checks what lies under the next number: a file of the trail, or one of which the next file must say that it is none.
    pub fn offer(&mut self, name: &str, bytes: &[u8], each: impl FnMut(u64, &[u8], Hash)) -> Result<Option<File>, Finding> {
        match self.file(name, bytes, each) {
            Ok(file) => {
                self.strange = None;
                Ok(Some(file))
            }
            Err(finding) if finding.why.may_be_strange() || matches!(finding.why, Why::Missing(_)) => {
                self.strange.get_or_insert(finding);
                Ok(None)
            }
            Err(finding) => Err(self.strange.take().unwrap_or(finding)),
        }
    }

    /// Checks the next file, and hands each of its rows on. `name` is what it is called where it was found.
    pub fn file(&mut self, name: &str, bytes: &[u8], mut each: impl FnMut(u64, &[u8], Hash)) -> Result<File, Finding> {
        let expected = self.expected();
        let missing = expected.filter(|expected| name != file_name(*expected)).map(|expected| Why::Missing(file_name(expected)));
        let file = read_file(bytes);
        let passes_over = |file: &File| expected.is_some_and(|expected| file.digest.follows == Some(expected - 1));
        if let Some(missing) = missing.filter(|_| self.strange.is_none() && !file.as_ref().is_ok_and(passes_over)) {
            return Err(self.finding(name, missing));
        }
        let file = file.map_err(|why| self.finding(name, why))?;
        self.header(name, &file).map_err(|why| self.finding(name, why))?;
        let digest = &file.digest;
        let (text, damage) = match file.unpack() {
            Ok(text) => (text, None),
            Err(Why::RowsUnreadable { text }) => (text, Some(Why::RowsUnreadable { text: Vec::new() })),
            Err(why) => return Err(self.finding(name, why)),
        };
        let base = if self.last.is_none() { digest.base.clone() } else { self.peaks.clone() };
        let mut peaks = base;
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        for mark in digest.marks.chunks_exact(MARK_BYTES) {
            let seq = peaks.count() + 1;
            let bad = |why| Finding { first_bad: seq, file: name.to_owned(), why };
            let row = lines
                .next()
                .and_then(|line| line.strip_suffix(b"\n"))
                .ok_or_else(|| bad(damage.clone().unwrap_or(Why::RowChanged)))?;
            let hash = leaf(row);
            if hash[..MARK_BYTES] != *mark || !row.starts_with(format!("{{\"seq\":{seq},").as_bytes()) {
                return Err(bad(Why::RowChanged));
            }
            peaks.push(hash);
            if damage.is_none() {
                each(seq, row, hash);
            }
        }
        let after = |why, first_bad| Finding { first_bad, file: name.to_owned(), why };
        if let Some(why) = damage {
            // Every row is there: either more comes after them, or only what is around them was changed.
            let is_longer = text.len() as u64 > digest.text_bytes;
            return Err(if is_longer { after(why, digest.last() + 1) } else { after(Why::Repacked, digest.first()) });
        }
        if lines.next().is_some() {
            return Err(after(Why::RowChanged, digest.last() + 1));
        }
        let packed: Hash = Sha256::digest(&file.rows).into();
        if packed != digest.rows_sha256 || file.rows.len() as u64 != digest.rows_bytes {
            return Err(after(Why::Repacked, digest.first()));
        }
        if peaks.root() != digest.root {
            return Err(after(Why::WrongRoot, digest.first()));
        }
        self.meet_heads(name, &file)?;
        self.strangers.extend(expected.into_iter().flat_map(|expected| expected..digest.file));
        (self.files, self.rows, self.text_bytes) = (self.files + 1, self.rows + digest.rows, self.text_bytes + digest.text_bytes);
        self.tenant = Some(digest.tenant.clone());
        self.peaks = peaks;
        self.last = Some(Link { digest: digest.clone(), hash: file.hash(), signature: file.signature.clone() });
        Ok(file)
    }

    /// Everything but the rows.
    fn header(&self, name: &str, file: &File) -> Result<(), Why> {
        let digest = &file.digest;
        // Nothing that it says counts before this.
        let key = self.keys.iter().find(|key| key.name() == digest.key).ok_or(Why::UnknownKey)?;
        if !key.verifies(file.text.as_bytes(), &file.signature) {
            return Err(Why::BadSignature);
        }
        if self.tenant.as_ref().is_some_and(|tenant| *tenant != digest.tenant) {
            return Err(Why::OtherTenant);
        }
        if name != file_name(digest.file) {
            return Err(Why::OtherPlace { said: key_of(&digest.tenant, digest.file) });
        }
        let Some(last) = &self.last else {
            let is_first = digest.before() == 0 && digest.base == Peaks::default() && digest.previous.is_none();
            return if is_first || (self.start == Start::Anywhere && digest.previous.is_some()) {
                Ok(())
            } else {
                Err(Why::NotChained)
            };
        };
        let follows = digest.before() == last.digest.file && digest.previous == Some(last.hash);
        if !follows || digest.previous_signature != last.signature || digest.base != self.peaks {
            return Err(Why::NotChained);
        }
        if digest.time < last.digest.time { Err(Why::TimeRunsBackwards) } else { Ok(()) }
    }

    fn meet_heads(&mut self, name: &str, file: &File) -> Result<(), Finding> {
        let here = file.digest.head();
        for head in self.heads.iter().filter(|head| head.files == here.files) {
            if *head != here {
                // Everything up to the last head that fits is vouched for, nothing after it.
                let why = Why::OtherThanHead { count: head.count };
                return Err(Finding { first_bad: self.pinned + 1, file: name.to_owned(), why });
            }
            self.pinned = head.count;
            self.met += 1;
        }
        Ok(())
    }

    /// The end of the trail.
    pub fn finish(mut self) -> Result<Report, Finding> {
        if let Some(finding) = self.strange.take() {
            return Err(finding);
        }
        let is_period = self.start == Start::Anywhere;
        let reached = self.last.as_ref().map_or(0, |link| link.digest.file);
        if let Some(head) = self.heads.iter().find(|head| head.files > reached) {
            return Err(self.finding(&file_name(reached + 1), Why::EndsBeforeHead { count: head.count }));
        }
        let begins = reached - (self.files + self.strangers.len() as u64).min(reached) + 1;
        // A head from before the period says nothing about it.
        let unmet = self.heads.iter().filter(|head| head.files >= begins).count() != self.met;
        if self.last.is_none() || (unmet && !is_period) {
            return Err(self.finding(&file_name(1), Why::Empty));
        }
        Ok(Report {
            files: self.files,
            rows: self.rows,
            text_bytes: self.text_bytes,
            strangers: self.strangers,
            heads: self.met,
            head: self.last.map(|link| link.digest.head()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_row_file_and_reason_and_no_content() {
        let finding = Finding { first_bad: 7, file: file_name(2), why: Why::RowChanged };
        assert_eq!(finding.to_string(), "row 7, 000000000002.jsonl.gz: the row is not the one that was sealed");
    }
}
