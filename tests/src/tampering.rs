//! What somebody who can write the archive could do to a sealed trail, as random mutations of small trails: each must be
//! found, and the first row that cannot be vouched for must be named; a trail that nobody touched must be found sound.
//!
//! Some mutations can only be found with a head that was pinned before: cutting off the end, deleting everything, and
//! whatever is done with the seal's own key. These are tried with a head and marked so.

use domain::ids::TenantId;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use seal::{Digest, File, Finding, FolderError, Head, Peaks, PublicKey, Report, Row, Start, TrailVerifier};
use serde_json::json;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use testkit::MemoryKey;

/// The seal's key.
const OURS: u8 = 1;
/// Somebody else's.
const THEIRS: u8 = 2;
const BEGUN: i64 = 1_767_600_000;

/// Both keys and their names.
static KEYS: LazyLock<[(MemoryKey, String); 2]> = LazyLock::new(|| {
    [OURS, THEIRS].map(|seed| {
        let key = MemoryKey::of_seed(seed);
        let name = PublicKey::of_der(&key.public()).expect("a key").name();
        (key, name)
    })
});

/// Random numbers that are the same in every run.
pub struct Dice(TestRng);

impl Dice {
    /// Of a seed.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }
}

/// A trail in memory.
#[derive(Clone)]
pub struct Trail {
    tenant: TenantId,
    files: Vec<File>,
}

/// Files by name.
type Folder = BTreeMap<String, Vec<u8>>;

fn row(tenant: &TenantId, at: u64, dice: &mut Dice) -> Row {
    let id = format!("{at:026}");
    let event_type = ["chat_answered", "document_viewed", "document_indexed"][dice.below(3)];
    let image = json!({
        "pk": { "S": format!("TENANT#{tenant}") }, "sk": { "S": id }, "id": { "S": id },
        "timestamp": { "S": format!("2026-01-05T08:{:02}:{:02}.{:03}Z", at / 60 % 60, at % 60, dice.below(1_000)) },
        "created_at": { "N": format!("{}{:03}", BEGUN + at.cast_signed(), dice.below(1_000)) },
        "event_type": { "S": event_type }, "action": { "S": "R" }, "outcome": { "S": "success" },
        "entity_type": { "S": "document" }, "entity_id": { "S": format!("doc_{:026}", dice.below(100_000)) },
        "agent": { "S": format!("person-{:08x}", dice.below(50_000)) }, "roles": { "SS": ["clinician"] },
        "request_id": { "S": format!("{:08x}-{:04x}-4{:03x}", dice.below(1 << 32), dice.below(1 << 16), dice.below(1 << 12)) },
        "data": { "S": format!("{{\"pages\":{}}}", dice.below(1_000)) },
    });
    seal::row_of_image(&image, BEGUN + at.cast_signed()).expect("an audit row").1
}

/// The next file on a chain.
fn next(tenant: &TenantId, previous: Option<&File>, base: &Peaks, rows: &[Row], key: u8) -> (File, Peaks) {
    let (pair, name) = &KEYS[usize::from(key - 1)];
    let now = Timestamp::from_second(BEGUN).expect("a time");
    let number = previous.map_or(1, |file| file.digest.file + 1);
    let unsealed = seal::build(tenant, (previous, number), base, rows, now, name);
    let signature = pair.signature(seal::signed_message(unsealed.text.as_bytes()).as_bytes());
    let peaks = unsealed.peaks.clone();
    (unsealed.sealed(signature), peaks)
}

impl Trail {
    /// A trail of some files.
    pub fn random(tenant: &str, files: usize, rows_max: usize, dice: &mut Dice) -> Self {
        let mut trail = Self { tenant: TenantId::parse(tenant).expect("a tenant"), files: Vec::new() };
        trail.grow(files, rows_max, OURS, dice);
        trail
    }

    fn grow(&mut self, files: usize, rows_max: usize, key: u8, dice: &mut Dice) {
        let mut peaks = self.peaks();
        for _ in 0..files {
            let count = peaks.count();
            let rows: Vec<Row> = (0..=dice.below(rows_max)).map(|at| row(&self.tenant, count + at as u64, dice)).collect();
            let (file, grown) = next(&self.tenant, self.files.last(), &peaks, &rows, key);
            self.files.push(file);
            peaks = grown;
        }
    }

