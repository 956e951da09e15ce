//! Failures and interleavings on demand. The fakes of one test share one [`Outage`], so that it can cut the work off between
//! any two calls to any of them, and can let concurrent work take turns in an order that the test chooses.

use domain::fault::PortError;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

#[derive(Default)]
struct Plan {
    calls: u64,
    failures: u64,
    /// Calls that still work; `None` is forever.
    works: Option<u64>,
    /// Whether the first call that fails has its effect all the same, and only its answer is lost.
    loses_answer: bool,
    turns: VecDeque<u8>,
}

/// What goes wrong, and when. A clone is the same outage.
#[derive(Clone, Default)]
pub struct Outage(Arc<Mutex<Plan>>);

impl Outage {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets so many calls through; all later ones fail without effect, as after a crash.
    pub fn begin_after(&self, calls: u64) {
        let mut plan = self.plan();
        (plan.works, plan.loses_answer) = (Some(calls), false);
    }

    /// Lets so many calls through; the next one has its effect but its answer is lost; all later ones fail.
    pub fn lose_answer_after(&self, calls: u64) {
        let mut plan = self.plan();
        (plan.works, plan.loses_answer) = (Some(calls), true);
    }

    /// Everything works again.
    pub fn end(&self) {
        let mut plan = self.plan();
        (plan.works, plan.loses_answer) = (None, false);
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.plan().calls
    }

    /// How many calls failed or lost their answer.
    pub fn failures(&self) -> u64 {
        self.plan().failures
    }

    /// How many turns each of the next calls waits, so that other work goes first. No waiting once they are used up.
    pub fn take_turns(&self, turns: impl IntoIterator<Item = u8>) {
        self.plan().turns = turns.into_iter().collect();
    }

    /// The beginning of every call.
    pub(crate) async fn call(&self, operation: &'static str) -> Result<Answer, PortError> {
        let turns = self.plan().turns.pop_front().unwrap_or(0);
        wait(turns).await;
        let down = || PortError::Unavailable { operation, code: "injected".into() };
        let mut plan = self.plan();
        plan.calls += 1;
        match plan.works {
            None => Ok(Answer(None)),
            Some(0) if plan.loses_answer => {
                plan.loses_answer = false;
                plan.failures += 1;
                Ok(Answer(Some(down())))
            }
            Some(0) => {
                plan.failures += 1;
                Err(down())
            }
            Some(works) => {
                plan.works = Some(works - 1);
                Ok(Answer(None))
            }
        }
    }
}

/// The end of a call: its answer, or that it was lost.
pub(crate) struct Answer(Option<PortError>);

impl Answer {
    pub(crate) fn with<T>(self, value: T) -> Result<T, PortError> {
        self.0.map_or(Ok(value), Err)
    }
}

/// Lets everybody else go first, so many times.
pub async fn wait(turns: u8) {
    let mut left = turns;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
