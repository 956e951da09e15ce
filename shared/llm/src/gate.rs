//! The gate: what of a question and its passages may leave, and in which form. A provider without an agreement gets
//! pseudonyms, always; for one with an agreement the operator chooses. Kinds that are blocked stay in: a question that holds
//! one is not sent, a passage that holds one is left out.

use crate::prompt::{self, SafePassage};
use crate::provider::Message;
use deid::surrogate::{Conversation, Policy};
use deid::{Agreement, Deidentifier, OperatingPoint, SafeText, chart_names};
use domain::chat::conversation::PseudonymMap;
use domain::chat::{Prompt, Task};
use domain::phi::IdentifierKind;
use domain::spending::Model;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What providers with an agreement get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Covered {
    /// The same as all others.
    #[default]
    Strict,
    /// Pseudonyms, with fewer words taken for names that are none.
    Balanced,
    /// The text as it is.
    Plain,
}

/// The name of no such choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what a provider with an agreement gets is strict, balanced or plain")]
pub struct ParseCoveredError;

impl Covered {
    /// Reads a setting.
    pub fn parse(text: &str) -> Result<Self, ParseCoveredError> {
        match text {
            "strict" => Ok(Self::Strict),
            "balanced" => Ok(Self::Balanced),
            "plain" => Ok(Self::Plain),
            _ => Err(ParseCoveredError),
        }
    }
}

/// The gate with its settings.
#[derive(Clone)]
pub struct Gate {
    /// Finds identifiers.
    pub deidentifier: Arc<Deidentifier>,
    /// What providers with an agreement get.
    pub covered: Covered,
    /// Kinds that do not leave even as pseudonyms.
    pub blocked: BTreeSet<IdentifierKind>,
}

/// What leaves for one provider, and the way back.
#[derive(Debug)]
pub struct Outgoing {
    /// The question and the passages.
    pub input: Message,
    /// What was replaced.
    pub conversation: Conversation,
    /// How many identifiers of each kind.
    pub redactions: BTreeMap<IdentifierKind, u32>,
    /// How many passages stayed in.
    pub withheld: usize,
}

/// A question that stays in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the question holds identifiers of a kind that does not leave")]
pub struct RefuseQuestionError {
    /// Which kinds, and how many of each.
    pub kinds: BTreeMap<IdentifierKind, u32>,
}

impl Gate {
    /// What this model's provider gets of text.
    fn treatment(&self, model: &Model) -> Treatment {
        match (Agreement::of(model), self.covered) {
            (None, _) | (Some(_), Covered::Strict) => Treatment::Pseudonyms(OperatingPoint::Strict),
            (Some(_), Covered::Balanced) => Treatment::Pseudonyms(OperatingPoint::Balanced),
            (Some(agreement), Covered::Plain) => Treatment::Plain(agreement),
        }
    }

    /// Lets a prompt through to a model.
    pub fn pass(&self, prompt: &Prompt<'_>, model: &Model) -> Result<Outgoing, RefuseQuestionError> {
        let treatment = self.treatment(model);
        let texts: Vec<String> = prompt.passages.iter().map(|passage| passage.chunk.searchable_text(&passage.title)).collect();
        let before = begin(prompt);
        let mut conversation = before.clone();
        for person in &prompt.background.people {
            conversation.seed(person.expose());
        }
        for text in &texts {
            for name in chart_names(text) {
                conversation.seed(name);
            }
        }
        let mut sorted = self.sort(prompt, &texts, &treatment, &mut conversation)?;
        if !conversation.is_empty() {
            // What the last passage taught is looked for in the first as well.
            sorted = self.sort(prompt, &texts, &treatment, &mut conversation)?;
        }
        let Sorted { question, earlier, passages, redactions, withheld } = sorted;
        if matches!(treatment, Treatment::Plain(_)) {
            // Nothing was replaced: what was found decided what stays in.
            conversation = before.clone();
        }
        let input = match prompt.task {
            Task::Answer => prompt::input(&question, &passages),
            Task::StandAlone(_) => prompt::follow_up(&question, &earlier),
        };
        Ok(Outgoing { input, conversation, redactions, withheld })
    }

