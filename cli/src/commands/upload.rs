//! `upload`: files to the stack, and the wait until they can be searched.
//!
//! A few threads send; this one hands out the work, watches the documents that have arrived, and tells how each ended.

use super::collect::collect;
use super::transfer::{Unfit, name_of, send};
use crate::args::Upload;
use crate::client::{Client, problem_status};
use crate::display::Screen;
use crate::display::document::status;
use crate::display::measure::count;
use crate::display::progress::{Bar, Board};
use crate::display::text::plain;
use crate::outcome::Outcome;
use crate::transport::TransportError;
use crate::wire::{Document, Status};
use anyhow::{Result, bail, ensure};
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Files that are sent at once: enough to fill a line, few enough for any memory.
const SENDERS: usize = 4;
/// Files between their start and their end. Each has a bar, and a screen has some twenty lines.
const UNDER_WAY_MAX: usize = 16;
/// A document is looked at after this time, and then ever more rarely.
const LOOK_FIRST: Duration = Duration::from_millis(300);
/// But at least this often, so that the bar moves.
const LOOK_LAST: Duration = Duration::from_secs(2);
/// So many looks may fail in a row: a stack that is being updated is back by then.
const LOOKS_FAILED_MAX: u32 = 5;

/// How it went with one file; what `--json` prints.
#[derive(Serialize)]
struct Ended {
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[derive(Serialize)]
struct Failure {
    /// A stable code, or `not_uploaded`, `unknown`.
    reason: String,
    /// What a person can do about it.
    advice: String,
}

/// A document that has arrived and is not yet searchable.
struct Waiting {
    at: usize,
    bar: Bar,
    /// The version that it replaces.
    before: Option<String>,
    document: Document,
    moved: Instant,
    next: Instant,
    every: Duration,
    failed: u32,
}

struct Sent {
    at: usize,
    bar: Bar,
    result: Result<Document>,
}

/// Uploads.
pub fn run(upload: &Upload, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let files = collect(&upload.paths)?;
    for (option, is_given) in [("--title", upload.title.is_some()), ("--replace", upload.replace.is_some())] {
        ensure!(!is_given || files.len() == 1, "{option} is for one file, and these are {}.", files.len());
    }
    // Before the threads: at most one question for a password.
    client.bearer()?;
    let (jobs, taken) = mpsc::channel::<(usize, Bar)>();
    let taken = Mutex::new(taken);
    let ended = thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for _ in 0..SENDERS.min(files.len()) {
            let (tell, files, taken) = (tell.clone(), &files, &taken);
            scope.spawn(move || work(files, upload, client, taken, &tell));
        }
        drop(tell);
        // When the run is over its end of `jobs` is gone, and with it the threads.
        Run { files: &files, upload, client, jobs, told, board: Board::new(screen) }.run(screen)
    })?;
    let failed = ended.iter().filter(|ended| ended.error.is_some()).count();
    let good = if upload.no_wait { "uploaded" } else { "indexed" };
    if upload.json {
        screen.json(&json!({"documents": ended, good: ended.len() - failed, "failed": failed}))?;
    } else if ended.len() > 1 {
        screen.line(format!("{}: {} {good}, {failed} failed", count(ended.len(), "document"), ended.len() - failed))?;
    }
    Ok(if failed == 0 { Outcome::Done } else { Outcome::Failed })
}

/// A sender: takes jobs until there are no more.
fn work(files: &[PathBuf], upload: &Upload, client: &Client, taken: &Mutex<Receiver<(usize, Bar)>>, tell: &Sender<Sent>) {
    loop {
        let job = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((at, bar)) = job else { return };
        let result = send(&files[at], upload, client, &bar);
        if tell.send(Sent { at, bar, result }).is_err() {
            return;
        }
    }
}

struct Run<'a> {
    files: &'a [PathBuf],
    upload: &'a Upload,
    client: &'a Client,
    jobs: Sender<(usize, Bar)>,
    told: Receiver<Sent>,
    board: Board,
}

