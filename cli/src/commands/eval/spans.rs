//! Figures over labelled spans: what counts as found, as right, as typed right. Offsets are code points.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A labelled document.
#[derive(Deserialize)]
pub struct Document {
    pub text: String,
    #[serde(default)]
    pub spans: Vec<Span>,
}

/// A place with a label.
#[derive(Clone, Deserialize)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    pub label: String,
}

impl Span {
    /// Labels that begin so are neither right nor wrong.
    fn is_ignored(&self) -> bool {
        self.label.starts_with('_')
    }

    /// Foreign label names are scored by place alone.
    fn has_type(&self) -> bool {
        !self.label.starts_with("OM_")
    }
}

/// Found of all.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Share {
    pub found: usize,
    pub all: usize,
}

impl Share {
    fn add(&mut self, is_found: bool) {
        self.found += usize::from(is_found);
        self.all += 1;
    }

    /// As a number from 0 to 1; nothing of nothing is no number.
    pub fn value(self) -> Option<f64> {
        (self.all > 0).then(|| self.found as f64 / self.all as f64)
    }
}

/// The figures of one file.
#[derive(Clone, Default, Serialize)]
pub struct Figures {
    pub documents: usize,
    pub characters: usize,
    pub bytes: usize,
    pub recall: Share,
    pub precision: Share,
    pub characters_recall: Share,
    pub characters_precision: Share,
    pub types: Share,
    pub by_label: BTreeMap<String, Share>,
    pub seconds: f64,
    pub slowest_ms: f64,
    #[serde(skip)]
    pub times_ms: Vec<f64>,
}

impl Figures {
    /// Adds one document and what was found in it.
    pub fn add(&mut self, document: &Document, found: &[Span], seconds: f64) {
        let characters: Vec<char> = document.text.chars().collect();
        let clip = |span: &Span| span.start.min(characters.len())..span.end.min(characters.len());
        let mut gold: Vec<Option<bool>> = vec![None; characters.len()];
        for span in &document.spans {
            let range = clip(span);
            gold[range].fill(Some(!span.is_ignored()));
        }
        let mut labels: Vec<Option<&str>> = vec![None; characters.len()];
        for span in found {
            labels[clip(span)].fill(Some(&span.label));
        }
        for span in document.spans.iter().filter(|span| !span.is_ignored()) {
            let needed: Vec<usize> = clip(span).filter(|at| characters[*at].is_alphanumeric()).collect();
            let is_found = needed.iter().all(|at| labels[*at].is_some());
            self.recall.add(is_found);
            self.by_label.entry(span.label.clone()).or_default().add(is_found);
            if is_found && span.has_type() {
                let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
                needed.iter().filter_map(|at| labels[*at]).for_each(|label| *counts.entry(label).or_default() += 1);
                let most = counts.into_iter().max_by_key(|(_, count)| *count);
                self.types.add(most.is_some_and(|(label, _)| label == span.label));
            }
        }
        for span in found {
            let range = clip(span);
            let inside = range.clone().filter(|at| gold[*at].is_some()).count();
            self.precision.add(inside * 2 >= range.len());
        }
        for at in (0..characters.len()).filter(|at| characters[*at].is_alphanumeric()) {
            match (gold[at], labels[at].is_some()) {
                (Some(true), is_found) => {
                    self.characters_recall.add(is_found);
                    if is_found {
                        self.characters_precision.add(true);
                    }
                }
                (None, true) => self.characters_precision.add(false),
                _ => {}
            }
        }
        self.documents += 1;
        self.characters += characters.len();
        self.bytes += document.text.len();
        self.seconds += seconds;
        self.times_ms.push(seconds * 1000.0);
        self.slowest_ms = self.slowest_ms.max(seconds * 1000.0);
    }

    /// Recall weighs four times as much as precision.
    pub fn f2(&self) -> Option<f64> {
        let (recall, precision) = (self.recall.value()?, self.precision.value()?);
        (recall + precision > 0.0).then(|| 5.0 * precision * recall / (4.0 * precision + recall))
    }

    /// Found spans outside of gold.
    pub const fn false_hits(&self) -> usize {
        self.precision.all - self.precision.found
    }

    /// The same for every 10,000 characters.
    pub fn false_hits_per_10k(&self) -> f64 {
        self.false_hits() as f64 / self.characters.max(1) as f64 * 10_000.0
    }

    /// Thousands of bytes in a second of processor time.
    pub fn kilobytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1000.0 / self.seconds.max(1e-9)
    }

    /// The time below which 99 of 100 documents stay.
    pub fn p99_ms(&self) -> f64 {
        let mut times = self.times_ms.clone();
        times.sort_by(f64::total_cmp);
        times.get((times.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, end: usize, label: &str) -> Span {
        Span { start, end, label: label.to_owned() }
    }

    #[test]
    fn every_letter_must_be_found_half_a_span_must_be_right_and_some_labels_do_not_count() {
        let text = "Ana Öz lives in Rome, call 555".to_owned();
        let spans = vec![span(0, 6, "NAME"), span(16, 20, "_ORG"), span(27, 30, "PHONE")];
        let document = Document { text, spans };
        let mut figures = Figures::default();
        figures.add(&document, &[span(0, 5, "NAME"), span(16, 20, "LOCATION"), span(22, 30, "PHONE")], 0.5);
        assert_eq!((figures.recall.found, figures.recall.all), (1, 2));
        assert_eq!((figures.precision.found, figures.precision.all), (2, 3), "three of eight is less than half");
        assert_eq!((figures.types.found, figures.types.all), (1, 1));
        assert_eq!((figures.characters_recall.found, figures.characters_recall.all), (7, 8));
        figures.add(&document, &[span(0, 3, "NAME"), span(4, 6, "DATE"), span(27, 99, "OTHER_ID")], 0.5);
        assert_eq!((figures.recall.found, figures.types.found), (3, 2), "the label of most letters counts");
        assert!((figures.p99_ms() - 500.0).abs() < 1e-9);
    }
}
