//! The sealed audit trail: how fast it is checked beside `sha256sum`, what it finds, and whether any schedule or crowd of
//! invocations seals a row twice or not at all.

use crate::machine;
use crate::process::{ended_children_ms, own_thread_ms, resident_mb};
use crate::sample::Sample;
use anyhow::{Result, ensure};
use seal::{Peaks, PublicKey, Start, TrailVerifier, leaf};
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;
use testkit::MemoryKey;
use tests::tampering::{CLASSES, Dice, Trail, false_alarms, mutate};
use tests::{sealing, tampering};

/// Files of the trail that is timed, and the most rows in one of them.
const FILES: usize = 100;
const ROWS_MAX: usize = 4_000;
/// Runs of each.
const RUNS: usize = 7;
/// How often `sha256sum` gets the file in one go.
const TIMES: usize = 20;
const MUTATIONS: u32 = 10_000;
const CLEAN: u32 = 1_000;
const SCHEDULES: u32 = 20_000;
const INVOCATIONS: usize = 500;

/// Prints the figure; fails if anything was missed.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    speed()?;
    found()?;
    exactly_once()
}

fn speed() -> Result<()> {
    let trail = Trail::random("main", FILES, ROWS_MAX, &mut Dice::new(42));
    let keys = [PublicKey::of_der(&MemoryKey::of_seed(1).public())?];
    let folder = trail.folder();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let verifier = TrailVerifier::new(&keys, None, Start::Beginning, Vec::new());
    let read = |name: &str| Ok::<_, std::convert::Infallible>(folder[name].clone());
    let (report, _) = verifier.folder(folder.keys().cloned().collect(), read, |_, line, _| lines.push(line.to_vec()))?;
    let packed: usize = folder.values().map(Vec::len).sum();
    println!(
        "trail: {} rows in {} files, {:.1} MB of rows, {:.1} MB on the disk ({:.0} bytes a row, digests and marks included)",
        report.rows,
        report.files,
        report.text_bytes as f64 / 1e6,
        packed as f64 / 1e6,
        packed as f64 / report.rows as f64
    );
    let (mut hashing, mut whole) = (Sample::default(), Sample::default());
    for _ in 0..RUNS {
        let begun = own_thread_ms();
        let mut peaks = Peaks::default();
        for line in &lines {
            peaks.push(leaf(line));
        }
        black_box(peaks.root());
        hashing.add(own_thread_ms() - begun);
        let begun = own_thread_ms();
        ensure!(tampering::verify(&folder, "main", &[]).is_ok(), "the trail is sound");
        whole.add(own_thread_ms() - begun);
    }
    drop(lines);
    let per_second = |sample: &Sample| report.rows as f64 / sample.median() / 1e3;
    let megabytes = |sample: &Sample| report.text_bytes as f64 / sample.median() / 1e3;
    println!("{RUNS} runs each, one thread; CPU ms, median (minimum)");
    println!("hashing (leaves and tree)      {hashing}: {:.2} M rows/s, {:.0} MB/s", per_second(&hashing), megabytes(&hashing));
    println!("verifying (signatures, unpack) {whole}: {:.2} M rows/s, {:.0} MB/s", per_second(&whole), megabytes(&whole));
    beside_sha256sum(&folder, report.text_bytes)?;
    println!("resident after all of it: {:.0} MB", resident_mb(std::process::id())?);
    Ok(())
}

/// The standard tool on the same bytes, unpacked, from a file in the page cache; its start is measured on an empty file.
fn beside_sha256sum(folder: &std::collections::BTreeMap<String, Vec<u8>>, text_bytes: u64) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut text = Vec::new();
    for bytes in folder.values() {
        text.extend_from_slice(&seal::read_file(bytes).and_then(|file| file.unpack())?);
    }
    let (rows, empty) = (scratch.path().join("rows"), scratch.path().join("empty"));
    fs::write(&rows, &text)?;
    fs::write(&empty, [])?;
    // The kernel says to 10 ms what an ended child has used: the same file many times in one go.
    let time = |path: &std::path::Path| -> Result<f64> {
        let begun = ended_children_ms()?;
        ensure!(Command::new("sha256sum").args([path; TIMES]).output()?.status.success(), "sha256sum failed");
        Ok((ended_children_ms()? - begun) / TIMES as f64)
    };
    if time(&empty).is_err() {
        println!("sha256sum is not installed");
        return Ok(());
    }
    let mut sample = Sample::default();
    for _ in 0..RUNS {
        sample.add((time(&rows)? - time(&empty)?).max(0.0));
    }
    println!("sha256sum on the same rows     {sample}: {:.0} MB/s", text_bytes as f64 / sample.median() / 1e3);
    Ok(())
}

fn found() -> Result<()> {
    let each = MUTATIONS.div_ceil(CLASSES.len() as u32);
    let begun = Instant::now();
    let tried = mutate(each);
    let (total, found): (u32, u32) = tried.iter().fold((0, 0), |(t, f), class| (t + class.tried, f + class.found));
    let exact: u32 = tried.iter().map(|class| class.exact).sum();
    println!(
        "{total} mutations of {} classes in {:.0} s: {found} found, {exact} with the right first row",
        tried.len(),
        begun.elapsed().as_secs_f64()
    );
    for class in &tried {
        println!("  {:<44} {} of {} found, {} exact", class.class, class.found, class.tried, class.exact);
    }
    let alarms = false_alarms(CLEAN);
    println!("{CLEAN} trails that nobody touched: {alarms} false alarms");
    ensure!(total == found && total == exact && alarms == 0, "something was missed: {tried:?}");
    Ok(())
}

fn exactly_once() -> Result<()> {
    let begun = Instant::now();
    let report = sealing::run(SCHEDULES);
    println!(
        "{} schedules in {:.0} s: {} invocations, {} died on the way, {} rows in {} files; violations: {}",
        report.schedules,
        begun.elapsed().as_secs_f64(),
        report.attempts,
        report.killed,
        report.rows,
        report.files,
        report.violations.len()
    );
    let begun = Instant::now();
    let crowd = sealing::crowd(INVOCATIONS, 2_000);
    println!(
        "{} invocations at once in {:.0} s: {} died on the way, {} rows in {} files; violations: {}",
        crowd.attempts,
        begun.elapsed().as_secs_f64(),
        crowd.killed,
        crowd.rows,
        crowd.files,
        crowd.violations.len()
    );
    let violations = [report.violations, crowd.violations].concat();
    ensure!(violations.is_empty(), "the first violation:\n{}", violations[0]);
    Ok(())
}
