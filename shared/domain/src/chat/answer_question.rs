//! The chat use case: find passages, have them turned into sentences, prove each, record, and only then answer.

use super::conversation::{
    Background, ConversationError, Conversations, Kept, PseudonymMap, Turn, Understood, leans, says_again, stand_alone,
};
use super::deliver::{Delivery, Listener, Step};
use super::prove::opening;
use super::sections::Sections;
use super::stages::{Stage, Stages};
use super::support::SupportChecker;
use super::{Answer, ChatModel, Completion, Piece, Prompt, Question, Refusal, Sentence, SupportPolicy, Task, TokenUsage, scope};
use crate::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Intent, Outcome};
use crate::context::{Act, Context, NotAllowed};
use crate::fault::{Fault, PortError};
use crate::ids::{DocumentId, IdSource};
use crate::phi::IdentifierKind;
use crate::retrieval::{ChunkIndex, Embedder, Embedding, Filter, Query, Retrieval};
use std::collections::BTreeMap;

/// How many passages an answer may rest on. Ten windows of 60 to 100 words are what a small model reads well.
pub const PASSAGES: usize = 10;
/// How many passages a refusal shows.
const NEAREST: usize = 3;

/// Why there is no reply at all.
#[derive(Debug, thiserror::Error)]
pub enum AnswerQuestionError {
    /// The caller's roles do not allow asking.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The conversation that the question goes on with is not there, or not the caller's.
    #[error("there is no such conversation")]
    NoConversation,
    /// Nobody listens any more.
    #[error("the person has hung up")]
    Gone,
}

impl From<ConversationError> for AnswerQuestionError {
    fn from(error: ConversationError) -> Self {
        match error {
            ConversationError::NotAllowed(not_allowed) => Self::NotAllowed(not_allowed),
            ConversationError::Missing => Self::NoConversation,
            ConversationError::Port(error) => Self::Port(error),
        }
    }
}

impl AnswerQuestionError {
    /// How to treat it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotAllowed(_) => Fault::Denied,
            Self::Port(error) => error.fault(),
            Self::NoConversation => Fault::Missing,
            // Nobody is there to be told.
            Self::Gone => Fault::Transient,
        }
    }
}

/// The use case with its ports.
pub struct AnswerQuestion<'a> {
    /// Finds passages.
    pub index: &'a dyn ChunkIndex,
    /// Places the question in meaning space.
    pub embedder: &'a dyn Embedder,
    /// Writes the answer.
    pub model: &'a dyn ChatModel,
    /// Writes it where the model cannot be reached or nothing of what it wrote is supported.
    pub fallback: Option<&'a dyn ChatModel>,
    /// Checks every sentence, whoever wrote it.
    pub checker: &'a SupportChecker,
    /// What happens to sentences without support.
    pub policy: SupportPolicy,
    /// The audit trail.
    pub audit: &'a dyn AuditLog,
    /// New ids.
    pub ids: &'a dyn IdSource,
    /// The conversations; without them each question stands alone.
    pub conversations: Option<Conversations<'a>>,
    /// Hears which part of the work begins.
    pub stages: &'a dyn Stages,
}

/// A question whose conversation is open.
#[derive(Debug)]
pub struct Opened {
    kept: Option<Kept>,
}

/// What a model wrote and what is left of it.
#[derive(Default)]
struct Written {
    model: String,
    sentences: Vec<Sentence>,
    unsupported: usize,
    usage: TokenUsage,
    is_truncated: bool,
    blocked: BTreeMap<IdentifierKind, u32>,
    withheld: usize,
    pseudonyms: Option<PseudonymMap>,
}

