//! Tables of a PDF to rows of cells.

use unpdf::{Table, TableCell, TableRow};

use crate::draft::{Draft, table_rows};
use crate::mend::{LineEnds, mend, mend_cell};

/// The rows of a table, each cell in its column. A merged cell's text stands in the first of its places.
pub(super) fn rows(table: &Table) -> Vec<Draft> {
    let columns = table.cell_columns();
    // One cell in all is a frame around text.
    if let [TableRow { cells, .. }] = table.rows.as_slice()
        && let [cell] = cells.as_slice()
    {
        return cell.content.iter().map(|paragraph| Draft::paragraph(mend(&paragraph.plain_text(), LineEnds::Typeset))).collect();
    }
    let row = |(row, starts): (&TableRow, &Vec<usize>)| {
        let mut cells: Vec<String> = Vec::new();
        for (cell, start) in row.cells.iter().zip(starts) {
            cells.resize(cells.len().max(*start), String::new());
            cells.push(text(cell));
        }
        cells
    };
    table_rows(table.rows.iter().zip(&columns).map(row))
}

fn text(cell: &TableCell) -> String {
    mend_cell(&cell.content.iter().map(unpdf::Paragraph::plain_text).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_in_their_columns_under_a_merged_one() {
        let mut table = Table::new();
        let mut tall = TableCell::text("Adults");
        tall.rowspan = 2;
        table.add_row(TableRow::new(vec![tall, TableCell::text("A"), TableCell::text("5 mg")]));
        table.add_row(TableRow::new(vec![TableCell::text("B"), TableCell::text("7\nmg")]));
        let texts: Vec<_> = rows(&table).into_iter().map(|draft| draft.text).collect();
        assert_eq!(texts, ["Adults | A | 5 mg", "| B | 7 mg"]);
    }

    #[test]
    fn a_single_cell_is_a_frame_around_text() {
        let mut table = Table::new();
        table.add_row(TableRow::new(vec![TableCell::text("Note: take care.")]));
        assert_eq!(rows(&table), [Draft::paragraph("Note: take care.")]);
    }
}
