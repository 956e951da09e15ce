//! The parent's side: starts the child, feeds it, listens, ends it in time, and says how it ended. `opinions` decides
//! whether a second child asks another parser.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use domain::documents::pages::Reason;
use rustix::process::Signal;

use super::protocol::{Answer, Listener, Task, read_line};
use super::{ARGUMENT, is_child};
use crate::error::{Detail, ExtractError};
use crate::limits::Limits;

/// How much of the child's last words is kept; the runtime's message about its end comes first.
const LAST_WORDS_BYTES_MAX: u64 = 4096;
/// How many lines may wait. Each is at most a page, so a slow parent holds few of them.
const LINES_WAITING_MAX: usize = 16;

const NOT_STARTED: ExtractError = ExtractError::new(Reason::Internal, Detail::Start);
const PROTOCOL: ExtractError = ExtractError::new(Reason::Internal, Detail::Protocol);

/// What a child has said: the answer and what it used.
pub(super) struct Heard {
    /// What came of the document.
    pub outcome: Result<Answer, ExtractError>,
    /// The most memory that the child held, unless it was killed before it could say.
    pub peak_kib: Option<u64>,
    /// The picture, if a page was to be painted.
    pub painted: Option<Vec<u8>>,
}

/// Does a task in a child process. Blocks until the child has ended, at most until the deadline.
pub(super) fn ask(bytes: &[u8], task: &Task, deadline: Instant, progress: &mut dyn FnMut(u32, u32)) -> Heard {
    let mut listener = Listener::default();
    let outcome = converse_with_child(bytes, task, deadline, &mut listener, progress);
    Heard { outcome, peak_kib: listener.peak_kib, painted: listener.painted }
}

fn converse_with_child(
    bytes: &[u8],
    task: &Task,
    deadline: Instant,
    listener: &mut Listener,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Answer, ExtractError> {
    // A child that starts children would never end.
    if is_child() {
        return Err(NOT_STARTED);
    }
    let limits = &task.limits;
    let task = serde_json::to_vec(task).map_err(|_| NOT_STARTED)?;
    let mut child = Ended(start()?);
    let (stdin, stdout, stderr) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(NOT_STARTED);
    };
    let (lines_in, lines) = sync_channel(LINES_WAITING_MAX);
    thread::scope(|scope| {
        scope.spawn(|| feed(stdin, &task, bytes));
        let answer_bytes_max = limits.answer_bytes_max();
        scope.spawn(move || {
            listen(stdout, answer_bytes_max, |line| lines_in.send(line).is_ok());
        });
        let last_words = scope.spawn(move || last_words(stderr));
        let mut deadline = deadline;
        let heard = converse(&lines, &mut deadline, limits, listener, progress);
        // Nobody takes lines any more; a listener that waits to hand one on must notice.
        drop(lines);
        if heard.is_err() {
            child.kill();
        }
        let status = child.wait(deadline);
        let last_words = last_words.join().unwrap_or_default();
        match heard? {
            Some(outcome) => outcome,
            None => Err(ending(status?, &last_words)),
        }
    })
}

/// A child that does not outlive the value.
struct Ended(Child);

impl Ended {
    fn kill(&mut self) {
        // It may just have ended by itself.
        let _ = self.0.kill();
    }

    /// Waits for the end; a child that has closed its answer and goes on is killed at the deadline.
    fn wait(&mut self, deadline: Instant) -> Result<ExitStatus, ExtractError> {
        /// How often a child that is about to end is looked at.
        const LOOK_EVERY: Duration = Duration::from_millis(2);
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK_EVERY),
                Ok(None) => {
                    self.kill();
                    return Err(ExtractError::new(Reason::Timeout, Detail::Wall));
                }
                Err(_) => return Err(PROTOCOL),
            }
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}

fn start() -> Result<Child, ExtractError> {
    let program = std::env::current_exe().map_err(|_| NOT_STARTED)?;
    let mut command = Command::new(program);
    // The environment holds keys.
    command.arg(ARGUMENT).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|_| NOT_STARTED)
}