    fn peaks(&self) -> Peaks {
        let mut peaks = Peaks::default();
        for file in &self.files {
            let text = file.unpack().expect("sound rows");
            text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| peaks.push(seal::leaf(line)));
        }
        peaks
    }

    /// The files as they lie in a folder.
    pub fn folder(&self) -> Folder {
        self.files.iter().enumerate().map(|(at, file)| (seal::file_name(at as u64 + 1), file.bytes())).collect()
    }

    /// The head after so many files.
    pub fn head(&self, files: usize) -> Head {
        self.files[files - 1].digest.head()
    }

    /// The rows.
    pub fn count(&self) -> u64 {
        self.files.last().map_or(0, |file| file.digest.last())
    }

    fn lines(&self, at: usize) -> Vec<String> {
        let text = String::from_utf8(self.files[at].unpack().expect("sound rows")).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    /// The file with other rows under the digest that it has.
    fn with_lines(&self, at: usize, lines: &[String], level: u32) -> Vec<u8> {
        let text = lines.join("\n") + if lines.is_empty() { "" } else { "\n" };
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(text.as_bytes()).expect("memory");
        File { rows: encoder.finish().expect("memory"), ..self.files[at].clone() }.bytes()
    }

    /// The file under another digest, with the signature that it had.
    fn with_digest(&self, at: usize, change: impl FnOnce(&mut Digest)) -> Vec<u8> {
        let mut file = self.files[at].clone();
        change(&mut file.digest);
        file.text = file.digest.text();
        file.bytes()
    }

    /// The first files, and others after them, signed with a key.
    fn rechained(&self, from: usize, key: u8, dice: &mut Dice) -> Self {
        let mut trail = Self { tenant: self.tenant.clone(), files: self.files[..from].to_vec() };
        trail.grow(self.files.len() - from, 8, key, dice);
        trail
    }
}

/// Checks a folder as the command line does.
pub fn verify(folder: &Folder, tenant: &str, heads: &[Head]) -> Result<Report, Finding> {
    let keys = [PublicKey::of_der(&KEYS[0].0.public()).expect("a key")];
    let tenant = TenantId::parse(tenant).expect("a tenant");
    let verifier = TrailVerifier::new(&keys, Some(tenant), Start::Beginning, heads.to_vec());
    let read = |name: &str| Ok::<_, Infallible>(folder[name].clone());
    match verifier.folder(folder.keys().cloned().collect(), read, |_, _, _| ()) {
        Ok((report, _)) => Ok(report),
        Err(FolderError::Unsound(finding)) => Err(finding),
        Err(FolderError::Unreadable(never)) => match never {},
    }
}

/// A mutated trail and what must be said of it.
pub struct Mutated {
    folder: Folder,
    heads: Vec<Head>,
    /// Where the first bad row is.
    first_bad: RangeInclusive<u64>,
}

type Mutate = fn(&Trail, &mut Dice) -> Mutated;

/// The file's rows are not those that were sealed, from this one on.
fn in_file(trail: &Trail, at: usize, bytes: Vec<u8>, first_bad: RangeInclusive<u64>) -> Mutated {
    let mut folder = trail.folder();
    folder.insert(seal::file_name(at as u64 + 1), bytes);
    Mutated { folder, heads: Vec::new(), first_bad }
}

fn from_first(trail: &Trail, at: usize, bytes: Vec<u8>) -> Mutated {
    let first = trail.files[at].digest.first();
    in_file(trail, at, bytes, first..=first)
}

/// Another trail in the place of this one, of which some heads were pinned.
fn instead(trail: &Trail, other: &Trail, from: usize, dice: &mut Dice) -> Mutated {
    let early = (from > 0).then(|| trail.head(1 + dice.below(from)));
    let bad = early.as_ref().map_or(0, |head| head.count) + 1;
    let heads = early.into_iter().chain([trail.head(trail.files.len())]).collect();
    Mutated { folder: other.folder(), heads, first_bad: bad..=bad }
}

