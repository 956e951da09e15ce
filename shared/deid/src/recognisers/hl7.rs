//! HL7 version 2 segments: the field's number says what is in it.

use super::{CERTAIN, Finds};
use crate::label::Label;
use std::ops::Range;

/// What the fields of a segment hold, by number.
const FIELDS: &[(&str, &[(usize, Label)])] = &[
    (
        "PID",
        &[
            (2, Label::Mrn),
            (3, Label::Mrn),
            (4, Label::Mrn),
            (5, Label::Name),
            (6, Label::Name),
            (7, Label::Date),
            (9, Label::Name),
            (11, Label::Location),
            (13, Label::Phone),
            (14, Label::Phone),
            (18, Label::Account),
            (19, Label::Ssn),
            (20, Label::License),
            (29, Label::Date),
        ],
    ),
    ("NK1", &[(2, Label::Name), (4, Label::Location), (5, Label::Phone), (6, Label::Phone), (16, Label::Date)]),
    (
        "PV1",
        &[
            (7, Label::Name),
            (8, Label::Name),
            (9, Label::Name),
            (17, Label::Name),
            (19, Label::OtherId),
            (44, Label::Date),
            (45, Label::Date),
        ],
    ),
    ("OBR", &[(2, Label::OtherId), (3, Label::OtherId), (7, Label::Date), (16, Label::Name)]),
    ("ORC", &[(2, Label::OtherId), (3, Label::OtherId), (9, Label::Date), (12, Label::Name)]),
    (
        "IN1",
        &[
            (12, Label::Date),
            (13, Label::Date),
            (16, Label::Name),
            (18, Label::Date),
            (19, Label::Location),
            (36, Label::HealthPlan),
            (49, Label::HealthPlan),
        ],
    ),
    ("GT1", &[(3, Label::Name), (5, Label::Location), (6, Label::Phone), (7, Label::Phone), (8, Label::Date), (12, Label::Ssn)]),
    ("EVN", &[(2, Label::Date)]),
    ("MSH", &[(6, Label::Date)]),
    ("DG1", &[(5, Label::Date)]),
];

/// A segment is read so far: of a text of nothing but segments' names without line breaks each must not be read to the end.
const SEGMENT_CHARACTERS_MAX: usize = 4_000;

/// Finds the filled fields of every segment.
pub fn find(text: &str, finds: &mut Finds) {
    for (segment, fields) in FIELDS {
        let key = format!("{segment}|");
        for (start, _) in text.match_indices(&key) {
            if text[..start].ends_with(|c: char| c.is_alphanumeric()) {
                continue;
            }
            let line = &text[start..];
            let line = &line[..line.char_indices().nth(SEGMENT_CHARACTERS_MAX).map_or(line.len(), |(at, _)| at)];
            let line = line.split(['\n', '\r']).next().unwrap_or_default();
            let mut at = start;
            for (number, field) in line.split('|').enumerate() {
                if let Some((_, label)) = fields.iter().find(|(wanted, _)| *wanted == number) {
                    add(field, at, *label, finds);
                }
                at += field.len() + 1;
            }
        }
    }
}

/// Components of one field: all of a name and an address, the first of the others.
fn add(field: &str, start: usize, label: Label, finds: &mut Finds) {
    let mut at = start;
    let names_first =
        label == Label::Name && field.split('^').next().is_some_and(|id| id.bytes().any(|byte| byte.is_ascii_digit()));
    for (number, component) in field.split('^').enumerate() {
        let range: Range<usize> = at..at + component.len();
        at += component.len() + 1;
        let is_state = label == Label::Location && component.len() == 2;
        let is_country = label == Label::Location && number > 4;
        let wanted = match label {
            Label::Name => {
                number < 4
                    && component.chars().filter(|c| c.is_alphabetic()).count() > 1
                    && !(names_first && number == 0)
                    && !matches!(component, "MD" | "DR" | "JR" | "SR" | "II" | "III")
            }
            Label::Location => !is_state && !is_country && component.len() > 1,
            _ => number == 0 && component.len() > 3,
        };
        if wanted && component.chars().any(char::is_alphanumeric) {
            finds.add(range, label, CERTAIN + 4);
        }
    }
}
