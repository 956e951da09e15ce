//! Pages as JSON and as Markdown.

use domain::documents::pages::{BlockKind, Page, TextSource};
use domain::text::byte_range;
use serde_json::{Value, json};

/// `{"page", "text"}`, `"blocks"` if wanted, `"needs_ocr"` for an image without text, `"ocr"` and `"confidence"` for a recognised page.
pub fn page_json(page: &Page, with_blocks: bool) -> Value {
    let mut value = json!({"page": page.number, "text": page.text});
    match page.source {
        TextSource::File => {}
        TextSource::Image => value["needs_ocr"] = json!(true),
        TextSource::Ocr { confidence } => {
            value["ocr"] = json!(true);
            value["confidence"] = json!(confidence);
        }
    }
    if with_blocks {
        value["blocks"] = json!(page.blocks);
    }
    value
}

/// The page's blocks as Markdown, after a comment that tells the page.
pub fn markdown(page: &Page) -> String {
    let mut text = format!("<!-- page {} -->", page.number);
    let mut before: Option<BlockKind> = None;
    let widths = table_widths(page);
    for (block, columns) in page.blocks.iter().zip(widths) {
        let content = byte_range(&page.text, &(block.start..block.end)).map_or("", |bytes| &page.text[bytes]);
        let goes_on = match (before, block.kind) {
            (Some(BlockKind::ListItem), BlockKind::ListItem) => true,
            (Some(BlockKind::TableRow { .. }), BlockKind::TableRow { header }) => !header,
            _ => false,
        };
        text.push_str(if goes_on { "\n" } else { "\n\n" });
        match block.kind {
            BlockKind::Heading { level } => {
                text.push_str(&"#".repeat(level.clamp(1, 6).into()));
                text.push(' ');
                text.push_str(&content.replace('\n', " "));
            }
            BlockKind::Paragraph | BlockKind::Caption => text.push_str(content),
            BlockKind::ListItem => text.push_str(&list_item(content)),
            BlockKind::TableRow { header } => {
                let row = content.replace('\n', " ");
                text.extend(["| ", row.as_str(), " |"]);
                // A row's empty cells at the end are not in its text.
                text.push_str(&"  |".repeat(columns.saturating_sub(cell_count(content))));
                if header {
                    text.push_str("\n|");
                    text.push_str(&" --- |".repeat(columns));
                }
            }
        }
        before = Some(block.kind);
    }
    text
}

/// For each block the columns of the table that it is a row of: the most that any of its rows has.
fn table_widths(page: &Page) -> Vec<usize> {
    let mut widths = vec![0; page.blocks.len()];
    let mut start = 0;
    for (at, block) in page.blocks.iter().enumerate() {
        let BlockKind::TableRow { header } = block.kind else {
            start = at + 1;
            continue;
        };
        if header {
            start = at;
        }
        let cells = byte_range(&page.text, &(block.start..block.end)).map_or(0, |bytes| cell_count(&page.text[bytes]));
        let width = cells.max(if at > start { widths[start] } else { 0 });
        widths[start..=at].fill(width);
    }
    widths
}

fn cell_count(row: &str) -> usize {
    row.matches(" | ").count() + usize::from(row.starts_with("| ")) + usize::from(row.ends_with(" |")) + 1
}

/// An item with a marker that Markdown knows; numbers stay.
fn list_item(content: &str) -> String {
    let is_numbered = content
        .split_once(['.', ')'])
        .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    if is_numbered || content.starts_with("- ") || content.starts_with("* ") {
        return content.to_owned();
    }
    format!("- {}", content.trim_start_matches(['•', '◦', '▪', '–', '·', '-', '*']).trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::documents::pages::Block;

    fn page(blocks: &[(BlockKind, &str)]) -> Page {
        let mut text = String::new();
        let mut placed = Vec::new();
        for (kind, content) in blocks {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            let start = text.chars().count();
            text.push_str(content);
            placed.push(Block::new(*kind, start, text.chars().count()));
        }
        Page { text, blocks: placed, ..Page::empty(3) }
    }

    #[test]
    fn blocks_become_markdown() {
        let page = page(&[
            (BlockKind::Heading { level: 2 }, "Dosis für\nKinder"),
            (BlockKind::Paragraph, "Über 5 kg:"),
            (BlockKind::ListItem, "• first"),
            (BlockKind::ListItem, "2. second"),
            (BlockKind::TableRow { header: true }, "Drug | Dose"),
            (BlockKind::TableRow { header: false }, "X | 5 mg"),
            (BlockKind::TableRow { header: false }, "Y"),
        ]);
        assert_eq!(
            markdown(&page),
            "<!-- page 3 -->\n\n## Dosis für Kinder\n\nÜber 5 kg:\n\n\
             - first\n2. second\n\n| Drug | Dose |\n| --- | --- |\n| X | 5 mg |\n| Y |  |"
        );
    }

    #[test]
    fn a_line_has_page_and_text_and_blocks_only_if_wanted() {
        let page = page(&[(BlockKind::Heading { level: 1 }, "T")]);
        assert_eq!(page_json(&page, false).to_string(), r#"{"page":3,"text":"T"}"#);
        let page = Page { source: TextSource::Image, ..page };
        assert_eq!(page_json(&page, false)["needs_ocr"], true);
        assert_eq!(page_json(&page, true)["blocks"][0]["kind"]["heading"]["level"], 1);
    }
}
