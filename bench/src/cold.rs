//! What a start costs: process start to first poll, first answer, warm answers, memory, sizes; our functions beside Python
//! peers that make the same AWS calls. One round starts every subject once, so that all of them see the same machine.

use crate::answers::project;
use crate::machine;
use crate::process::{self, Usage};
use crate::runtime_api::RuntimeApi;
use crate::sample::{Sample, table};
use crate::stack::{FUNCTIONS, Stack, sample};
use crate::subjects::{self, Subject};
use anyhow::{Context as _, Result, ensure};
use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::Instant;

/// Starts of each subject. For trying out, `BENCH_ROUNDS` sets another number and `BENCH_BUILD=debug` takes other binaries.
const ROUNDS: usize = 15;
/// What chat searches: the project's own sample documents.
const SAMPLES: &str = "samples/documents";

/// What was measured of one subject over all rounds.
#[derive(Default)]
struct Measured {
    start_cpu: Sample,
    start_wall: Sample,
    start_resident: Sample,
    threads: Sample,
    first_cpu: Sample,
    warm_cpu: Sample,
    warm_wall: Sample,
    children_cpu: Sample,
    end_resident: Sample,
}

/// Prints the figure.
pub fn run() -> Result<()> {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(ROUNDS);
    println!("{}", machine::line());
    let build = std::env::var("BENCH_BUILD").unwrap_or_else(|_| "release".to_owned());
    let stack = Stack::start(&build)?;
    let shown = index_samples(&stack)?;
    let subjects = subjects::all(&stack, &shown, rounds)?;
    let mut measured: Vec<Measured> = subjects.iter().map(|_| Measured::default()).collect();
    for round in 0..rounds {
        for (subject, measured) in subjects.iter().zip(&mut measured) {
            one(subject, round, measured).with_context(|| format!("{}, round {round}", subject.name.trim()))?;
        }
    }
    println!("{rounds} rounds, each starting every subject once, in turn; median (minimum). CPU from the scheduler's accounts,");
    println!("read when every thread sleeps. 1st: the first event's answer; warm: the 2nd to 50th (indexer: 20th).");
    println!("AWS is the local stack over plain HTTP: round trips are in wall, TLS handshakes are nowhere.");
    print_times(&subjects, &measured);
    print_ratios(&subjects, &measured);
    print_sizes(&stack)?;
    println!("load average at the end {}", machine::load());
    Ok(())
}

/// Indexes the sample documents and answers the id of one.
fn index_samples(stack: &Stack) -> Result<String> {
    let mut uploads = Vec::new();
    for file in fs::read_dir(project().join(SAMPLES))? {
        let name = file?.file_name().to_string_lossy().into_owned();
        uploads.push(stack.upload(&name, &sample(&name)?)?);
    }
    let mut chunks = 0;
    for (id, arrived) in &uploads {
        let looks = stack.follow(id, *arrived)?;
        chunks += looks.last().and_then(|l| l.row["chunks"].as_u64()).unwrap_or(0);
    }
    println!("index: {} sample documents, {chunks} chunks", uploads.len());
    Ok(uploads.swap_remove(0).0)
}

/// A started function. Ends with its last user.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn one(subject: &Subject, round: usize, measured: &mut Measured) -> Result<()> {
    let log_path = project().join("target/bench/function.log");
    let log = File::create(&log_path)?;
    let api = RuntimeApi::open()?;
    let mut command = subject.command(&api.address());
    command.stdout(log.try_clone()?).stderr(log);

    let begun = Instant::now();
    let function = Started(command.spawn()?);
    let pid = function.0.id();
    let polled = api.polled().with_context(|| fs::read_to_string(&log_path).unwrap_or_default())?;
    let started = process::at_rest(pid)?;
    measured.start_wall.add((polled - begun).as_secs_f64() * 1e3);
    measured.start_cpu.add(started.cpu_ms);
    measured.start_resident.add(started.resident_mb);
    measured.threads.add(started.threads as f64);

    let mut before: Usage = started;
    for number in 0..subject.events() {
        let event = subject.event(round, number)?;
        let asked = Instant::now();
        let answer = api.invoke(&event)?;
        let wall_ms = asked.elapsed().as_secs_f64() * 1e3;
        subject.check(&answer)?;
        api.polled()?;
        let after = process::at_rest(pid)?;
        if number == 0 {
            measured.first_cpu.add(after.cpu_ms - before.cpu_ms);
        } else {
            measured.warm_cpu.add(after.cpu_ms - before.cpu_ms);
            measured.warm_wall.add(wall_ms);
        }
        before = after;
    }
    measured.children_cpu.add(before.children_ms / subject.events() as f64);
    measured.end_resident.add(before.resident_mb);
    if let Some(line) = subject.logged() {
        let worked = fs::read_to_string(&log_path)?.lines().filter(|l| l.contains(line)).count();
        ensure!(worked == subject.events(), "{worked} of {} events were worked on", subject.events());
    }
    Ok(())
}

