//! The models that may be called: what they take, what they cost from which day on, when they end. Dated data
//! (`catalogue.json`), never constants: a model that is not in it, has ended or has no price today cannot be called.

use super::{MicroDollars, Price, TokenUsage};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// The catalogue that is shipped.
const SHIPPED: &str = include_str!("catalogue.json");

/// A million tokens of nothing that we know costs more: a price above it is a slip of the decimal point.
const PRICE_MAX: MicroDollars = MicroDollars::dollars(1_000);

/// Who serves a model, which is also which wire format it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Google's Gemini Developer API.
    Gemini,
    /// Groq.
    Groq,
    /// Amazon Bedrock: stays inside the account.
    Bedrock,
    /// Any endpoint that speaks `OpenAI`'s chat completions, such as vLLM.
    OpenaiCompatible,
}

impl Provider {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::Groq => "groq",
            Self::Bedrock => "bedrock",
            Self::OpenaiCompatible => "openai-compatible",
        }
    }

    /// Reads a stable name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Gemini, Self::Groq, Self::Bedrock, Self::OpenaiCompatible];
        all.into_iter().find(|provider| provider.as_str() == name)
    }
}

/// What a model is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Answers as long as the day's spending is below the threshold.
    Usual,
    /// Answers from the threshold on.
    Cheaper,
}

/// How long a model may think before it answers. What it thinks is paid for like what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThinkingLevel {
    /// Hardly. An error with models that do not list it.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

impl ThinkingLevel {
    /// The stable name, in lower case. Gemini spells it in capitals.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The provider's own name for it.
    pub id: String,
    /// Who serves it.
    pub provider: Provider,
    /// What it is used for.
    pub grade: Grade,
    /// Whether it is used if nobody chooses.
    pub is_default: bool,
    /// Whether a business associate agreement covers it. The strict answer until the operator says otherwise.
    pub baa: bool,
    /// The most tokens that prompt and answer have together.
    pub context_tokens: u32,
    /// The most tokens that it answers, thinking included.
    pub output_tokens_max: u32,
    /// The levels that it takes, least first; none if it takes no such parameter.
    pub thinking: Vec<ThinkingLevel>,
    /// Whether it can be held to a JSON schema.
    pub structured_output: bool,
    /// The first day on which it is gone, UTC.
    pub retires: Option<Date>,
    /// Where this was read.
    pub source: String,
    /// Oldest first, one at least, no two from the same day.
    prices: Vec<Price>,
}

impl Model {
    /// The price in force, if the model can be had at this time.
    pub fn price_at(&self, now: Timestamp) -> Option<&Price> {
        let today = day_of(now);
        if self.retires.is_some_and(|retires| retires <= today) {
            return None;
        }
        self.prices.iter().rev().find(|price| price.from <= today)
    }

    /// Which price that is, as the ledger's rows name it.
    pub fn price_version(&self, price: &Price) -> String {
        format!("{}@{}", self.id, price.from)
    }

    /// What a call costs at most, at the price in force, with so many tokens sent and so many asked for, thinking included.
    /// No provider sends more than the model's own maximum.
    pub fn at_most(&self, prompt_tokens: u32, output_tokens: u32, now: Timestamp) -> Option<MicroDollars> {
        Some(self.price_at(now)?.at_most(prompt_tokens, output_tokens.min(self.output_tokens_max)))
    }

    /// What a call cost, at the price in force.
    pub fn cost(&self, usage: &TokenUsage, now: Timestamp) -> Option<MicroDollars> {
        Some(self.price_at(now)?.cost(usage))
    }

    /// The days until it is gone, if that is known; negative once it is.
    pub fn days_left(&self, now: Timestamp) -> Option<i32> {
        self.retires.map(|retires| (retires - day_of(now)).get_days())
    }

    /// The least thinking that it takes.
    pub fn least_thinking(&self) -> Option<ThinkingLevel> {
        self.thinking.iter().min().copied()
    }
}