    fn sort(
        &self,
        prompt: &Prompt<'_>,
        texts: &[String],
        treatment: &Treatment,
        conversation: &mut Conversation,
    ) -> Result<Sorted, RefuseQuestionError> {
        let (question, mut redactions) =
            self.make_safe(prompt.question, treatment, conversation).map_err(|kinds| RefuseQuestionError { kinds })?;
        let mut earlier = Vec::new();
        if let Task::StandAlone(questions) = prompt.task {
            for text in questions {
                let (text, counts) =
                    self.make_safe(text, treatment, conversation).map_err(|kinds| RefuseQuestionError { kinds })?;
                add(&mut redactions, counts);
                earlier.push(text);
            }
        }
        let (mut passages, mut withheld) = (Vec::with_capacity(texts.len()), 0);
        for (at, text) in texts.iter().enumerate() {
            let Ok((text, counts)) = self.make_safe(text, treatment, conversation) else {
                withheld += 1;
                continue;
            };
            add(&mut redactions, counts);
            passages.push(SafePassage { number: at + 1, text, is_hidden: prompt.passages[at].chunk.is_hidden() });
        }
        Ok(Sorted { question, earlier, passages, redactions, withheld })
    }

    fn make_safe(
        &self,
        text: &str,
        treatment: &Treatment,
        conversation: &mut Conversation,
    ) -> Result<(SafeText, BTreeMap<IdentifierKind, u32>), BTreeMap<IdentifierKind, u32>> {
        let point = match treatment {
            Treatment::Pseudonyms(point) => *point,
            Treatment::Plain(agreement) if self.blocked.is_empty() => {
                return Ok((SafeText::under(text, agreement), BTreeMap::new()));
            }
            // What is blocked is looked for even where everything else may leave as it is, with all that is known of names.
            Treatment::Plain(agreement) => {
                let policy = Policy { point: OperatingPoint::Strict, blocked: self.blocked.clone() };
                let found = self.deidentifier.pseudonymise(text, &policy, conversation);
                return found.map(|_| (SafeText::under(text, agreement), BTreeMap::new())).map_err(|refused| refused.kinds);
            }
        };
        let policy = Policy { point, blocked: self.blocked.clone() };
        let safe = self.deidentifier.pseudonymise(text, &policy, conversation).map_err(|refused| refused.kinds)?;
        Ok((safe.text, safe.counts))
    }
}

fn add(redactions: &mut BTreeMap<IdentifierKind, u32>, counts: BTreeMap<IdentifierKind, u32>) {
    for (kind, count) in counts {
        *redactions.entry(kind).or_insert(0) += count;
    }
}

/// The conversation's placeholders so far, or none yet. The tag makes those of two tenants and two conversations differ, so that
/// none can be taken for another's.
fn begin(prompt: &Prompt<'_>) -> Conversation {
    let background = prompt.background;
    let kept = background.pseudonyms.as_ref().and_then(|map| serde_json::from_str(map.expose()).ok());
    kept.unwrap_or_else(|| match &background.salt[..] {
        // Nobody keeps this conversation: a tag that is good for one question.
        [] => Conversation::new(format!("{}/{}", prompt.context.tenant, prompt.conversation).as_bytes()),
        salt => Conversation::new(salt),
    })
}

impl Outgoing {
    /// The placeholders, to be kept with the conversation; nothing if there are none. Those of passages as well: the answer shows
    /// what they stand for, and the next question may name it where no passage does.
    pub fn pseudonyms(&self) -> Option<PseudonymMap> {
        // Texts and numbers: there is nothing that JSON could not hold.
        (!self.conversation.is_empty()).then(|| PseudonymMap::new(serde_json::to_string(&self.conversation).unwrap_or_default()))
    }
}

/// In which form text leaves.
enum Treatment {
    Pseudonyms(OperatingPoint),
    Plain(Agreement),
}

/// What may leave, before it is put together.
struct Sorted {
    question: SafeText,
    earlier: Vec<SafeText>,
    passages: Vec<SafePassage>,
    redactions: BTreeMap<IdentifierKind, u32>,
    withheld: usize,
}
