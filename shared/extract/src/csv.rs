//! Comma separated values to table rows (RFC 4180; commas, semicolons, tabs or bars).

use domain::documents::pages::ExtractedDocument;

use crate::draft::{single_page, table_rows};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::mend::mend_line;

pub(crate) fn extract(
    text: &str,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    let mut records = records(text, separator(text));
    for cell in records.iter_mut().flatten() {
        *cell = mend_line(cell);
    }
    single_page(None, &table_rows(records), limits, progress)
}

/// The separator that the first line has most of, outside quotes.
fn separator(text: &str) -> char {
    let mut is_quoted = false;
    let mut counts = [(',', 0), (';', 0), ('\t', 0), ('|', 0)];
    for character in text.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            '\n' if !is_quoted => break,
            _ if is_quoted => {}
            _ => counts.iter_mut().filter(|(candidate, _)| *candidate == character).for_each(|(_, count)| *count += 1),
        }
    }
    // The first of equals: a comma, unless another one is there more often.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(',', |(candidate, _)| *candidate)
}

fn records(text: &str, separator: char) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            _ if character == separator && !is_quoted => record.push(std::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::documents::pages::BlockKind;

    #[test]
    fn rows_keep_quoted_separators_and_line_ends() {
        let text = "drug;dose\r\n\"a; b\";\"5 \"\"mg\"\"\nnightly\"\r\n\r\nc;";
        let page = extract(text, &Limits::default(), &mut |_, _| {}).unwrap().pages.remove(0);
        assert_eq!(page.text, "drug | dose\n\na; b | 5 \"mg\" nightly\n\nc |");
        let headers: Vec<_> = page.blocks.iter().map(|block| block.kind == BlockKind::TableRow { header: true }).collect();
        assert_eq!(headers, [true, false, false]);
    }

    #[test]
    fn the_separator_is_the_one_the_header_uses() {
        assert_eq!(separator("a,b;c,d\n"), ',');
        assert_eq!(separator("a\tb\n1,2,3"), '\t');
        assert_eq!(separator("\"a,b\";c"), ';');
        assert_eq!(separator("single"), ',');
    }
}