/// The day of a time, UTC: the day that money is counted by.
pub(super) fn day_of(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

/// Why a text is no catalogue. Names the model, which is a public name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCatalogueError {
    /// It is not JSON of the right shape.
    #[error("the catalogue is not JSON of the right shape: line {line}")]
    Shape {
        /// Where reading stopped.
        line: usize,
    },
    /// A value cannot be right.
    #[error("{model}: {what}")]
    Value {
        /// Whose.
        model: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    #[serde(rename = "read_on")]
    _read_on: Date,
    models: Vec<ModelEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelEntry {
    id: String,
    provider: Provider,
    grade: Grade,
    #[serde(default)]
    default: bool,
    baa: bool,
    context_tokens: u32,
    output_tokens_max: u32,
    #[serde(default)]
    thinking: Vec<ThinkingLevel>,
    #[serde(default)]
    structured_output: bool,
    retires: Option<Date>,
    prices: Vec<PriceEntry>,
    source: String,
}

/// Dollars for a million tokens, as price lists have them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceEntry {
    from: Date,
    input: String,
    cached_input: Option<String>,
    output: String,
}

impl ModelEntry {
    fn read(self) -> Result<Model, &'static str> {
        let named =
            (1..=128).contains(&self.id.len()) && self.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:".contains(&b));
        let mut prices = self.prices.iter().map(PriceEntry::read).collect::<Result<Vec<_>, _>>()?;
        prices.sort_by_key(|price| price.from);
        let checks = [
            (named, "an id is 1 to 128 letters, digits and -_./:"),
            (self.output_tokens_max > 0, "a model answers one token at least"),
            (self.output_tokens_max <= self.context_tokens, "the answer has to fit into the context"),
            (!self.source.trim().is_empty(), "say where this was read"),
            (!prices.is_empty(), "there is no price"),
            (prices.windows(2).all(|pair| pair[0].from < pair[1].from), "two prices from the same day"),
            (self.retires.is_none_or(|retires| prices.iter().all(|p| p.from < retires)), "a price after the end"),
        ];
        if let Some((_, what)) = checks.into_iter().find(|(holds, _)| !holds) {
            return Err(what);
        }
        Ok(Model {
            id: self.id,
            provider: self.provider,
            grade: self.grade,
            is_default: self.default,
            baa: self.baa,
            context_tokens: self.context_tokens,
            output_tokens_max: self.output_tokens_max,
            thinking: self.thinking,
            structured_output: self.structured_output,
            retires: self.retires,
            source: self.source,
            prices,
        })
    }
}

impl PriceEntry {
    fn read(&self) -> Result<Price, &'static str> {
        let amount = |text: &str| {
            let amount = MicroDollars::parse(text).map_err(|_| "a price is dollars for a million tokens, such as \"0.75\"")?;
            if amount <= PRICE_MAX { Ok(amount) } else { Err("a price over $1,000 for a million tokens") }
        };
        let input = amount(&self.input)?;
        let cached_input = self.cached_input.as_deref().map_or(Ok(input), amount)?;
        let output = amount(&self.output)?;
        if cached_input > input {
            return Err("cached tokens cost more than others");
        }
        Ok(Price { from: self.from, input, cached_input, output })
    }
}

/// All models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue(Vec<Model>);

impl Catalogue {
    /// The one that is shipped.
    pub fn shipped() -> Result<Self, ParseCatalogueError> {
        Self::parse(SHIPPED)
    }

    /// Reads a catalogue: an operator's own models (an endpoint of the house, an agreement, another price) have the same form.
    pub fn parse(json: &str) -> Result<Self, ParseCatalogueError> {
        let file: CatalogueFile =
            serde_json::from_str(json).map_err(|error| ParseCatalogueError::Shape { line: error.line() })?;
        let mut models: Vec<Model> = Vec::new();
        for entry in file.models {
            let id = entry.id.clone();
            let wrong = |what| ParseCatalogueError::Value { model: id.chars().take(128).collect(), what };
            let model = entry.read().map_err(wrong)?;
            if models.iter().any(|known| known.provider == model.provider && known.id == model.id) {
                return Err(wrong("it is there twice"));
            }
            models.push(model);
        }
        Ok(Self(models))
    }

    /// This catalogue with another one's models; where both have one, the other's counts.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.retain(|mine| !other.0.iter().any(|model| model.provider == mine.provider && model.id == mine.id));
        self.0.extend(other.0);
        self
    }

    /// A model by provider and id.
    pub fn find(&self, provider: Provider, id: &str) -> Option<&Model> {
        self.0.iter().find(|model| model.provider == provider && model.id == id)
    }

    /// The model that a provider is asked for if nobody chooses.
    pub fn default_model(&self, provider: Provider, grade: Grade) -> Option<&Model> {
        self.0.iter().find(|model| model.is_default && model.provider == provider && model.grade == grade)
    }

    /// All of them.
    pub fn models(&self) -> &[Model] {
        &self.0
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