impl AnswerQuestion<'_> {
    /// Answers with proven sentences, or refuses and says so. Nothing is returned before its audit event is stored.
    pub async fn run(&self, context: &Context, question: &Question) -> Result<Answer, AnswerQuestionError> {
        let opened = self.open(context, question).await?;
        self.answer(context, question, opened).await
    }

    /// The same, of a question whose conversation is open.
    pub async fn answer(&self, context: &Context, question: &Question, opened: Opened) -> Result<Answer, AnswerQuestionError> {
        self.work(context, question, opened, None).await
    }

    /// Whether the question may be asked, and the conversation that it goes on with: what can be refused before anything begins.
    pub async fn open(&self, context: &Context, question: &Question) -> Result<Opened, AnswerQuestionError> {
        context.allow(Act::Ask)?;
        let kept = match &self.conversations {
            None => None,
            Some(all) if question.continues => Some(all.resume(context, &question.conversation).await?),
            Some(all) => Some(all.begin(context)),
        };
        Ok(Opened { kept })
    }

    /// The same, sentence by sentence: what may be cited is in the trail before the first sentence leaves, and what was cited
    /// at the end. Whoever hangs up breaks the work off; what was used until then is booked.
    pub async fn stream(
        &self,
        context: &Context,
        question: &Question,
        opened: Opened,
        listener: &dyn Listener,
    ) -> Result<Answer, AnswerQuestionError> {
        self.work(context, question, opened, Some(listener)).await
    }

    async fn work(
        &self,
        context: &Context,
        question: &Question,
        opened: Opened,
        listener: Option<&dyn Listener>,
    ) -> Result<Answer, AnswerQuestionError> {
        let hear = |step: Step<'_>| listener.into_iter().for_each(|listener| listener.hear(step));
        self.stages.enter(Stage::Understand);
        let mut background = self.background(context, question, &opened).await;
        let understood = self.understand(context, question, &opened, &mut background, listener).await;
        if listener.is_some_and(Listener::has_gone) {
            return Err(AnswerQuestionError::Gone);
        }
        hear(Step::Searching(&understood.text));
        self.stages.enter(Stage::Search);
        let query = Query {
            embedding: self.embedder.embed(&understood.text),
            text: understood.text.clone(),
            filter: question.filter.clone(),
        };
        let found = self.index.search(&context.scope(), &query, PASSAGES).await?;
        let prompt = Prompt {
            context,
            conversation: &question.conversation,
            question: &understood.text,
            embedding: &query.embedding,
            passages: &found.passages,
            terms: &found.terms,
            background: &background,
            task: Task::Answer,
        };
        let refusal = self.refusal(context, &query, &found).await?;
        self.stages.enter(Stage::Answer);
        let intent = match listener {
            Some(_) => Some(self.announce(context, question, &found).await?),
            None => None,
        };
        let notice = scope::judge(&understood.text);
        hear(Step::Answering { passages: found.passages.len(), notice });
        let written = if refusal.is_some() { Ok(self.nothing()) } else { self.write(&prompt, listener).await };
        self.stages.enter(Stage::Record);
        let has_gone = listener.is_some_and(Listener::has_gone);
        let written = if has_gone { written.unwrap_or_else(|_| self.nothing()) } else { written? };
        // Without the tenant's secret the placeholders were made for this one answer.
        let issued = written.pseudonyms.clone().filter(|_| !background.salt.is_empty());
        let pseudonyms = issued.or(background.pseudonyms);
        let mut answer = answer(question, &understood, found, written, refusal);
        let mut event = self.event(context, &answer);
        if has_gone {
            event = AuditEvent { outcome: Outcome::Failure, ..event.with("ended", AuditValue::Code("gone")) };
        }
        let event = match intent {
            Some(intent) => intent.ended_as(event),
            None => event,
        };
        self.audit.append(&event).await?;
        if has_gone {
            return Err(AnswerQuestionError::Gone);
        }
        self.stages.enter(Stage::Keep);
        answer.is_forgotten = !self.keep(context, question, opened, understood, pseudonyms, &answer).await;
        Ok(answer)
    }

    async fn background(&self, context: &Context, question: &Question, opened: &Opened) -> Background {
        let people = question.people.clone();
        match (&self.conversations, &opened.kept) {
            (Some(all), Some(kept)) => all.background(context, &question.conversation, kept, people).await,
            _ => Background { people, ..Background::default() },
        }
    }

    /// The question as it stands alone: by the model if it can, else by the rule.
    async fn understand(
        &self,
        context: &Context,
        question: &Question,
        opened: &Opened,
        background: &mut Background,
        listener: Option<&dyn Listener>,
    ) -> Understood {
        let alone = || Understood::alone(question.text());
        let Some((conversation, last)) = opened.kept.as_ref().and_then(|k| Some((&k.conversation, k.conversation.turns.last()?)))
        else {
            return alone();
        };
        if !leans(question.text()) {
            return alone();
        }
        let earlier = conversation.earlier();
        let prompt = Prompt {
            context,
            conversation: &question.conversation,
            question: question.text(),
            // What is searched for is not known yet.
            embedding: &Embedding(Vec::new()),
            passages: &[],
            terms: &[],
            background,
            task: Task::StandAlone(&earlier),
        };
        // Whatever goes wrong here, the rule remains.
        let mut gone = listener.map_or_else(|| Box::pin(std::future::pending()) as _, Listener::gone);
        let said = if earlier.is_empty() { None } else { self.model.stand_alone(&prompt, &mut gone).await.ok().flatten() };
        let Some(completion) = said else { return stand_alone(question.text(), &last.topic) };
        let [sentence] = &completion.sentences[..] else { return stand_alone(question.text(), &last.topic) };
        if completion.pseudonyms.is_some() && !background.salt.is_empty() {
            background.pseudonyms = completion.pseudonyms;
        }
        match Question::new(&sentence.text, question.conversation.clone(), Filter::default()) {
            Ok(said) if says_again(said.text(), question.text(), &earlier) => Understood::alone(said.text()),
            _ => stand_alone(question.text(), &last.topic),
        }
    }

    /// Keeps the turn; answers whether the next question can go on from it. An answer is not thrown away because its
    /// conversation cannot be kept.
    async fn keep(
        &self,
        context: &Context,
        question: &Question,
        opened: Opened,
        understood: Understood,
        pseudonyms: Option<PseudonymMap>,
        answer: &Answer,
    ) -> bool {
        let (Some(all), Some(kept)) = (&self.conversations, opened.kept) else { return true };
        // What may not leave is not kept for a later question to lean on either.
        let is_blocked = answer.refusal == Some(Refusal::PhiBlocked);
        let turn = (!is_blocked).then(|| Turn::new(context.now, question.text(), understood, answer));
        all.keep(context, &question.conversation, kept, turn, pseudonyms).await.is_ok()
    }

    /// Says in the trail that sentences are about to leave, and which documents they may show.
    async fn announce(&self, context: &Context, question: &Question, found: &Retrieval) -> Result<Intent, PortError> {
        let entity = Entity::Conversation(question.conversation.clone());
        let event = AuditEvent::new(self.ids, context, EventType::ChatAnswered, entity, Outcome::Intended);
        let documents = found.passages.iter().map(|passage| passage.document_id.clone()).collect();
        Intent::write(self.audit, event.with("documents", AuditValue::Documents(once(documents)))).await
    }

    /// Why no model needs to be asked, if none does.
    async fn refusal(&self, context: &Context, query: &Query, found: &Retrieval) -> Result<Option<Refusal>, PortError> {
        if !found.passages.is_empty() {
            // Without a term every passage is as near as any other: its order would be an accident.
            return Ok(found.terms.is_empty().then_some(Refusal::NoTerms));
        }
        if !found.outdated.is_empty() || !found.unreadable.is_empty() {
            return Ok(Some(Refusal::NotReady));
        }
        if query.filter == Filter::default() {
            return Ok(Some(Refusal::NoDocuments));
        }
        let unfiltered = Query { filter: Filter::default(), ..query.clone() };
        let any = self.index.search(&context.scope(), &unfiltered, 1).await?;
        Ok(Some(if any.passages.is_empty() { Refusal::NoDocuments } else { Refusal::NoMatch }))
    }

    fn nothing(&self) -> Written {
        Written { model: self.model.name().to_owned(), ..Written::default() }
    }

    /// Asks the model, and the fallback if the model fails or nothing that it wrote is supported. A model that writes
    /// nothing has found no support: that is an answer, and the fallback is not asked. Nobody else is asked either once
    /// something has gone out.
    async fn write(&self, prompt: &Prompt<'_>, listener: Option<&dyn Listener>) -> Result<Written, PortError> {
        let sections = self.model.reads_sections();
        let sections = sections.then(|| Sections::around(self.index, &prompt.context.tenant, prompt.passages));
        let (shown, windows) = sections.as_ref().map_or((prompt.passages, prompt.passages), |s| (&s.shown, &s.windows));
        let mut delivery = Delivery::new((self.checker, self.embedder), self.policy, windows, listener);
        let mut take = |piece: Piece<'_>| match (piece, &sections) {
            (Piece::Sentence(draft), Some(sections)) => delivery.hear(Piece::Sentence(&sections.trace(draft))),
            (piece, _) => delivery.hear(piece),
        };
        let asking = Prompt { passages: shown, ..*prompt };
        let asked = match listener {
            None => {
                let completion = self.model.complete(&asking).await;
                if let Ok(completion) = &completion {
                    completion.sentences.iter().for_each(|draft| _ = take(Piece::Sentence(draft)));
                }
                completion
            }
            Some(listener) => {
                let mut gone = listener.gone();
                self.model.stream(&asking, &mut take, &mut gone).await
            }
        };
        let has_said = !delivery.sentences.is_empty();
        let may_ask_on = !has_said && !listener.is_some_and(Listener::has_gone);
        let first = match (asked, self.fallback.filter(|_| may_ask_on)) {
            (Ok(completion), Some(_)) if delivery.unsupported > 0 => completion,
            (Ok(completion), _) => return Ok(written(self.model, &completion, delivery)),
            // What was said before it broke off is an answer that is not whole.
            (Err(_), _) if has_said => {
                return Ok(written(self.model, &Completion { is_truncated: true, ..Completion::default() }, delivery));
            }
            (Err(error), None) => return Err(error),
            (Err(_), Some(_)) => Completion::default(),
        };
        let Some(fallback) = self.fallback else { return Ok(written(self.model, &first, delivery)) };
        delivery.begin_anew(prompt.passages);
        let second = fallback.complete(prompt).await?;
        second.sentences.iter().for_each(|draft| _ = delivery.take(draft));
        // What the model used is used, whoever answers.
        let Completion { usage, withheld, pseudonyms, .. } = first;
        Ok(Written { usage, withheld, pseudonyms, ..written(fallback, &second, delivery) })
    }

    /// What the trail says of an answer.
    fn event(&self, context: &Context, answer: &Answer) -> AuditEvent {
        let (event_type, outcome) = match answer.refusal {
            None => (EventType::ChatAnswered, Outcome::Success),
            Some(Refusal::PhiBlocked) => (EventType::PhiBlocked, Outcome::Success),
            Some(_) => (EventType::ChatRefused, Outcome::Success),
        };
        let shown = answer.sentences.iter().flat_map(|s| &s.citations).chain(&answer.nearest);
        let cited = once(shown.map(|citation| citation.document_id.clone()).collect());
        let mut event =
            AuditEvent::new(self.ids, context, event_type, Entity::Conversation(answer.conversation.clone()), outcome)
                .with("documents", AuditValue::Documents(cited))
                .with("sentences", AuditValue::Count(answer.sentences.len() as u64));
        if answer.unsupported > 0 {
            event = event.with("unsupported", AuditValue::Count(answer.unsupported as u64));
        }
        if let Some(refusal) = answer.refusal {
            event = event.with("reason", AuditValue::Code(refusal.as_str()));
        }
        for (kind, count) in &answer.blocked {
            event = event.with(kind.as_str(), AuditValue::Count((*count).into()));
        }
        if answer.withheld > 0 {
            event = event.with("withheld", AuditValue::Count(answer.withheld as u64));
        }
        if let Some(notice) = answer.notice {
            event = event.with("notice", AuditValue::Code(notice.as_str()));
        }
        event
    }
}

