//! From a model's drafts to sentences that may leave: each is proven when it comes, and whoever listens hears it at once.

use super::prove::prove;
use super::scope::OutOfScope;
use super::support::SupportChecker;
use super::{DraftSentence, Sentence, SupportPolicy};
use crate::retrieval::{Embedder, Passage};
use async_trait::async_trait;

/// What happens on the way to an answer.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// The documents are searched for this question: as it was asked, or as a follow-up was understood.
    Searching(&'a str),
    /// So many passages were found; the answer is being written.
    Answering {
        /// How many.
        passages: usize,
        /// What the question asks for that documents cannot give.
        notice: Option<OutOfScope>,
    },
    /// A sentence that may leave. It is in the trail that it does.
    Sentence(&'a Sentence),
}

/// Hears an answer while it is made.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Takes a step. Does not wait.
    fn hear(&self, step: Step<'_>);
    /// Whether nobody listens any more.
    fn has_gone(&self) -> bool;
    /// Ends when nobody listens any more.
    async fn gone(&self);
}

/// An answer while it is made.
pub(super) struct Delivery<'a> {
    checker: &'a SupportChecker,
    embedder: &'a dyn Embedder,
    policy: SupportPolicy,
    passages: &'a [Passage],
    listener: Option<&'a dyn Listener>,
    /// What may leave, in reading order.
    pub sentences: Vec<Sentence>,
    /// Marked sentences that wait for one that is supported: they go with others, never alone.
    held: Vec<Sentence>,
    /// Sentences that were proposed and are not supported.
    pub unsupported: usize,
}

impl<'a> Delivery<'a> {
    pub fn new(
        (checker, embedder): (&'a SupportChecker, &'a dyn Embedder),
        policy: SupportPolicy,
        passages: &'a [Passage],
        listener: Option<&'a dyn Listener>,
    ) -> Self {
        Self { checker, embedder, policy, passages, listener, sentences: Vec::new(), held: Vec::new(), unsupported: 0 }
    }

    /// Takes a draft; answers whether anything went out.
    pub fn take(&mut self, draft: &DraftSentence) -> bool {
        let proven = prove(draft, self.passages, self.checker, self.embedder);
        let Some(sentence) = proven.filter(|sentence| sentence.support.is_ok() || self.policy == SupportPolicy::Mark) else {
            self.unsupported += 1;
            return false;
        };
        if sentence.support.is_err() {
            self.unsupported += 1;
            if self.sentences.is_empty() {
                self.held.push(sentence);
                return false;
            }
        }
        for held in std::mem::take(&mut self.held) {
            self.release(held);
        }
        self.release(sentence);
        true
    }

    /// Somebody else writes, from these passages: what waited of the one before goes with nobody.
    pub fn begin_anew(&mut self, passages: &'a [Passage]) {
        self.held.clear();
        self.passages = passages;
    }

    fn release(&mut self, sentence: Sentence) {
        if let Some(listener) = self.listener {
            listener.hear(Step::Sentence(&sentence));
        }
        self.sentences.push(sentence);
    }
}
