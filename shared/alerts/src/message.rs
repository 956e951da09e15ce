//! What an alert looks like on its way: a subject, a text for people, JSON for programs.

use domain::alert::Alert;
use serde_json::json;
use std::fmt::Write as _;

/// SNS takes a subject of up to 100 ASCII characters without line ends.
const SUBJECT_CHARS_MAX: usize = 100;

/// The line that a mailbox shows.
pub fn subject(alert: &Alert) -> String {
    let line = format!("ClinChat {}: {}", alert.severity.as_str(), alert.kind);
    line.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(SUBJECT_CHARS_MAX).collect()
}

/// The message for every protocol: `default` is JSON, `email` is text.
pub fn by_protocol(alert: &Alert) -> String {
    json!({ "default": for_programs(alert), "email": for_people(alert) }).to_string()
}

fn for_programs(alert: &Alert) -> String {
    json!({
        "kind": alert.kind,
        "severity": alert.severity.as_str(),
        "headline": alert.headline,
        "facts": alert.facts,
        "runbook": alert.runbook,
        "dedupe_key": alert.dedupe_key,
        "at": alert.at.to_string(),
    })
    .to_string()
}

fn for_people(alert: &Alert) -> String {
    let mut text = format!("{}\n\n", alert.headline);
    for (name, value) in &alert.facts {
        let _ = writeln!(text, "{name}: {}", json!(value).to_string().trim_matches('"'));
    }
    let _ =
        write!(text, "\nAt: {}\nRunbook: {}\nThe same alert has the same key: {}\n", alert.at, alert.runbook, alert.dedupe_key);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::alert::Severity;
    use domain::audit::AuditValue;
    use std::collections::BTreeMap;

    fn alert() -> Alert {
        Alert {
            kind: "budget_threshold".into(),
            severity: Severity::Warning,
            headline: "The day's spending has reached the threshold.".into(),
            facts: BTreeMap::from([("spent_micro_dollars", AuditValue::Count(80_000_000))]),
            runbook: "docs/runbook.md#budget".into(),
            dedupe_key: "budget_threshold/2026-11-22".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn people_get_text_and_programs_get_json() {
        let message: serde_json::Value = serde_json::from_str(&by_protocol(&alert())).unwrap();
        let json: serde_json::Value = serde_json::from_str(message["default"].as_str().unwrap()).unwrap();
        assert_eq!((&json["kind"], &json["facts"]["spent_micro_dollars"]), (&"budget_threshold".into(), &80_000_000.into()));
        assert_eq!(json["dedupe_key"], "budget_threshold/2026-11-22");
        let text = message["email"].as_str().unwrap();
        assert!(text.starts_with("The day's spending") && text.contains("spent_micro_dollars: 80000000\n"), "{text}");
    }

    #[test]
    fn a_subject_is_one_short_line() {
        assert_eq!(subject(&alert()), "ClinChat warning: budget_threshold");
        let odd = Alert { kind: format!("a\nb{}", "é".repeat(200)), ..alert() };
        assert_eq!(subject(&odd), "ClinChat warning: ab");
    }
}