impl Run<'_> {
    /// Until every file has ended. The answers are in the order of the files.
    fn run(self, screen: &mut Screen) -> Result<Vec<Ended>> {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut ended: Vec<(usize, Ended)> = Vec::new();
        let mut started = 0;
        while ended.len() < self.files.len() {
            while started < self.files.len() && started - ended.len() < UNDER_WAY_MAX {
                let bar = self.board.bar(&name_of(&self.files[started]));
                bar.doing("waiting");
                self.jobs.send((started, bar))?;
                started += 1;
            }
            let pause =
                waiting.iter().map(|w| w.next).min().map_or(LOOK_LAST, |next| next.saturating_duration_since(Instant::now()));
            match self.told.recv_timeout(pause) {
                Ok(Sent { at, bar, result: Ok(document) }) if !self.upload.no_wait => {
                    bar.doing("uploaded");
                    let now = Instant::now();
                    let (before, next) = (document.version.clone(), now + LOOK_FIRST);
                    waiting.push(Waiting { at, bar, before, document, moved: now, next, every: LOOK_FIRST, failed: 0 });
                }
                Ok(Sent { at, bar, result }) => {
                    drop(bar);
                    let one = match result {
                        Ok(document) => self.ended(at, Some(document), None),
                        Err(error) if is_hopeless(&error) => return Err(error),
                        Err(error) => self.ended(at, None, Some(failure(&error))),
                    };
                    self.tell(&one, screen)?;
                    ended.push((at, one));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("The upload broke down."),
            }
            let now = Instant::now();
            let due = waiting.extract_if(.., |w| w.next <= now).collect::<Vec<_>>();
            for one in due {
                match self.look(one)? {
                    Look::Again(one) => waiting.push(one),
                    Look::Over(at, one) => {
                        self.tell(&one, screen)?;
                        ended.push((at, one));
                    }
                }
            }
        }
        ended.sort_by_key(|(at, _)| *at);
        Ok(ended.into_iter().map(|(_, ended)| ended).collect())
    }

    /// Looks at a document that was sent.
    fn look(&self, mut one: Waiting) -> Result<Look> {
        let seen = self.client.document_if_there(&one.document.id);
        let over = |one: Waiting, failure| Ok(Look::Over(one.at, self.ended(one.at, Some(one.document), failure)));
        match seen {
            Ok(Some(document)) => {
                one.failed = 0;
                let has_moved = (&document.status, &document.progress) != (&one.document.status, &one.document.progress);
                if has_moved {
                    (one.moved, one.every) = (Instant::now(), LOOK_FIRST);
                }
                one.document = document;
                // Until the bucket's event has come, the document is what it was.
                let has_come = one.before.is_none() || one.document.version != one.before;
                if has_come && one.document.status.is_indexed() {
                    return over(one, None);
                }
                if has_come && one.document.status.is_failed() {
                    let failure = Failure {
                        reason: one.document.reason.clone().unwrap_or_else(|| "unknown".into()),
                        advice: one.document.advice.clone().unwrap_or_default(),
                    };
                    return over(one, Some(failure));
                }
                if one.document.status.is_leaving() {
                    return over(one, Some(gone()));
                }
                show(&one.bar, &one.document);
            }
            Ok(None) => return over(one, Some(gone())),
            Err(error) if is_hopeless(&error) => return Err(error),
            Err(error) => {
                one.failed += 1;
                if one.failed > LOOKS_FAILED_MAX {
                    return over(one, Some(failure(&error)));
                }
            }
        }
        if one.moved.elapsed() >= Duration::from_secs(self.upload.patience) {
            let advice =
                format!("It arrived, but nothing has moved for {} s. Look later with `clinchat show`.", self.upload.patience);
            return over(one, Some(Failure { reason: "no_progress".into(), advice }));
        }
        one.every = (one.every * 3 / 2).min(LOOK_LAST);
        one.next = Instant::now() + one.every;
        Ok(Look::Again(one))
    }

    fn ended(&self, at: usize, document: Option<Document>, error: Option<Failure>) -> Ended {
        Ended { file: self.files[at].clone(), document, error }
    }

    /// A line for a file that has ended.
    fn tell(&self, ended: &Ended, screen: &mut Screen) -> Result<()> {
        if self.upload.json {
            return Ok(());
        }
        let paint = screen.paint;
        let mut parts = vec![match (&ended.error, &ended.document) {
            (Some(_), _) => paint.bad("failed  "),
            (None, Some(document)) if document.status.is_indexed() => status(&document.status, paint) + " ",
            (None, _) => status(&Status("uploaded".into()), paint),
        }];
        parts.push(plain(&name_of(&ended.file)));
        if let Some(error) = &ended.error {
            parts.push(plain(&format!("{}: {}", error.reason, error.advice)));
        }
        if let Some(document) = &ended.document {
            parts.extend(document.pages.map(|pages| count(pages as usize, "page")));
            parts.push(plain(&document.id));
        }
        self.board.aside(|| screen.line(parts.join("  ")).and_then(|()| screen.flush()))
    }
}

enum Look {
    Again(Waiting),
    Over(usize, Ended),
}

fn show(bar: &Bar, document: &Document) {
    match &document.progress {
        Some(progress) => bar.done(&progress.stage, progress.done.into(), progress.total.into()),
        None => bar.doing(if document.status.0 == "awaiting_upload" { "uploaded" } else { "indexing" }),
    }
}

fn gone() -> Failure {
    Failure { reason: "deleted".into(), advice: "Somebody deleted it before it could be searched.".into() }
}

/// What has no chance with the next file either.
fn is_hopeless(error: &anyhow::Error) -> bool {
    matches!(problem_status(error), Some(401 | 403)) || matches!(error.downcast_ref(), Some(TransportError::LocalStackDown))
}

fn failure(error: &anyhow::Error) -> Failure {
    let reason = error.downcast_ref::<Unfit>().map_or("not_uploaded", Unfit::code);
    Failure { reason: reason.into(), advice: format!("{error:#}") }
}