/// The classes of the requirement, and some more.
pub const CLASSES: &[(&str, Mutate)] = &[
    ("edit a row", |trail, dice| {
        let (at, mut lines) = some_file(trail, dice);
        let place = dice.below(lines.len());
        lines[place] = lines[place].replace("person-", "patron-");
        let bad = trail.files[at].digest.first() + place as u64;
        in_file(trail, at, trail.with_lines(at, &lines, 6), bad..=bad)
    }),
    ("edit a row and the digest", |trail, dice| {
        let (at, mut lines) = some_file(trail, dice);
        let place = dice.below(lines.len());
        lines[place] = lines[place].replace("person-", "patron-");
        let other =
            File { rows: seal::read_file(&trail.with_lines(at, &lines, 6)).expect("a file").rows, ..trail.files[at].clone() };
        let bytes = trail.with_digest(at, |digest| {
            use sha2::Digest as _;
            digest.rows_sha256 = sha2::Sha256::digest(&other.rows).into();
            digest.rows_bytes = other.rows.len() as u64;
        });
        let file = seal::read_file(&bytes).expect("a file");
        from_first(trail, at, File { rows: other.rows, ..file }.bytes())
    }),
    ("flip a bit", |trail, dice| {
        let at = dice.below(trail.files.len());
        let mut bytes = trail.files[at].bytes();
        let place = dice.below(bytes.len());
        bytes[place] ^= 1 << dice.below(8);
        let digest = &trail.files[at].digest;
        in_file(trail, at, bytes, digest.first()..=digest.last())
    }),
    ("delete a row", |trail, dice| {
        let (at, mut lines) = some_file(trail, dice);
        let place = dice.below(lines.len());
        lines.remove(place);
        let bad = trail.files[at].digest.first() + place as u64;
        in_file(trail, at, trail.with_lines(at, &lines, 6), bad..=bad)
    }),
    ("insert a row", |trail, dice| {
        let (at, mut lines) = some_file(trail, dice);
        let place = dice.below(lines.len() + 1);
        let seq = trail.files[at].digest.first() + place as u64;
        lines.insert(place, seal::line(seq, &row(&trail.tenant, 10_000, dice)));
        in_file(trail, at, trail.with_lines(at, &lines, 6), seq..=seq)
    }),
    ("reorder rows", |trail, dice| {
        let (at, mut lines) = some_file_of(trail, dice, 2);
        let first = dice.below(lines.len() - 1);
        let second = first + 1 + dice.below(lines.len() - first - 1);
        lines.swap(first, second);
        let bad = trail.files[at].digest.first() + first as u64;
        in_file(trail, at, trail.with_lines(at, &lines, 6), bad..=bad)
    }),
    ("duplicate a row", |trail, dice| {
        let (at, mut lines) = some_file(trail, dice);
        let place = dice.below(lines.len());
        lines.insert(place, lines[place].clone());
        let bad = trail.files[at].digest.first() + place as u64 + 1;
        in_file(trail, at, trail.with_lines(at, &lines, 6), bad..=bad)
    }),
    ("pack the same rows anew", |trail, dice| {
        let (at, lines) = some_file(trail, dice);
        let bytes = trail.with_lines(at, &lines, 0);
        from_first(trail, at, bytes)
    }),
    ("append to a file", |trail, dice| {
        let at = dice.below(trail.files.len());
        let mut bytes = trail.files[at].bytes();
        bytes.extend((0..=dice.below(40)).map(|_| dice.below(256) as u8));
        let digest = &trail.files[at].digest;
        in_file(trail, at, bytes, digest.first()..=digest.last() + 1)
    }),
    ("cut a file short", |trail, dice| {
        let at = dice.below(trail.files.len());
        let mut bytes = trail.files[at].bytes();
        bytes.truncate(dice.below(bytes.len()));
        let digest = &trail.files[at].digest;
        in_file(trail, at, bytes, digest.first()..=digest.last())
    }),
    ("delete a file", |trail, dice| {
        let at = dice.below(trail.files.len() - 1);
        let mut folder = trail.folder();
        folder.remove(&seal::file_name(at as u64 + 1));
        let bad = trail.files[at].digest.first();
        Mutated { folder, heads: Vec::new(), first_bad: bad..=bad }
    }),
    ("cut off the end (head)", |trail, dice| {
        let left = 1 + dice.below(trail.files.len() - 1);
        let folder = trail.folder().into_iter().take(left).collect();
        let bad = trail.head(left).count + 1;
        Mutated { folder, heads: vec![trail.head(trail.files.len())], first_bad: bad..=bad }
    }),
    ("delete the whole trail (head)", |trail, dice| {
        let heads = vec![trail.head(1 + dice.below(trail.files.len()))];
        Mutated { folder: Folder::new(), heads, first_bad: 1..=1 }
    }),
    ("chain anew from a file on", |trail, dice| {
        let from = dice.below(trail.files.len());
        let bad = trail.files[from].digest.first();
        Mutated { folder: trail.rechained(from, THEIRS, dice).folder(), heads: Vec::new(), first_bad: bad..=bad }
    }),
    ("chain anew with the seal's key (head)", |trail, dice| {
        let from = dice.below(trail.files.len());
        instead(trail, &trail.rechained(from, OURS, dice), from, dice)
    }),
    ("fork at the end with the seal's key (head)", |trail, dice| {
        let from = trail.files.len() - 1;
        let mut other = trail.rechained(from, OURS, dice);
        other.grow(dice.below(3), 8, OURS, dice);
        instead(trail, &other, from, dice)
    }),
    ("swap two digests", |trail, dice| {
        let (one, two) = two_files(trail, dice);
        let (first, second) = (&trail.files[one], &trail.files[two]);
        let mut mutated = from_first(trail, one, File { rows: first.rows.clone(), ..second.clone() }.bytes());
        mutated.folder.insert(seal::file_name(two as u64 + 1), File { rows: second.rows.clone(), ..first.clone() }.bytes());
        mutated
    }),
    ("strip a signature", |trail, dice| {
        let at = dice.below(trail.files.len());
        from_first(trail, at, File { signature: Vec::new(), ..trail.files[at].clone() }.bytes())
    }),
    ("put another file's signature", |trail, dice| {
        let (at, other) = two_files(trail, dice);
        from_first(trail, at, File { signature: trail.files[other].signature.clone(), ..trail.files[at].clone() }.bytes())
    }),
    ("shift a time", |trail, dice| {
        let at = dice.below(trail.files.len());
        let shift = jiff::SignedDuration::from_secs(1 + dice.below(1_000_000).cast_signed() as i64);
        let forth = dice.below(2) == 0;
        let bytes = trail.with_digest(at, |digest| digest.time = if forth { digest.time + shift } else { digest.time - shift });
        from_first(trail, at, bytes)
    }),
    ("sign everything with another key", |trail, dice| {
        let mut folder = Folder::new();
        let names_ours = dice.below(2) == 0;
        let mut previous: Option<File> = None;
        for (at, file) in trail.files.iter().enumerate() {
            let mut file = file.clone();
            let theirs = MemoryKey::of_seed(THEIRS);
            if !names_ours {
                file.digest.key = PublicKey::of_der(&theirs.public()).expect("a key").name();
            }
            file.digest.previous = previous.as_ref().map(File::hash);
            file.digest.previous_signature = previous.map(|file| file.signature).unwrap_or_default();
            file.text = file.digest.text();
            file.signature = theirs.signature(seal::signed_message(file.text.as_bytes()).as_bytes());
            folder.insert(seal::file_name(at as u64 + 1), file.bytes());
            previous = Some(file);
        }
        Mutated { folder, heads: Vec::new(), first_bad: 1..=1 }
    }),
    ("splice in another tenant's file", |trail, dice| {
        let other = Trail::random("west", trail.files.len(), 8, dice);
        let at = dice.below(trail.files.len());
        from_first(trail, at, other.files[at].bytes())
    }),
    ("put another tenant's trail in its place", |trail, dice| {
        let other = Trail::random("west", trail.files.len(), 8, dice);
        Mutated { folder: other.folder(), heads: Vec::new(), first_bad: 1..=1 }
    }),
    ("swap two files", |trail, dice| {
        let (one, two) = two_files(trail, dice);
        let mut mutated = from_first(trail, one, trail.files[two].bytes());
        mutated.folder.insert(seal::file_name(two as u64 + 1), trail.files[one].bytes());
        mutated
    }),
    ("repeat a file at the end", |trail, dice| {
        let again = trail.files[dice.below(trail.files.len())].bytes();
        let bad = trail.count() + 1;
        in_file(trail, trail.files.len(), again, bad..=bad)
    }),
    ("lay a copy beside", |trail, dice| {
        let mut folder = trail.folder();
        let at = dice.below(trail.files.len());
        folder.insert(format!("{:012} (1).jsonl.gz", at + 1), trail.files[at].bytes());
        let bad = trail.count() + 1;
        Mutated { folder, heads: Vec::new(), first_bad: bad..=bad }
    }),
];

