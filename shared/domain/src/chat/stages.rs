//! The parts of the work on a question. The use case says when it enters one; whoever has a clock measures how long it took.

/// A part of the work, in their order. Each ends where the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// What the conversation brings is fetched, and a follow-up is made to stand alone.
    Understand,
    /// Passages are searched for.
    Search,
    /// The answer is written and each of its sentences proven.
    Answer,
    /// The trail is written.
    Record,
    /// The turn is kept.
    Keep,
}

/// Hears which part begins.
pub trait Stages: Send + Sync {
    /// This part begins now.
    fn enter(&self, stage: Stage);
}

/// Nobody measures.
impl Stages for () {
    fn enter(&self, _: Stage) {}
}
