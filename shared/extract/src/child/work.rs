//! The child's side: limits itself, reads, extracts, answers.

use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::documents::pages::Reason;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::Paint;
use super::protocol::{Parser, Said, TASK_BYTES_MAX, Task, say};
use crate::Read;
use crate::error::{Detail, ExtractError};
use crate::limits::Limits;

/// Parsers recurse into what a file nests. 64 MiB hold some 100,000 levels, and are only reserved, not used.
const STACK_BYTES: usize = 64 << 20;
/// Three streams and a handful that the runtime may open.
const FILES_MAX: u64 = 16;

/// Does the work of a child; the exit code is 0 when an answer was written.
pub(super) fn run(paint: Option<Paint>) -> i32 {
    // A panic's message may quote the document, and standard error may end up in a log.
    std::panic::set_hook(Box::new(|_| {}));
    match answer(BufReader::new(io::stdin().lock()), paint) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn answer(mut from: impl BufRead, paint: Option<Paint>) -> io::Result<()> {
    let mut line = Vec::new();
    from.by_ref().take(TASK_BYTES_MAX).read_until(b'\n', &mut line)?;
    let task: Task = serde_json::from_slice(&line)?;
    restrict(&task.limits)?;
    let mut bytes = Vec::new();
    from.take(task.limits.bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    let worker = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || work(&task, &bytes, paint))?;
    worker.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

fn work(task: &Task, bytes: &[u8], paint: Option<Paint>) -> io::Result<()> {
    let mut to = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let mut progress = |done, total| {
        if done == 0 {
            allow_processor_s(task.limits.cpu_s_for(total), &task.limits);
        }
        if written.is_ok() {
            // Flushed, because progress that waits in a buffer is none.
            written = say(&mut to, &Said::Progress { done, total }).and_then(|()| to.flush());
        }
    };
    let extracted = match task.parser {
        Parser::First => crate::extract_promised(bytes, task.promised, &task.limits, &mut progress),
        Parser::Painter { page } => {
            let said = match paint.and_then(|paint| paint(bytes, page)) {
                Some(png) => Said::Painted { png: STANDARD.encode(png) },
                None => Said::Failed(ExtractError::new(Reason::NeedsOcr, Detail::Pictures)),
            };
            say(&mut to, &said)?;
            return to.flush();
        }
        Parser::Second => crate::extract_again(bytes, &task.limits, &mut progress),
    };
    written?;
    send(&mut to, extracted)?;
    to.flush()
}

fn send(to: &mut impl Write, extracted: Result<Read, ExtractError>) -> io::Result<()> {
    let used = |to: &mut _| peak_kib().map_or(Ok(()), |peak_kib| say(to, &Said::Used { peak_kib }));
    let Read { document, mute, is_scan } = match extracted {
        Ok(read) => read,
        Err(error) => {
            used(to)?;
            return say(to, &Said::Failed(error));
        }
    };
    let pages = document.pages.len() as u32;
    for page in document.pages {
        say(to, &Said::Page(page))?;
    }
    used(to)?;
    say(to, &Said::Done { title: document.title, pages, mute, is_scan })
}

/// The most memory that this process held, as the kernel counts it.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Takes from this process what a document must not have. Cannot be undone.
fn restrict(limits: &Limits) -> io::Result<()> {
    let to = |maximum| Rlimit { current: Some(maximum), maximum: Some(maximum) };
    // A core file would be the document in the clear; and no other file is to be written.
    setrlimit(Resource::Core, to(0))?;
    setrlimit(Resource::Fsize, to(0))?;
    setrlimit(Resource::Nofile, to(FILES_MAX))?;
    setrlimit(Resource::As, to(limits.memory_bytes))?;
    // The hard limit is what the longest document may use, so that the soft one can grow when the pages are counted.
    let longest = limits.cpu_s_for(limits.pages_max);
    setrlimit(Resource::Cpu, Rlimit { current: Some(limits.cpu_s), maximum: Some(longest.saturating_add(1)) })?;
    Ok(())
}

fn allow_processor_s(seconds: u64, limits: &Limits) {
    let maximum = limits.cpu_s_for(limits.pages_max).saturating_add(1);
    // If it fails the first limit stays, which is the stricter one.
    let _ = setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(maximum) });
}
