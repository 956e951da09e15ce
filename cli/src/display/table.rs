//! Columns that stand below each other. One of them gives way where the terminal is narrow.

use super::Paint;
use super::text::cut;
use console::measure_text_width;

/// Columns are this far apart.
const GAP: usize = 2;
/// The one that gives way keeps this much.
const COLUMNS_MIN: usize = 12;

/// How a column stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
    /// Words that may be cut.
    Gives,
}

/// The lines of a table. Cells may be painted.
pub fn render(head: &[(&str, Side)], rows: &[Vec<String>], columns: Option<usize>, paint: Paint) -> Vec<String> {
    let width_of = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| measure_text_width(cell)).max().unwrap_or(0);
    let mut widths: Vec<usize> = head.iter().enumerate().map(|(at, (name, _))| name.len().max(width_of(at))).collect();
    if let (Some(columns), Some(gives)) = (columns, head.iter().position(|(_, side)| *side == Side::Gives)) {
        let over = (widths.iter().sum::<usize>() + GAP * (widths.len() - 1)).saturating_sub(columns);
        widths[gives] = widths[gives].saturating_sub(over).max(COLUMNS_MIN.min(widths[gives]));
    }
    let line = |cells: &[String]| {
        let mut line = String::new();
        for ((cell, width), (_, side)) in cells.iter().zip(&widths).zip(head) {
            let cell = cut(cell, *width);
            let space = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
            let gap = if line.is_empty() { "" } else { "  " };
            line.extend(if *side == Side::Right { [gap, &space, &cell] } else { [gap, &cell, &space] });
        }
        line.trim_end().to_owned()
    };
    let names: Vec<String> = head.iter().map(|(name, _)| (*name).to_owned()).collect();
    std::iter::once(paint.faint(&line(&names))).chain(rows.iter().map(|row| line(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_table_cuts_the_column_that_gives_way() {
        let head = [("ID", Side::Left), ("TITLE", Side::Gives), ("PAGES", Side::Right)];
        let rows = [
            vec!["doc_1".to_owned(), "Sepsis: recognition and first-hour care".into(), "4".into()],
            vec!["doc_22".into(), "Kürzel".into(), "120".into()],
        ];
        assert_eq!(
            render(&head, &rows, Some(36), Paint::OFF),
            [
                "ID      TITLE                  PAGES",
                "doc_1   Sepsis: recognition …      4",
                "doc_22  Kürzel                   120"
            ]
        );
        assert_eq!(render(&head, &rows[..1], None, Paint::OFF)[1], "doc_1  Sepsis: recognition and first-hour care      4");
        assert_eq!(render(&head, &[], Some(10), Paint::OFF), ["ID  TITLE  PAGES"]);
    }
}