/// Documents in order, without repeats.
fn once(mut documents: Vec<DocumentId>) -> Vec<DocumentId> {
    documents.sort();
    documents.dedup();
    documents
}

/// What a model wrote, without what has no support.
fn written(model: &dyn ChatModel, completion: &Completion, delivery: Delivery<'_>) -> Written {
    Written {
        model: completion.model.as_deref().unwrap_or(model.name()).to_owned(),
        sentences: delivery.sentences,
        unsupported: delivery.unsupported,
        usage: completion.usage,
        is_truncated: completion.is_truncated,
        blocked: completion.blocked.clone(),
        withheld: completion.withheld,
        pseudonyms: completion.pseudonyms.clone(),
    }
}

fn answer(question: &Question, understood: &Understood, found: Retrieval, written: Written, refusal: Option<Refusal>) -> Answer {
    let refusal = refusal.or((!written.blocked.is_empty()).then_some(Refusal::PhiBlocked));
    let refusal = refusal.or(written.sentences.is_empty().then_some(Refusal::NoSupport));
    let shows_nearest = refusal == Some(Refusal::NoSupport);
    let seen = found.passages.iter().filter(|passage| !passage.chunk.is_hidden());
    let nearest = if shows_nearest { seen.take(NEAREST).filter_map(opening).collect() } else { Vec::new() };
    Answer {
        sentences: written.sentences,
        refusal,
        nearest,
        notice: scope::judge(&understood.text),
        unsupported: written.unsupported,
        conversation: question.conversation.clone(),
        understood: (understood.text != question.text()).then(|| understood.text.clone()),
        is_forgotten: false,
        model: written.model,
        usage: written.usage,
        is_truncated: written.is_truncated,
        blocked: written.blocked,
        withheld: written.withheld,
        passages: found.passages.len(),
        unreadable: found.unreadable,
    }
}
