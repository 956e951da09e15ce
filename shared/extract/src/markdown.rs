//! Markdown to blocks: headings, lists, tables, paragraphs; code stays as its lines.

use std::iter::Peekable;
use std::str::Lines;

use domain::documents::pages::ExtractedDocument;

use crate::draft::{Draft, single_page, table_rows};
use crate::error::ExtractError;
use crate::inline::plain;
use crate::limits::Limits;
use crate::mend::{LineEnds, mend, mend_line, mend_title};

pub(crate) fn extract(
    text: &str,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    let (title, body) = front_matter(text);
    single_page(title, &blocks(body), limits, progress)
}

/// The blocks of a Markdown text.
pub(crate) fn blocks(text: &str) -> Vec<Draft> {
    let mut reader = Reader { drafts: Vec::new(), open: Vec::new(), open_is_item: false };
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        reader.read(line, &mut lines);
    }
    reader.close();
    reader.drafts
}

/// The title that a YAML front matter names, and the text after it.
fn front_matter(text: &str) -> (Option<String>, &str) {
    let split = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")).and_then(|rest| {
        let end = rest.find("\n---")?;
        let body = rest[end + 4..].split_once('\n').map_or("", |(_, body)| body);
        Some((&rest[..end], body))
    });
    let Some((matter, body)) = split.filter(|(matter, _)| matter.lines().all(|line| line.is_empty() || is_yaml(line))) else {
        return (None, text);
    };
    let title = matter.lines().find_map(|line| line.strip_prefix("title:"));
    let title = title.map(|title| mend_title(title.trim().trim_matches(['"', '\''])));
    (title.filter(|title| !title.is_empty()), body)
}

fn is_yaml(line: &str) -> bool {
    line.starts_with([' ', '-', '#']) || line.split_once(':').is_some_and(|(key, _)| !key.contains(' '))
}

struct Reader {
    drafts: Vec<Draft>,
    /// The lines of the paragraph or list item that is being read.
    open: Vec<String>,
    open_is_item: bool,
}

impl Reader {
    fn read<'a>(&mut self, line: &'a str, lines: &mut Peekable<Lines<'a>>) {
        let line = unquoted(line);
        let trimmed = line.trim();
        if trimmed.is_empty() {
            self.close();
        } else if let Some(fence) = fence(trimmed) {
            self.close();
            self.code(fence, lines);
        } else if trimmed.starts_with("<!--") {
            self.close();
            skip_comment(trimmed, lines);
        } else if let Some((level, text)) = heading(trimmed) {
            self.close();
            self.push(Draft::heading(level, mend_line(&plain(text))));
        } else if let Some(level) = underline(trimmed).filter(|_| !self.open.is_empty() && !self.open_is_item) {
            let text = mend_line(&plain(&self.open.join(" ")));
            self.open.clear();
            self.push(Draft::heading(level, text));
        } else if is_rule(trimmed) {
            self.close();
        } else if is_row(trimmed) && lines.peek().is_some_and(|next| is_separator(unquoted(next).trim())) {
            self.close();
            self.table(trimmed, lines);
        } else if let Some(text) = list_item(trimmed) {
            self.close();
            self.open_is_item = true;
            self.open.push(text);
        } else {
            self.open.push(trimmed.to_owned());
        }
    }

    fn close(&mut self) {
        let is_item = std::mem::take(&mut self.open_is_item);
        if self.open.is_empty() {
            return;
        }
        let text = mend_line(&plain(&std::mem::take(&mut self.open).join("\n")));
        self.push(if is_item { Draft::list_item(text) } else { Draft::paragraph(text) });
    }

    fn code(&mut self, fence: &str, lines: &mut Peekable<Lines<'_>>) {
        let code: Vec<&str> = lines.by_ref().take_while(|line| !is_fence_end(line.trim(), fence)).collect();
        self.push(Draft::paragraph(mend(&code.join("\n"), LineEnds::Written)));
    }

    fn table(&mut self, header: &str, lines: &mut Peekable<Lines<'_>>) {
        lines.next();
        let mut rows = vec![cells(header)];
        while let Some(line) = lines.next_if(|line| is_row(unquoted(line).trim())) {
            rows.push(cells(unquoted(line).trim()));
        }
        self.drafts.extend(table_rows(rows));
    }

    fn push(&mut self, draft: Draft) {
        if !draft.text.is_empty() {
            self.drafts.push(draft);
        }
    }
}

/// The line without the marks of a quotation.
fn unquoted(line: &str) -> &str {
    let mut line = line;
    while let Some(rest) = line.trim_start().strip_prefix("> ").or_else(|| line.trim().eq(">").then_some("")) {
        line = rest;
    }
    line
}

fn fence(line: &str) -> Option<&str> {
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = line.chars().take_while(|character| *character == mark).count();
    (length >= 3 && !line[length..].contains(mark)).then(|| &line[..length])
}

