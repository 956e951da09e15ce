//! How quoted pieces are put together so that they read well: a table row under its header, a list item under its stem. One
//! function makes the text and the support check makes it again from the citations, so nothing else passes as a quote.

/// What lists are marked with.
const BULLETS: &str = "•◦▪‣–-*";
/// What separates the cells of a table row.
const CELLS: &str = " | ";

/// Without its bullet or number and with single spaces. The citation still quotes the page to the letter.
pub(super) fn readable(text: &str) -> String {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || BULLETS.contains(c));
    let text = unlabelled(text).unwrap_or(text);
    unnumbered(text).unwrap_or(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What follows "[Grade C] ", which closes the sentence before.
fn unlabelled(text: &str) -> Option<&str> {
    let (label, rest) = text.strip_prefix(['[', '('])?.split_once([']', ')'])?;
    let rest = rest.trim_start();
    (label.split_whitespace().count() <= 2 && rest.starts_with(char::is_uppercase)).then_some(rest)
}

/// What follows "7. ", "7) ", "b. " or "R12. ", if a sentence does.
fn unnumbered(text: &str) -> Option<&str> {
    let (marker, rest) = text.split_once(' ')?;
    let number = marker.strip_suffix(['.', ')'])?;
    let is_number = (1..=3).contains(&number.len()) && number.chars().all(|c| c.is_ascii_alphanumeric());
    let has_digit = number.len() == 1 || number.bytes().any(|b| b.is_ascii_digit());
    (is_number && has_digit && rest.starts_with(char::is_uppercase)).then_some(rest)
}

/// Whether a line is an item of a list: it has a bullet or a number.
pub(super) fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(|c: char| BULLETS.contains(c)) || unnumbered(line).is_some()
}

/// Whether a line is a row of a table.
pub(super) fn is_row(line: &str) -> bool {
    line.contains(CELLS)
}

/// How many cells a row has.
pub(super) fn count_cells(row: &str) -> usize {
    row.matches(CELLS).count() + 1
}

/// What pieces say together: a row, a row under its header, an item under its list's stem. `None` if they do not belong
/// together.
pub(super) fn joined(pieces: &[&str]) -> Option<String> {
    match pieces {
        [row] if is_row(row) => Some(cells(row)),
        [header, row] if is_row(header) && is_row(row) => row_under(header, row),
        [stem, item] if stem.trim_end().ends_with(':') => Some(format!("{} {}", readable(stem), readable(item))),
        _ => None,
    }
}

/// A row without its header: its first cell names it.
fn cells(row: &str) -> String {
    let row = readable(row);
    // The trailing blank of an empty last cell is gone already.
    let mut cells = row.split('|').map(str::trim).filter(|cell| !cell.is_empty());
    format!("{}: {}", cells.next().unwrap_or(""), cells.collect::<Vec<_>>().join("; "))
}

/// "Area | Times | Visitors" over "Wards | 10:00 to 20:00 | 2" reads "Wards: times 10:00 to 20:00; visitors 2"; `None` if
/// the cells do not match.
fn row_under(header: &str, row: &str) -> Option<String> {
    let (header, row) = (readable(header), readable(row));
    let (heads, values): (Vec<&str>, Vec<&str>) = (header.split(CELLS).collect(), row.split(CELLS).collect());
    if heads.len() != values.len() || heads.len() < 3 {
        return None;
    }
    let pairs = heads.iter().zip(&values).skip(1).filter(|(_, value)| !value.trim().is_empty());
    let parts: Vec<String> = pairs
        .map(|(head, value)| match head.trim() {
            "" => value.trim().to_owned(),
            head => format!("{head}: {}", value.trim()),
        })
        .collect();
    (!parts.is_empty()).then(|| format!("{} – {}", values[0].trim(), parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_go_and_figures_stay() {
        for (text, expected) in [
            ("• Give 5 mg.", "Give 5 mg."),
            ("7. Warm the\npatient.", "Warm the patient."),
            ("R12. Noradrenaline first.", "Noradrenaline first."),
            ("[Grade C] Offer it.", "Offer it."),
            ("5 mg is given.", "5 mg is given."),
            ("10. mg", "10. mg"),
            ("Not. Here", "Not. Here"),
        ] {
            assert_eq!(readable(text), expected);
        }
    }

    #[test]
    fn rows_and_items_read_as_sentences() {
        assert_eq!(joined(&["Monitoring | Arterial line | "]), Some("Monitoring: Arterial line".into()));
        let header = "Severity | Drug | Dose";
        assert_eq!(joined(&[header, "Severe | Ceftriaxone | 2 g"]), Some("Severe – Drug: Ceftriaxone; Dose: 2 g".into()));
        assert_eq!(joined(&[header, "Severe | Ceftriaxone"]), None);
        assert_eq!(joined(&["Never give it in:", "• renal failure"]), Some("Never give it in: renal failure".into()));
        assert_eq!(joined(&["Never give it.", "• renal failure"]), None);
    }
}