fn print_times(subjects: &[Subject], measured: &[Measured]) {
    let heads =
        ["", "start CPU ms", "wall ms", "RSS MB", "threads", "1st CPU ms", "warm CPU ms", "warm wall ms", "children", "RSS MB"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (subject, m) in subjects.iter().zip(measured) {
        let mut row = vec![subject.name.trim_end().to_owned(), m.start_cpu.to_string(), m.start_wall.to_string()];
        row.push(format!("{:.1}", m.start_resident.median()));
        row.push(format!("{:.0}", m.threads.median()));
        row.push(m.first_cpu.to_string());
        row.extend([&m.warm_cpu, &m.warm_wall].map(|s| if s.is_empty() { "-".to_owned() } else { s.to_string() }));
        row.push(if m.children_cpu.median() > 0.0 { format!("{:.1}", m.children_cpu.median()) } else { "-".into() });
        row.push(format!("{:.1}", m.end_resident.median()));
        rows.push(row);
    }
    println!("{}", table(&rows));
    println!(
        "children: CPU ms an event of the process that reads the document. The second RSS is the one after the last answer."
    );
}

fn print_ratios(subjects: &[Subject], measured: &[Measured]) {
    let heads = ["Python / Rust", "start CPU", "start RSS", "1st CPU", "start + 1st CPU", "warm CPU", "end RSS"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (subject, peer) in subjects.iter().zip(measured) {
        let Some(at) = subject.peer_of.and_then(|of| subjects.iter().position(|s| s.name == of)) else { continue };
        let ours = &measured[at];
        let cold = |m: &Measured| m.start_cpu.median() + m.first_cpu.median();
        let ratios = [
            peer.start_cpu.median() / ours.start_cpu.median(),
            peer.start_resident.median() / ours.start_resident.median(),
            peer.first_cpu.median() / ours.first_cpu.median(),
            cold(peer) / cold(ours),
            peer.warm_cpu.median() / ours.warm_cpu.median(),
            peer.end_resident.median() / ours.end_resident.median(),
        ];
        let mut row = vec![subjects[at].name.to_owned()];
        row.extend(ratios.map(|r| format!("{r:.1}")));
        rows.push(row);
    }
    println!("{}", table(&rows));
    println!("The chat peer makes chat's AWS calls only: it embeds no question, searches nothing, writes no sentence.");
}

fn print_sizes(stack: &Stack) -> Result<()> {
    let mut rows = vec![["size in MB", "binary", "zipped", "package", "zipped"].map(str::to_owned).to_vec()];
    for function in FUNCTIONS {
        let mut files: Vec<_> = fs::read_dir(stack.code_folder(function))?.map(|f| Ok(f?.path())).collect::<Result<_>>()?;
        files.sort();
        let size = |files: &[std::path::PathBuf]| -> Result<f64> {
            Ok(files.iter().map(|f| Ok(fs::metadata(f)?.len())).sum::<Result<u64>>()? as f64 / 1e6)
        };
        let zipped = |files: &[std::path::PathBuf]| -> Result<f64> {
            let output = Command::new("python3").arg(project().join("bench/peer/package_size.py")).args(files).output()?;
            Ok(String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().context("package_size.py")? / 1e6)
        };
        let binary = &files[..1];
        let sizes = [size(binary)?, zipped(binary)?, size(&files)?, zipped(&files)?];
        rows.push(std::iter::once(function.to_owned()).chain(sizes.map(|s| format!("{s:.2}"))).collect());
    }
    println!("{}", table(&rows));
    Ok(())
}
