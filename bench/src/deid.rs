//! The de-identifier: that no text makes it stop, that every text comes back, what it costs to start and to keep.

use crate::{machine, process};
use anyhow::{Result, ensure};
use deid::surrogate::{Conversation, Policy, Restorer};
use deid::{Deidentifier, OperatingPoint, TABLES_FILE};
use std::path::{Path, PathBuf};

/// Hostile texts.
const EXECUTIONS: u64 = 1_000_000;

/// Pieces of which hostile texts are made: what identifiers, placeholders, marks and scripts consist of.
const PIECES: &[&str] = &[
    "John",
    "SMITH",
    "o'brien",
    "García-López",
    "Dr. ",
    "Mr",
    "MRN",
    "mrn:",
    "DOB ",
    "SSN ",
    "12",
    "0",
    "123-45-6789",
    "555-1234",
    "4111 1111 1111 1111",
    "2021-03-14",
    "3/4",
    "T10:00Z",
    "@",
    "example.com",
    "a@b.co",
    "http://",
    "s3://x/",
    "www.",
    "1.2.3.4",
    "::1",
    "fe80::",
    "PID|1||",
    "|",
    "^",
    "[NAME_1]",
    "[",
    "]",
    "\\[",
    "[DATE_2: DATE_1+14d]",
    "NAME_",
    "_1",
    "*",
    "`",
    "\n",
    "\r\n",
    "\t",
    " ",
    "  ",
    "\u{200d}",
    "\u{ad}",
    "\u{301}",
    "é",
    "ﬁ",
    "１２",
    "５５５",
    "Ж",
    "жена",
    "аpple",
    "山田",
    "🙂",
    "\u{feff}",
    "\u{202e}",
    "ß",
    "İ",
    "ǅ",
    "٣",
    "zip 12345",
    ", TX 75001",
    "12 Oak St",
    "P.O. Box 9",
    "Mercy Hospital",
    "from Dayton",
    "disease",
    "'s",
    "’s",
    "(96)",
    "99-year-old",
    ".",
    ",",
    ";",
    "-",
    "—",
    "/",
    "(",
    ")",
    "\"",
    "=",
    "#",
    "\u{0}",
    "\u{10ffff}",
    "January 5",
    "May",
    "ext. 12",
    "(01)00000000000000",
    "+44 20 7946 0958",
    "serial no.",
    "the patient",
    "Parkinson",
    "metformin",
    "Name: ",
    ", MD",
];

/// A small generator, so that a run can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % limit.max(1) as u64) as usize
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.below(14) {
            if self.below(8) == 0 {
                let point = self.below(0x11_0000) as u32;
                text.extend(char::from_u32(point));
            } else {
                text.push_str(PIECES[self.below(PIECES.len())]);
            }
        }
        text
    }
}

fn tables() -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(TABLES_FILE);
    ensure!(path.is_file(), "there is no models/{TABLES_FILE}: run `python3 models/fetch_deid.py`");
    Ok(path)
}

/// Prints the figures.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    let path = tables()?;
    let mut loads = Vec::new();
    for _ in 0..9 {
        let start = process::own_thread_ms();
        let deidentifier = Deidentifier::load(&path)?;
        loads.push(process::own_thread_ms() - start);
        drop(deidentifier);
    }
    loads.sort_by(f64::total_cmp);
    let before = process::resident_mb(std::process::id())?;
    let deidentifier = Deidentifier::load(&path)?;
    let after = process::resident_mb(std::process::id())?;
    println!("load: {:.1} ms CPU, median of 9; the process holds {before:.1} MB before, {after:.1} MB after", loads[4]);
    speed(&deidentifier, &path)?;
    let mut chance = Chance(0x5eed_5eed);
    let (mut bytes, mut spans) = (0_u64, 0_u64);
    for execution in 0..EXECUTIONS {
        let text = chance.text();
        let mut conversation = Conversation::new(if execution % 2 == 0 { b"" } else { b"tenant" });
        let replaced = deidentifier.pseudonymise(&text, &Policy::default(), &mut conversation)?;
        bytes += text.len() as u64;
        spans += replaced.spans.len() as u64;
        let safe = replaced.text.as_str();
        let mut cut = chance.below(safe.len() + 1);
        while !safe.is_char_boundary(cut) {
            cut -= 1;
        }
        let mut restorer = Restorer::new(&conversation);
        let original = restorer.push(&safe[..cut]) + &restorer.push(&safe[cut..]) + &restorer.finish();
        ensure!(original == text, "execution {execution} did not come back");
    }
    println!(
        "{EXECUTIONS} hostile texts: {bytes} bytes, {spans} spans, 0 panics, every text came back byte for byte from a stream cut at a random place"
    );
    println!("load average at the end {}", machine::load());
    Ok(())
}

/// Kilobytes per second over the sample documents and a made note, with and without the recogniser.
fn speed(deidentifier: &Deidentifier, path: &Path) -> Result<()> {
    let note = note();
    let question = "What is the max daily dose of metformin for Grace Flynn, DOB 04/01/1933, MRN 65094386, with eGFR 38?";
    let rules = Deidentifier::load(path)?.without_network();
    for (name, deidentifier) in [("with the recogniser", deidentifier), ("rules and lists only", &rules)] {
        let start = process::own_thread_ms();
        for _ in 0..20 {
            deidentifier.find(&note, OperatingPoint::Balanced);
        }
        let rate = 20.0 * note.len() as f64 / (process::own_thread_ms() - start);
        let mut times: Vec<f64> = (0..1000)
            .map(|_| {
                let start = process::own_thread_ms();
                deidentifier.find(question, OperatingPoint::Strict);
                process::own_thread_ms() - start
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{name}: a note of {} bytes at {rate:.0} kB/s CPU; one question {:.2} ms median, {:.2} ms p99 of 1000",
            note.len(),
            times[500],
            times[989]
        );
    }
    Ok(())
}

fn note() -> String {
    let head = "Pt: Jane Roe / MRN 00417733 / DOB 04/25/1973\nReferring: Dr. Alan Poe, Mercy Hospital; 14 Oak Street, Dayton, OH 45402; (555) 201-3345\n\nHISTORY OF PRESENT ILLNESS\n\n";
    let body = "Jane Roe is a 50-year-old female with a past medical history significant for congestive heart failure, depression, and hypertension who presents for her annual exam. She has been doing a lot of hiking. The patient denies any chest pain, shortness of breath, or swelling in her legs. We will increase her lisinopril to 40 mg daily and initiate Lasix 20 mg daily. She saw Dr. Lena Kovacs on March 3, 2021 for Raynaud phenomenon.\n\n";
    head.to_owned() + &body.repeat(12)
}
