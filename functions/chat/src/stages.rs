//! How long each part of an answer took, for the invocation's record.

use domain::chat::stages::{Stage, Stages};
use runtime::telemetry::{Invocation, Unit};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// Measures parts as they begin.
#[derive(Debug, Default)]
pub struct Stopwatch {
    begun: Mutex<Vec<(Stage, Instant)>>,
    first_sentence: OnceLock<Instant>,
}

impl Stopwatch {
    /// A sentence goes out; the first one counts.
    pub fn sentence(&self) {
        self.first_sentence.get_or_init(Instant::now);
    }

    /// Puts what was measured into the record; the last part ends now.
    pub fn stop(&self, invocation: &mut Invocation) {
        let begun = std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
        let mut add = |name, from: Instant, to: Instant| {
            invocation.metric(name, Unit::Milliseconds, to.saturating_duration_since(from).as_secs_f64() * 1_000.0);
        };
        if let (Some((_, start)), Some(heard)) = (begun.first(), self.first_sentence.get()) {
            add("FirstSentenceMs", *start, *heard);
        }
        let ends = begun.iter().skip(1).map(|(_, end)| *end).chain([Instant::now()]);
        for ((stage, start), end) in begun.iter().zip(ends) {
            add(metric(*stage), *start, end);
        }
    }
}

const fn metric(stage: Stage) -> &'static str {
    match stage {
        Stage::Understand => "UnderstandMs",
        Stage::Search => "SearchMs",
        Stage::Answer => "AnswerMs",
        Stage::Record => "RecordMs",
        Stage::Keep => "KeepMs",
    }
}

impl Stages for Stopwatch {
    fn enter(&self, stage: Stage) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push((stage, Instant::now()));
    }
}
