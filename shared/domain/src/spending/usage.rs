//! What a call used, by the classes that have a price, and what that costs.

use super::MicroDollars;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Tokens of one call. The classes do not overlap: each token is in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Sent and read at the full price.
    pub input: u32,
    /// Sent and taken from the provider's cache.
    pub cached_input: u32,
    /// Received and visible.
    pub output: u32,
    /// Received and not visible, but paid for.
    pub thinking: u32,
}

impl TokenUsage {
    /// From Gemini's `usageMetadata`: `promptTokenCount` includes the cached ones, `thoughtsTokenCount` comes beside
    /// `candidatesTokenCount`, and what tools put into the prompt is input (ai.google.dev/api/generate-content#UsageMetadata).
    pub const fn gemini(prompt: u32, cached: u32, tool_prompt: u32, candidates: u32, thoughts: u32) -> Self {
        let input = prompt.saturating_sub(cached).saturating_add(tool_prompt);
        Self { input, cached_input: cached, output: candidates, thinking: thoughts }
    }

    /// From `usage` of an OpenAI-compatible answer, Groq's among them: `prompt_tokens` includes the cached ones, and
    /// `completion_tokens` the reasoning (console.groq.com/docs/api-reference).
    pub const fn openai_compatible(prompt: u32, cached: u32, completion: u32, reasoning: u32) -> Self {
        Self {
            input: prompt.saturating_sub(cached),
            cached_input: cached,
            output: completion.saturating_sub(reasoning),
            thinking: reasoning,
        }
    }

    /// From Bedrock's `TokenUsage`: `inputTokens` is without what was read from and written to the cache. We ask for no
    /// caching; what is written all the same is counted as input.
    pub const fn bedrock(input: u32, cache_read: u32, cache_write: u32, output: u32) -> Self {
        Self { input: input.saturating_add(cache_write), cached_input: cache_read, output, thinking: 0 }
    }

    /// Everything sent.
    pub const fn sent(&self) -> u32 {
        self.input.saturating_add(self.cached_input)
    }

    /// Everything received.
    pub const fn received(&self) -> u32 {
        self.output.saturating_add(self.thinking)
    }

    /// Both together: what an answer used that took two calls.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            output: self.output.saturating_add(other.output),
            thinking: self.thinking.saturating_add(other.thinking),
        }
    }
}

/// What a text of so many bytes is at most in tokens: one a byte, since every provider's tokenizer works on bytes and no
/// token is shorter than one, and a few for the frame around each message.
pub const fn prompt_tokens_at_most(bytes: usize, messages: usize) -> u32 {
    /// Role, separators, begin and end of a message: 4 to 10 in the chat formats in use, and as much again.
    const FRAME: usize = 20;
    let tokens = bytes.saturating_add(messages.saturating_mul(FRAME)).saturating_add(FRAME);
    if tokens > u32::MAX as usize { u32::MAX } else { tokens as u32 }
}

/// A model's price from a day on: micro-dollars for a million tokens of each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// The first day of it, UTC.
    pub from: Date,
    /// Tokens sent.
    pub input: MicroDollars,
    /// Tokens sent that the provider had in its cache.
    pub cached_input: MicroDollars,
    /// Tokens received, thinking included.
    pub output: MicroDollars,
}

impl Price {
    /// What a call cost: `input·in + cached·cached_in + (output + thinking)·out`, rounded up to the next micro-dollar once.
    pub const fn cost(&self, usage: &TokenUsage) -> MicroDollars {
        let paid = usage.input as u128 * self.input.micros() as u128
            + usage.cached_input as u128 * self.cached_input.micros() as u128
            + (usage.output as u128 + usage.thinking as u128) * self.output.micros() as u128;
        let micros = paid.div_ceil(1_000_000);
        MicroDollars::new(if micros > MicroDollars::MAX.micros() as u128 { MicroDollars::MAX.micros() } else { micros as u64 })
    }

    /// What a call costs at most that sends and receives no more than this. Nothing is hoped for from a cache.
    pub const fn at_most(&self, prompt_tokens: u32, output_tokens: u32) -> MicroDollars {
        let dear = if self.cached_input.micros() > self.input.micros() { self.cached_input } else { self.input };
        let usage = TokenUsage { input: prompt_tokens, cached_input: 0, output: output_tokens, thinking: 0 };
        Self { input: dear, ..*self }.cost(&usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(input: u64, cached_input: u64, output: u64) -> Price {
        Price {
            from: Date::constant(2026, 1, 1),
            input: MicroDollars::new(input),
            cached_input: MicroDollars::new(cached_input),
            output: MicroDollars::new(output),
        }
    }

    #[test]
    fn the_formulas_are_the_providers() {
        // 1,000 sent, 400 of them cached; 200 written, 300 thought.
        let gemini = TokenUsage::gemini(1_000, 400, 0, 200, 300);
        let groq = TokenUsage::openai_compatible(1_000, 400, 500, 300);
        assert_eq!(gemini, groq);
        // 600·0.75 + 400·0.10 + 500·3.75 dollars per million = 2,365 millionths.
        assert_eq!(price(750_000, 100_000, 3_750_000).cost(&gemini), MicroDollars::new(2_365));
        assert_eq!((gemini.sent(), gemini.received()), (1_000, 500));
    }

    #[test]
    fn a_part_of_a_micro_dollar_is_a_whole_one() {
        let one = TokenUsage { input: 1, ..TokenUsage::default() };
        assert_eq!(price(75_000, 0, 0).cost(&one), MicroDollars::new(1));
        assert_eq!(price(75_000, 0, 0).cost(&TokenUsage::default()), MicroDollars::ZERO);
    }

    proptest! {
        #[test]
        fn no_usage_within_the_bound_costs_more_than_it(
            rates in (0_u64..20_000_000, 0_u64..20_000_000, 0_u64..40_000_000),
            (sent, cached) in (0_u32..2_000_000).prop_flat_map(|sent| (Just(sent), 0..=sent)),
            (received, thinking) in (0_u32..100_000).prop_flat_map(|received| (Just(received), 0..=received)),
        ) {
            let price = price(rates.0, rates.1, rates.2);
            let usage = TokenUsage { input: sent - cached, cached_input: cached, output: received - thinking, thinking };
            prop_assert!(price.cost(&usage) <= price.at_most(sent, received));
        }
    }
}
