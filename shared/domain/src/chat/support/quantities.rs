//! Figures with their units, comparators and ranges, brought to one unit where the conversion is exact.

use super::reading::{Kind, Piece};

/// How a figure bounds what it measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparator {
    Exactly,
    Below,
    AtMost,
    AtLeast,
    Above,
}

/// A figure or a range.
#[derive(Debug, Clone)]
pub(super) struct Quantity {
    /// In the base unit of its dimension.
    pub low: f64,
    pub high: f64,
    pub comparator: Comparator,
    /// Dimension by dimension, as "mass/mass/time"; empty for a bare number.
    pub dimension: String,
    /// First piece and one past the last.
    pub from: usize,
    pub to: usize,
}

impl Quantity {
    pub fn has_same_value(&self, other: &Self) -> bool {
        near(self.low, other.low) && near(self.high, other.high)
    }

    /// Whether this is a year.
    pub fn is_year(&self) -> bool {
        self.dimension.is_empty() && self.low.fract() == 0.0 && (1900.0..=2100.0).contains(&self.low)
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Name, dimension, factor to the dimension's base unit. Only what converts exactly shares a dimension.
const UNITS: &[(&str, &str, f64)] = &[
    ("ampoule", "ampoule", 1.0),
    ("ampoules", "ampoule", 1.0),
    ("bpm", "beat/minute", 1.0),
    ("capsule", "capsule", 1.0),
    ("capsules", "capsule", 1.0),
    ("centimeter", "length", 1e4),
    ("centimeters", "length", 1e4),
    ("cm", "length", 1e4),
    ("cmh2o", "water", 1.0),
    ("d", "time", 86_400.0),
    ("day", "time", 86_400.0),
    ("days", "time", 86_400.0),
    ("dl", "volume", 1e5),
    ("dose", "dose", 1.0),
    ("doses", "dose", 1.0),
    ("drop", "drop", 1.0),
    ("drops", "drop", 1.0),
    ("feet", "foot", 1.0),
    ("foot", "foot", 1.0),
    ("g", "mass", 1e9),
    ("gauge", "gauge", 1.0),
    ("gram", "mass", 1e9),
    ("grams", "mass", 1e9),
    ("gy", "gray", 1.0),
    ("h", "time", 3_600.0),
    ("hour", "time", 3_600.0),
    ("hours", "time", 3_600.0),
    ("hr", "time", 3_600.0),
    ("hrs", "time", 3_600.0),
    ("hz", "hertz", 1.0),
    ("inch", "inch", 1.0),
    ("inches", "inch", 1.0),
    ("international", "unit", 1.0),
    ("iu", "unit", 1.0),
    ("j", "joule", 1.0),
    ("joule", "joule", 1.0),
    ("joules", "joule", 1.0),
    ("kcal", "energy", 1.0),
    ("kg", "mass", 1e12),
    ("kilogram", "mass", 1e12),
    ("kilograms", "mass", 1e12),
    ("km", "length", 1e9),
    ("kpa", "pascal", 1e3),
    ("l", "volume", 1e6),
    ("lb", "pound", 1.0),
    ("lbs", "pound", 1.0),
    ("liter", "volume", 1e6),
    ("liters", "volume", 1e6),
    ("m", "length", 1e6),
    ("mcg", "mass", 1e3),
    ("meq", "equivalent", 1.0),
    ("meter", "length", 1e6),
    ("meters", "length", 1e6),
    ("mg", "mass", 1e6),
    ("micromol", "substance", 1e3),
    ("milligram", "mass", 1e6),
    ("milligrams", "mass", 1e6),
    ("milliliter", "volume", 1e3),
    ("milliliters", "volume", 1e3),
    ("millimeter", "length", 1e3),
    ("millimeters", "length", 1e3),
    ("min", "time", 60.0),
    ("mins", "time", 60.0),
    ("minute", "time", 60.0),
    ("minutes", "time", 60.0),
    ("miu", "milliunit", 1.0),
    ("ml", "volume", 1e3),
    ("mm", "length", 1e3),
    ("mmhg", "mercury", 1.0),
    ("mmol", "substance", 1e6),
    ("mol", "substance", 1e9),
    ("month", "month", 1.0),
    ("months", "month", 1.0),
    ("ms", "time", 0.001),
    ("msv", "sievert", 1.0),
    ("ng", "mass", 1.0),
    ("nmol", "substance", 1.0),
    ("pa", "pascal", 1.0),
    ("pascal", "pascal", 1.0),
    ("pascals", "pascal", 1.0),
    ("percent", "percent", 1.0),
    ("pg", "mass", 1e-3),
    ("pint", "pint", 1.0),
    ("pints", "pint", 1.0),
    ("pound", "pound", 1.0),
    ("pounds", "pound", 1.0),
    ("ppm", "million", 1.0),
    ("puff", "puff", 1.0),
    ("puffs", "puff", 1.0),
    ("s", "time", 1.0),
    ("sec", "time", 1.0),
    ("second", "time", 1.0),
    ("seconds", "time", 1.0),
    ("secs", "time", 1.0),
    ("tablet", "tablet", 1.0),
    ("tablets", "tablet", 1.0),
    ("time", "times", 1.0),
    ("times", "times", 1.0),
    ("unit", "unit", 1.0),
    ("units", "unit", 1.0),
    ("week", "time", 604_800.0),
    ("weeks", "time", 604_800.0),
    ("wk", "time", 604_800.0),
    ("wks", "time", 604_800.0),
    ("year", "month", 12.0),
    ("years", "month", 12.0),
    ("yr", "month", 12.0),
    ("yrs", "month", 12.0),
];

fn unit(word: &str) -> Option<(&'static str, f64)> {
    UNITS.binary_search_by_key(&word, |(name, ..)| name).ok().map(|at| (UNITS[at].1, UNITS[at].2))
}

/// Whether a lower-case word is a unit that figures are written on to.
pub(super) fn is_unit(word: &str) -> bool {
    unit(&super::spelling::one(word)).is_some() || matches!(word, "c" | "µg" | "μg")
}

/// The quantities of a text, in order.
pub(super) fn quantities(pieces: &[Piece]) -> Vec<Quantity> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < pieces.len() {
        let Kind::Number(first) = pieces[i].kind else {
            i += 1;
            continue;
        };
        let (mut dimension, mut factor, mut end) = read_unit(pieces, i + 1);
        let (mut low, mut high) = (first, first);
        // "5 to 10 mg", "5-10 mg", "between 5 and 10 mg"
        let joins = pieces
            .get(end)
            .is_some_and(|p| p.is_sign('-') || p.is("to") || (p.is("and") && i > 0 && pieces[i - 1].is("between")));
        if joins && let Some(Kind::Number(second)) = pieces.get(end + 1).map(|p| p.kind) {
            let (dimension2, factor2, end2) = read_unit(pieces, end + 2);
            if dimension.is_empty() || dimension == dimension2 {
                low = first * if dimension.is_empty() { factor2 } else { factor };
                high = second * factor2;
                dimension = dimension2;
                factor = 1.0;
                end = end2;
            }
        }
        let sentence = pieces[i].sentence;
        let in_sentence = |p: &&Piece| p.sentence == sentence;
        let before: Vec<&str> = pieces[..i].iter().rev().take(4).take_while(in_sentence).map(|p| p.text.as_str()).collect();
        let after: Vec<&str> = pieces[end..].iter().take(2).take_while(in_sentence).map(|p| p.text.as_str()).collect();
        let (comparator, words) = comparator(&before, &after);
        found.push(Quantity { low: low * factor, high: high * factor, comparator, dimension, from: i - words, to: end });
        i = end.max(i + 1);
    }
    found
}

/// The unit at a place: its dimension, its factor and where it ends.
fn read_unit(pieces: &[Piece], at: usize) -> (String, f64, usize) {
    let mut end = at;
    let get = |i: usize| pieces.get(i);
    // "a 12-hour window"
    if get(end).is_some_and(|p| p.is_sign('-')) && get(end + 1).is_some_and(|p| p.kind == Kind::Word && unit(&p.text).is_some()) {
        end += 1;
    }
    if get(end).is_some_and(|p| p.is_sign('%')) {
        return ("percent".into(), 1.0, end + 1);
    }
    if get(end).is_some_and(|p| p.is("per")) && get(end + 1).is_some_and(|p| p.is("cent")) {
        return ("percent".into(), 1.0, end + 2);
    }
    let degrees = get(end).is_some_and(|p| p.is_sign('°') || p.is("degrees") || p.is("degree"));
    if degrees {
        let scale = get(end + 1).map_or("", |p| p.text.as_str());
        return match scale {
            "c" | "celsius" | "centigrade" => ("celsius".into(), 1.0, end + 2),
            "f" | "fahrenheit" => ("fahrenheit".into(), 1.0, end + 2),
            _ => ("degree".into(), 1.0, end + 1),
        };
    }
    let Some((dimension, mut factor)) = get(end).filter(|p| p.kind == Kind::Word).and_then(|p| unit(&p.text)) else {
        return (String::new(), 1.0, at);
    };
    let mut all = dimension.to_owned();
    end += 1;
    if get(end - 1).is_some_and(|p| p.is("international")) && get(end).is_some_and(|p| p.is("units")) {
        end += 1;
    }
    while get(end).is_some_and(|p| p.is_sign('/') || p.is("per") || p.is("a") || p.is("an") || p.is("each") || p.is("every")) {
        let Some((below, by)) = get(end + 1).filter(|p| p.kind == Kind::Word).and_then(|p| unit(&p.text)) else { break };
        all.push('/');
        all.push_str(below);
        factor /= by;
        end += 2;
    }
    (all, factor, end)
}

/// What words around a figure say of it, and how many words before it say so. `before` is nearest first.
fn comparator(before: &[&str], after: &[&str]) -> (Comparator, usize) {
    use Comparator::{Above, AtLeast, AtMost, Below, Exactly};
    match after {
        ["or" | "and", "more" | "above" | "higher" | "over" | "greater" | "older" | "longer" | "larger" | "later"]
        | ["+", ..] => {
            return (AtLeast, 0);
        }
        [
            "or" | "and",
            "less" | "below" | "lower" | "under" | "fewer" | "younger" | "shorter" | "smaller" | "earlier" | "sooner",
        ] => {
            return (AtMost, 0);
        }
        _ => {}
    }
    // "a maximum of 5", "at least the first 5"
    let of = usize::from(before.first().is_some_and(|w| matches!(*w, "of" | "the" | "about" | "is" | "a")));
    let words = &before[of..];
    let up = |w: &str| {
        matches!(
            w,
            "more" | "greater" | "higher" | "longer" | "older" | "larger" | "later" | "heavier" | "taller" | "bigger" | "rather"
        )
    };
    let down =
        |w: &str| matches!(w, "less" | "fewer" | "lower" | "shorter" | "younger" | "smaller" | "earlier" | "sooner" | "lighter");
    let (found, used) = match words {
        ["than", w, "no" | "not" | "never", ..] if up(w) => (AtMost, 3),
        ["than", w, "no" | "not" | "never", ..] if down(w) => (AtLeast, 3),
        ["than", w, ..] if up(w) && *w != "rather" => (Above, 2),
        ["than", w, ..] if down(w) => (Below, 2),
        ["least", "at", ..] | ["minimum", "a" | "the", ..] | ["below" | "under", "not", ..] => (AtLeast, 2),
        ["most", "at", ..]
        | ["to", "up", ..]
        | ["maximum", "a" | "the", ..]
        | ["exceed" | "exceeding" | "over" | "above", "not", ..] => (AtMost, 2),
        ["minimum" | "≥", ..] => (AtLeast, 1),
        ["within" | "maximum" | "≤", ..] => (AtMost, 1),
        ["over" | "above" | "exceeding" | "exceeds" | "exceed" | ">" | "beyond" | "past", ..] => (Above, 1),
        ["below" | "under" | "<" | "beneath", ..] => (Below, 1),
        _ => (Exactly, 0),
    };
    (found, if used == 0 { 0 } else { used + of })
}

#[cfg(test)]
mod tests {
    use super::super::reading::read;
    use super::*;
    use crate::text::Analyzer;

