//! What somebody has to be told of, as data: `alert_rules.json` beside this file. Read and checked as a whole before the first
//! record is looked at.

use super::{EventType, Outcome};
use crate::alert::Severity;
use serde::Deserialize;
use std::collections::BTreeSet;

/// The rules of this version.
pub const RULES: &str = include_str!("alert_rules.json");
/// Headlines are read on a phone.
const HEADLINE_CHARS_MAX: usize = 160;
const WEEK_MINUTES: u32 = 7 * 24 * 60;

/// The file is no set of rules. Says which rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the alert rules cannot be used: {0}")]
pub struct LoadRulesError(String);

/// What happened to a row, besides being appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// It was changed.
    Modified,
    /// It was removed by somebody, or before its time.
    Removed,
}

/// Whose events are counted together and told of once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// One entity's.
    Entity,
    /// One actor's.
    Actor,
    /// A tenant's.
    Tenant,
    /// Each for itself.
    Event,
}

/// So many within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// From how many on.
    pub count: u32,
    /// Within how long.
    pub minutes: u32,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, and the runbook's heading.
    pub name: String,
    /// The kinds of events.
    pub events: Vec<EventType>,
    /// Only with this outcome.
    pub outcome: Option<Outcome>,
    /// What was done to a row of the trail itself.
    pub tampering: Option<Tampering>,
    /// Only if there are many.
    pub rate: Option<Rate>,
    /// Counted and told of per what.
    pub per: Per,
    /// Told of once in so long.
    pub quiet_minutes: u32,
    /// Messages per tenant in that time; then one that says that there are more.
    pub cap: usize,
    /// How soon somebody has to look.
    pub severity: Severity,
    /// One sentence.
    pub headline: String,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    events: Vec<String>,
    outcome: Option<String>,
    tampering: Option<Tampering>,
    rate: Option<Rate>,
    per: Per,
    quiet_minutes: u32,
    cap: usize,
    severity: String,
    headline: String,
}

impl Rule {
    /// The entry of the runbook.
    pub fn runbook(&self) -> String {
        format!("docs/runbook.md#alert-{}", self.name)
    }

    fn read(written: Written) -> Result<Self, LoadRulesError> {
        let wrong = |what: &str| LoadRulesError(format!("{}: {what}", written.name));
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        if !is_name(&written.name) {
            return Err(wrong("a name has lower-case letters and hyphens"));
        }
        let mut events = Vec::new();
        for name in &written.events {
            events.push(EventType::parse(name).ok_or_else(|| wrong("there is no such event"))?);
        }
        if events.is_empty() == written.tampering.is_none() {
            return Err(wrong("either events or tampering"));
        }
        if written.tampering.is_some() && (written.rate.is_some() || written.outcome.is_some()) {
            return Err(wrong("tampering is told of at once"));
        }
        let outcome = match written.outcome.as_deref() {
            None => None,
            Some(name) => Some(Outcome::parse(name).ok_or_else(|| wrong("there is no such outcome"))?),
        };
        let is_time = |minutes: u32| (1..=WEEK_MINUTES).contains(&minutes);
        if written.rate.is_some_and(|rate| !(2..=1_000).contains(&rate.count) || !is_time(rate.minutes)) {
            return Err(wrong("a rate is 2 to 1,000 within 1 minute to a week"));
        }
        if !is_time(written.quiet_minutes) || !(1..=100).contains(&written.cap) {
            return Err(wrong("quiet_minutes are 1 to a week's, cap is 1 to 100"));
        }
        let severity = [Severity::Notice, Severity::Warning, Severity::Critical].into_iter();
        let severity = severity.into_iter().find(|severity| severity.as_str() == written.severity);
        let severity = severity.ok_or_else(|| wrong("severity is notice, warning or critical"))?;
        if written.headline.is_empty() || written.headline.chars().count() > HEADLINE_CHARS_MAX {
            return Err(wrong("a headline has 1 to 160 characters"));
        }
        Ok(Self {
            name: written.name,
            events,
            outcome,
            tampering: written.tampering,
            rate: written.rate,
            per: written.per,
            quiet_minutes: written.quiet_minutes,
            cap: written.cap,
            severity,
            headline: written.headline,
        })
    }
}

/// Reads and checks rules.
pub fn load(text: &str) -> Result<Vec<Rule>, LoadRulesError> {
    let written: Vec<Written> = serde_json::from_str(text)
        .map_err(|error| LoadRulesError(format!("line {}, column {}", error.line(), error.column())))?;
    let rules = written.into_iter().map(Rule::read).collect::<Result<Vec<_>, _>>()?;
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    if rules.is_empty() || names.len() != rules.len() {
        return Err(LoadRulesError("there are none, or two of one name".into()));
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_this_version_are_sound_and_tampering_is_among_them() {
        let rules = load(RULES).unwrap();
        for tampering in [Tampering::Modified, Tampering::Removed] {
            let rule = rules.iter().find(|rule| rule.tampering == Some(tampering)).unwrap();
            assert_eq!(rule.severity, Severity::Critical);
        }
        for event in ["fraud_detected", "break_glass", "key_rotation_failed", "budget_stop", "phi_blocked"] {
            let event = EventType::parse(event).unwrap();
            assert!(rules.iter().any(|rule| rule.events.contains(&event) && rule.rate.is_none()), "{event:?}");
        }
        assert!(rules.iter().filter(|rule| rule.rate.is_some()).count() >= 3);
    }

    #[test]
    fn a_rule_that_could_never_fire_or_never_be_read_is_refused() {
        let good = serde_json::json!({
            "name": "x", "events": ["break_glass"], "per": "event", "quiet_minutes": 5, "cap": 3, "severity": "notice", "headline": "X.",
        });
        assert!(load(&serde_json::json!([good]).to_string()).is_ok());
        for (name, value) in [
            ("name", "Not A Name".into()),
            ("name", "".into()),
            ("events", serde_json::json!([])),
            ("events", serde_json::json!(["broken_glass"])),
            ("outcome", "perhaps".into()),
            ("tampering", "modified".into()),
            ("rate", serde_json::json!({ "count": 1, "minutes": 5 })),
            ("rate", serde_json::json!({ "count": 5, "minutes": 0 })),
            ("quiet_minutes", 0.into()),
            ("cap", 0.into()),
            ("cap", 101.into()),
            ("severity", "loud".into()),
            ("headline", "".into()),
            ("headline", "x".repeat(161).into()),
            ("threshold", 3.into()),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert!(load(&serde_json::json!([bad]).to_string()).is_err(), "{name}: {bad}");
        }
        assert!(load("[]").is_err() && load("{}").is_err());
        assert!(load(&serde_json::json!([good, good]).to_string()).is_err(), "two of one name");
    }
}