fn some_file(trail: &Trail, dice: &mut Dice) -> (usize, Vec<String>) {
    some_file_of(trail, dice, 1)
}

/// A file with at least so many rows; `Trail`s of this module have one.
fn some_file_of(trail: &Trail, dice: &mut Dice, rows: u64) -> (usize, Vec<String>) {
    let fit: Vec<usize> = (0..trail.files.len()).filter(|at| trail.files[*at].digest.rows >= rows).collect();
    let at = fit[dice.below(fit.len())];
    (at, trail.lines(at))
}

/// Two different files, the earlier one first.
fn two_files(trail: &Trail, dice: &mut Dice) -> (usize, usize) {
    let first = dice.below(trail.files.len() - 1);
    (first, first + 1 + dice.below(trail.files.len() - first - 1))
}

/// What came of one class.
#[derive(Debug, Default)]
pub struct Tried {
    /// The class.
    pub class: &'static str,
    /// Mutations.
    pub tried: u32,
    /// Of these found.
    pub found: u32,
    /// Of these with the first bad row that had to be named.
    pub exact: u32,
    /// The first one that was not, by seed.
    pub missed: Option<u64>,
}

/// Tries so many mutations of every class, the same ones in every run.
pub fn mutate(each: u32) -> Vec<Tried> {
    // Signing is what takes time: many mutations share a trail.
    let trails: Vec<Trail> = (0..u64::from(each.clamp(10, 200)))
        .map(|seed| {
            let mut dice = Dice::new(seed + 2_000_000_000);
            let files = 3 + dice.below(6);
            let mut trail = Trail::random("main", files, 12, &mut dice);
            while trail.files.iter().all(|file| file.digest.rows < 2) {
                trail.grow(1, 12, OURS, &mut dice);
            }
            trail
        })
        .collect();
    let tries = CLASSES.iter().enumerate().map(|(number, (class, mutate))| {
        let mut tried = Tried { class, ..Tried::default() };
        for seed in (0..u64::from(each)).map(|seed| seed + number as u64 * 1_000_000) {
            let mut dice = Dice::new(seed);
            let trail = &trails[dice.below(trails.len())];
            let mutated = mutate(trail, &mut dice);
            tried.tried += 1;
            let finding = verify(&mutated.folder, "main", &mutated.heads).err();
            let is_exact = finding.as_ref().is_some_and(|finding| mutated.first_bad.contains(&finding.first_bad));
            tried.found += u32::from(finding.is_some());
            tried.exact += u32::from(is_exact);
            if !is_exact && tried.missed.is_none() {
                tried.missed = Some(seed);
            }
        }
        tried
    });
    tries.collect()
}

/// How many of so many untouched trails are called unsound, with and without pinned heads.
pub fn false_alarms(trails: u32) -> u32 {
    let alarms = (0..u64::from(trails)).map(|seed| {
        let mut dice = Dice::new(seed + 1_000_000_000);
        let files = 1 + dice.below(8);
        let trail = Trail::random("main", files, 12, &mut dice);
        let heads: Vec<Head> = (0..dice.below(4)).map(|_| trail.head(1 + dice.below(files))).collect();
        let report = verify(&trail.folder(), "main", &heads);
        u32::from(!report.is_ok_and(|r| r.rows == trail.count() && r.files == files as u64 && r.heads == heads.len()))
    });
    alarms.sum()
}
