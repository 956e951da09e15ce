//! The figures as tables or JSON.

use super::Grounding;
use super::claims::{Claims, Tally};
use super::refusals::Refusals;
use crate::display::Screen;
use anyhow::Result;
use serde_json::{Value, json};

/// Prints everything.
pub fn print(options: &Grounding, claims: &Claims, refusals: &Refusals, screen: &mut Screen) -> Result<()> {
    if options.json {
        return screen.json(&json!({ "sentences": claims.sentences, "corruptions": kinds(&claims.corrupted), "supported": kinds(&claims.supported), "questions": questions(refusals) }));
    }
    screen.line(format!("{} sentences of the documents", claims.sentences))?;
    for (head, all, verdict) in
        [("Corrupted sentences", &claims.corrupted, "caught"), ("Supported sentences", &claims.supported, "false alarms")]
    {
        screen.line("")?;
        screen.line(screen.paint.strong(&format!("{head:<36}{:>8}  {verdict:>12}", "made")))?;
        for (kind, tally) in all {
            screen.line(row(kind, tally.made, tally.rejected))?;
        }
        let (made, rejected) = Claims::total(all);
        screen.line(row("all", made, rejected))?;
        for (kind, tally) in all {
            for wrong in &tally.wrong {
                screen.line(format!("\n[{kind}: {}] {}\n   cites: {}", wrong.reason, wrong.sentence, wrong.cited))?;
            }
        }
    }
    let Refusals { answerable, refused_wrongly, cited_rightly, unanswerable, refused_rightly, sentences, quoted, notices } =
        refusals;
    if answerable + unanswerable > 0 {
        screen.line("")?;
        screen.line(screen.paint.strong("Questions"))?;
        screen.line(format!(
            "{answerable} with an answer: {refused_wrongly} refused, {cited_rightly} cite a document that is judged to answer them"
        ))?;
        screen.line(format!("{unanswerable} without: {refused_rightly} refused"))?;
        screen.line(format!("refusals: precision {:.3}, recall {:.3}", refusals.precision(), refusals.recall()))?;
        screen
            .line(format!("{sentences} sentences in the answers, {quoted} word for word; {notices} questions with a notice"))?;
    }
    Ok(())
}

fn questions(refusals: &Refusals) -> Value {
    json!({
        "answerable": refusals.answerable, "refused_wrongly": refusals.refused_wrongly, "cited_rightly": refusals.cited_rightly,
        "unanswerable": refusals.unanswerable, "refused_rightly": refusals.refused_rightly,
        "refusal_precision": refusals.precision(), "refusal_recall": refusals.recall(),
        "sentences": refusals.sentences, "sentences_quoted": refusals.quoted, "notices": refusals.notices,
    })
}

fn row(kind: &str, made: usize, part: usize) -> String {
    format!("{kind:<36}{made:>8}  {:>10.1} %", percent(part, made))
}

fn percent(part: usize, of: usize) -> f64 {
    100.0 * part as f64 / of.max(1) as f64
}

fn kinds(all: &[(&'static str, Tally)]) -> Value {
    let rows = all.iter().map(|(kind, tally)| {
        json!({ "kind": kind, "made": tally.made, "rejected": tally.rejected, "rejected_percent": percent(tally.rejected, tally.made), "verdicts": tally.reasons })
    });
    let (made, rejected) = Claims::total(all);
    json!({ "kinds": rows.collect::<Vec<_>>(), "made": made, "rejected": rejected, "rejected_percent": percent(rejected, made) })
}