    fn of(text: &str) -> Vec<(f64, f64, Comparator, String)> {
        let pieces = read(text, &Analyzer::default());
        quantities(&pieces).into_iter().map(|q| (q.low, q.high, q.comparator, q.dimension)).collect()
    }

    #[test]
    fn units_are_sorted_for_binary_search() {
        assert!(UNITS.is_sorted_by_key(|(name, ..)| name));
    }

    #[test]
    fn equal_quantities_in_other_words_are_equal() {
        for (a, b) in [
            ("1 g", "1000 mg"),
            ("two hours", "120 min"),
            ("5 to 10 mg", "5-10 mg"),
            ("between 5 and 10 mg", "5 mg to 10 mg"),
            ("at least 30 mL/kg", "30 ml per kg or more"),
            ("more than 5 days", "over 5 days"),
            ("≤ 4 h", "no more than four hours"),
            ("50 %", "fifty percent"),
            ("up to 2 years", "within 24 months"),
            ("1,000 units", "1000 units"),
            ("38 °C", "38 degrees Celsius"),
            ("0.5 mg/kg/h", "500 micrograms per kg per hour"),
        ] {
            let (left, right) = (of(a), of(b));
            assert_eq!(left.len(), 1, "{a}: {left:?}");
            assert_eq!(right.len(), 1, "{b}: {right:?}");
            assert!(near(left[0].0, right[0].0) && near(left[0].1, right[0].1), "{a} = {left:?}, {b} = {right:?}");
            assert_eq!((left[0].2, &left[0].3), (right[0].2, &right[0].3), "{a}, {b}");
        }
    }

    #[test]
    fn other_quantities_are_not() {
        for (a, b) in
            [("1 g", "1 mg"), ("at least 5", "at most 5"), ("5 mg", "5 mg/kg"), ("less than 5", "5"), ("1 month", "30 days")]
        {
            assert_ne!(of(a), of(b), "{a}, {b}");
        }
    }
}