fn is_fence_end(line: &str, fence: &str) -> bool {
    line.starts_with(fence) && line.trim_start_matches(&fence[..1]).is_empty()
}

fn skip_comment(line: &str, lines: &mut Peekable<Lines<'_>>) {
    let mut line = line;
    while !line.contains("-->") {
        match lines.next() {
            Some(next) => line = next,
            None => return,
        }
    }
}

/// `## Title ##`. Needs the space, so that `#hashtag` is text.
fn heading(line: &str) -> Option<(u8, &str)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let text = line[level..].strip_prefix([' ', '\t'])?.trim();
    let closed = text.trim_end_matches('#');
    let text = if closed.is_empty() || closed.ends_with(' ') { closed.trim_end() } else { text };
    ((1..=6).contains(&level)).then_some((level as u8, text))
}

/// The line under a title: `===` for level 1, `---` for level 2.
fn underline(line: &str) -> Option<u8> {
    let is_all = |mark: u8| line.bytes().all(|byte| byte == mark);
    if is_all(b'=') {
        Some(1)
    } else if line.len() >= 2 && is_all(b'-') {
        Some(2)
    } else {
        None
    }
}

fn is_rule(line: &str) -> bool {
    let mut marks = line.chars().filter(|character| !character.is_whitespace());
    let Some(first) = marks.next().filter(|mark| matches!(mark, '-' | '*' | '_')) else {
        return false;
    };
    line.matches(first).count() >= 3 && marks.all(|mark| mark == first)
}

/// The item's text with its marker; every bullet becomes the same.
pub(crate) fn list_item(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix(['-', '*', '+', '•', '–', '▪', '◦', '‣', '●']) {
        let text = rest.strip_prefix([' ', '\t'])?.trim_start();
        let text = text.strip_prefix("[ ] ").or_else(|| text.strip_prefix("[x] ")).unwrap_or(text);
        return (!text.is_empty()).then(|| format!("• {text}"));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    // Three digits at most: `1990. ` begins a sentence that ends in a year.
    if !(1..=3).contains(&digits) {
        return None;
    }
    let text = line[digits..].strip_prefix(['.', ')'])?.strip_prefix([' ', '\t'])?;
    (!text.trim().is_empty()).then(|| format!("{} {}", &line[..=digits], text.trim_start()))
}

fn is_row(line: &str) -> bool {
    line.contains('|')
}

fn is_separator(line: &str) -> bool {
    line.contains('-') && line.contains('|') && line.chars().all(|character| matches!(character, '|' | '-' | ':' | ' ' | '\t'))
}

/// The cells of a row, at the bars that are not escaped.
fn cells(line: &str) -> Vec<String> {
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').filter(|line| !line.ends_with('\\')).unwrap_or(line);
    let mut cells = vec![String::new()];
    let mut is_escaped = false;
    for character in line.chars() {
        let cell = cells.last_mut().expect("there is always a cell");
        if character == '|' && !is_escaped {
            cells.push(String::new());
        } else {
            cell.push(character);
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    cells.iter().map(|cell| mend_line(&plain(cell.trim()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(header: bool, text: &str) -> Draft {
        Draft::row(header, text)
    }

    #[test]
    fn every_block_is_found() {
        let text = "# Asthma #\n\nFirst line\nsecond *line*.\n\n- one\n  more\n- [x] two\n1. first\n\nSub\n---\n> quoted\n\n***\n```rust\nlet x = 1;\n\n```\n";
        let expected = [
            Draft::heading(1, "Asthma"),
            Draft::paragraph("First line second line."),
            Draft::list_item("• one more"),
            Draft::list_item("• two"),
            Draft::list_item("1. first"),
            Draft::heading(2, "Sub"),
            Draft::paragraph("quoted"),
            Draft::paragraph("let x = 1;"),
        ];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn a_table_becomes_rows() {
        let text = "| Drug | Dose |\n|---|:-:|\n| **A**\\|B | 5 mg |\n|  | 7 |\ntext";
        assert_eq!(
            blocks(text),
            [row(true, "Drug | Dose"), row(false, "A|B | 5 mg"), row(false, "| 7"), Draft::paragraph("text")]
        );
    }

    #[test]
    fn front_matter_names_the_title() {
        assert_eq!(front_matter("---\ntitle: \"Sepsis\"\ntags: [a]\n---\nBody"), (Some("Sepsis".into()), "Body"));
        assert_eq!(front_matter("---\nJust a rule above.\n---\n"), (None, "---\nJust a rule above.\n---\n"));
    }

    #[test]
    fn what_only_looks_like_a_mark_is_text() {
        assert_eq!(blocks("#hashtag\n"), [Draft::paragraph("#hashtag")]);
        assert_eq!(blocks("1990. A year"), [Draft::paragraph("1990. A year")]);
        assert_eq!(blocks("a | b"), [Draft::paragraph("a | b")]);
        assert_eq!(blocks("<!-- hidden\nstill -->\nshown"), [Draft::paragraph("shown")]);
    }
}
