//! HTML to blocks, by way of Markdown: scripts, styles and navigation go, tables keep their cells.

use std::sync::LazyLock;

use domain::documents::pages::{ExtractedDocument, Reason};
use htmd::element_handler::{HandlerResult, Handlers};
use htmd::{Element, HtmlToMarkdown};

use crate::draft::single_page;
use crate::error::{Detail, ExtractError};
use crate::inline::plain;
use crate::limits::Limits;
use crate::markdown::blocks;
use crate::mend::mend_title;

/// Elements whose content is not the document: code, controls, and what surrounds the text on a web page.
const SKIPPED: &[&str] = &[
    "script", "style", "noscript", "template", "nav", "title", "svg", "canvas", "iframe", "object", "button", "select",
    "textarea", "video", "audio",
];
/// Ends a cell, begins a row: separators that survive until the table is written, and that no text has.
const CELL_END: char = '\u{1f}';
const ROW_START: char = '\u{1e}';

static CONVERTER: LazyLock<HtmlToMarkdown> = LazyLock::new(|| {
    HtmlToMarkdown::builder()
        .skip_tags(SKIPPED.to_vec())
        .add_handler(vec!["td", "th"], rewritten(cell))
        .add_handler(vec!["tr"], rewritten(row))
        .add_handler(vec!["thead", "tbody", "tfoot"], rewritten(str::to_owned))
        .add_handler(vec!["table"], rewritten(table))
        .build()
});

/// Handles an element by rewriting what its children became.
fn rewritten(rewrite: fn(&str) -> String) -> impl Fn(&dyn Handlers, Element) -> Option<HandlerResult> + Send + Sync {
    move |handlers, element| Some(rewrite(&handlers.walk_children(element.node).content).into())
}

pub(crate) fn extract(
    html: &str,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    let html = html.replace([CELL_END, ROW_START], "");
    let markdown = CONVERTER.convert(&html).map_err(|_| ExtractError::new(Reason::Malformed, Detail::Parser))?;
    single_page(title(&html), &blocks(&markdown), limits, progress)
}

/// What stands between `<title>` and `</title>`.
fn title(html: &str) -> Option<String> {
    /// The head of a page, as far as a title is looked for.
    const HEAD_BYTES: usize = 64 << 10;
    let mut end = html.len().min(HEAD_BYTES);
    while !html.is_char_boundary(end) {
        end -= 1;
    }
    // Lower case of ASCII only, so that positions stay the same.
    let head = html[..end].to_ascii_lowercase();
    let tag = head.find("<title")?;
    let start = tag + head[tag..].find('>')? + 1;
    let length = head[start..].find("</title")?;
    let title = mend_title(&plain(&html[start..start + length]));
    (!title.is_empty()).then_some(title)
}

fn cell(content: &str) -> String {
    let line = content.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}{CELL_END}", line.replace('|', "\\|"))
}

fn row(content: &str) -> String {
    format!("\n{ROW_START}{}\n", content.replace('\n', " ").trim())
}

/// Rows as a Markdown table whose first row is the header, whether the author marked one or not. What stands between the
/// rows (a caption) comes before them.
fn table(content: &str) -> String {
    let (mut rows, mut caption) = (Vec::new(), String::new());
    for line in content.lines() {
        let (before, cells) = line.split_once(ROW_START).unwrap_or((line, ""));
        caption.push_str(before);
        caption.push('\n');
        let cells = cells.trim().trim_end_matches(CELL_END);
        if cells.is_empty() {
            continue;
        }
        let cells: Vec<&str> = cells.split(CELL_END).map(str::trim).collect();
        let is_header = rows.is_empty();
        rows.push(format!("| {} |", cells.join(" | ")));
        if is_header {
            rows.push(format!("|{}", " --- |".repeat(cells.len())));
        }
    }
    format!("\n\n{}\n\n{}\n\n", caption.trim(), rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::documents::pages::BlockKind;

    fn read(html: &str) -> ExtractedDocument {
        extract(html, &Limits::default(), &mut |_, _| {}).unwrap()
    }

    #[test]
    fn text_stays_and_the_page_around_it_goes() {
        let document = read(
            "<html><head><title>Sepsis &amp; shock</title><style>p{}</style></head><body><nav><a href=x>Home</a></nav>\
             <h1>Sepsis</h1><script>alert(1)</script><p>Give <b>fluids</b> if MAP &lt; 65.</p><ul><li>one<li>two</ul></body></html>",
        );
        assert_eq!(document.title.as_deref(), Some("Sepsis & shock"));
        assert_eq!(document.pages[0].text, "Sepsis\n\nGive fluids if MAP < 65.\n\n• one\n\n• two");
    }

    #[test]
    fn tables_keep_their_cells_with_and_without_a_head() {
        for html in [
            "<table><caption>Doses</caption><thead><tr><th>Drug<th>Dose</thead><tbody><tr><td>A|B<td><p>5</p><p>mg</p></table>",
            "<table><caption>Doses</caption><tr><td>Drug</td><td>Dose</td></tr>\n<tr><td>A|B</td><td>5<br>mg</td></tr></table>",
        ] {
            let page = read(html).pages.remove(0);
            assert_eq!(page.text, "Doses\n\nDrug | Dose\n\nA|B | 5 mg");
            assert_eq!(page.blocks[1].kind, BlockKind::TableRow { header: true });
        }
    }

    #[test]
    fn a_page_without_text_is_empty() {
        let error = extract("<html><script>x</script></html>", &Limits::default(), &mut |_, _| {}).unwrap_err();
        assert_eq!(error.reason, Reason::Empty);
    }
}