fn feed(mut stdin: ChildStdin, task: &[u8], bytes: &[u8]) {
    // A child that fails early stops reading; what it says about that is on its way.
    let _ = stdin.write_all(task).and_then(|()| stdin.write_all(b"\n")).and_then(|()| stdin.write_all(bytes));
}

/// Hands on each line, until the end, a bound, or nobody takes it. A line that is no line is handed on as an error.
fn listen(stdout: ChildStdout, bytes_max: u64, mut hand_on: impl FnMut(io::Result<Vec<u8>>) -> bool) {
    let mut from = BufReader::new(stdout.take(bytes_max));
    loop {
        let mut line = Vec::new();
        let goes_on = match read_line(&mut from, &mut line) {
            Ok(Some(())) => hand_on(Ok(line)),
            Ok(None) => false,
            Err(error) => {
                hand_on(Err(error));
                false
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// The beginning of what the child wrote to standard error; the rest is read and dropped, so that it never waits.
fn last_words(mut stderr: impl Read) -> String {
    let mut kept = Vec::new();
    let _ = stderr.by_ref().take(LAST_WORDS_BYTES_MAX).read_to_end(&mut kept);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&kept).into_owned()
}

/// Listens until the child has said everything. `Ok(None)`: it ended without an outcome.
fn converse(
    lines: &Receiver<io::Result<Vec<u8>>>,
    deadline: &mut Instant,
    limits: &Limits,
    listener: &mut Listener,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Option<Result<Answer, ExtractError>>, ExtractError> {
    let mut is_counted = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(Ok(line)) => {
                if let Some((done, total)) = listener.hear(&line, limits)? {
                    if done == 0 && !is_counted {
                        is_counted = true;
                        *deadline += Duration::from_millis(limits.wall_added_ms(total));
                    }
                    progress(done, total);
                }
            }
            // Cut off in the middle of a line: by its end, or by the bound on its answer.
            Ok(Err(_)) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                return Err(ExtractError::new(Reason::Timeout, Detail::Wall));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(listener.outcome.take()),
        }
    }
}

/// What a child died of that has given no outcome.
fn ending(status: ExitStatus, last_words: &str) -> ExtractError {
    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    if is(Signal::XCPU) {
        ExtractError::new(Reason::Timeout, Detail::Processor)
    } else if last_words.contains("memory allocation of") || last_words.contains("failed to spawn thread") {
        ExtractError::new(Reason::TooLarge, Detail::Memory)
    } else if last_words.contains("overflowed its stack") {
        ExtractError::new(Reason::Malformed, Detail::Stack)
    } else if is(Signal::KILL) {
        // Not by us, or there would be a reason already: the machine ran out of memory.
        ExtractError::new(Reason::TooLarge, Detail::Memory)
    } else if status.signal().is_some() {
        ExtractError::new(Reason::Malformed, Detail::Crashed)
    } else {
        PROTOCOL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: i32, last_words: &str) -> (Reason, Detail) {
        let error = ending(ExitStatus::from_raw(raw), last_words);
        (error.reason, error.detail)
    }

    #[test]
    fn each_way_to_end_has_its_reason() {
        let abort = Signal::ABORT.as_raw();
        assert_eq!(of(Signal::XCPU.as_raw(), ""), (Reason::Timeout, Detail::Processor));
        assert_eq!(of(abort, "memory allocation of 1073741824 bytes failed"), (Reason::TooLarge, Detail::Memory));
        assert_eq!(of(abort, "\nthread '<unnamed>' has overflowed its stack"), (Reason::Malformed, Detail::Stack));
        assert_eq!(of(Signal::KILL.as_raw(), ""), (Reason::TooLarge, Detail::Memory));
        assert_eq!(of(Signal::SEGV.as_raw(), ""), (Reason::Malformed, Detail::Crashed));
        assert_eq!(of(1 << 8, ""), (Reason::Internal, Detail::Protocol));
    }
}
