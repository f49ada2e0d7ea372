//! Tables of text on standard output: columns in line, cells escaped, no colours, no rules.

use std::io::{self, Write};

use message::escape::escape;
use unicode_width::UnicodeWidthStr;

/// No cell is drawn wider; a subject can be as long as it likes.
const MAX_CELL: usize = 100;

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows that are known before the first is written. For rows without end see [`line`].
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| fit(&cell)).collect());
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the headings and all rows.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let mut widths: Vec<usize> = headings.iter().map(|heading| heading.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let columns: Vec<(usize, Align)> =
            widths.into_iter().zip(self.columns.iter().map(|&(_, align)| align)).collect();
        write_line(out, &columns, &headings)?;
        self.rows.iter().try_for_each(|row| write_line(out, &columns, row))
    }
}

/// Writes one row of a table whose widths are fixed beforehand.
///
/// # Errors
/// When `out` cannot be written to.
pub(crate) fn line(out: &mut impl Write, columns: &[(usize, Align)], cells: &[&str]) -> io::Result<()> {
    let cells: Vec<String> = cells.iter().map(|cell| fit(cell)).collect();
    write_line(out, columns, &cells)
}

fn write_line(out: &mut impl Write, columns: &[(usize, Align)], cells: &[String]) -> io::Result<()> {
    let mut line = String::new();
    for (&(width, align), cell) in columns.iter().zip(cells) {
        let blanks = " ".repeat(width.saturating_sub(cell.width()));
        if !line.is_empty() {
            line.push_str("  ");
        }
        match align {
            Align::Left => line.extend([cell.as_str(), &blanks]),
            Align::Right => line.extend([blanks.as_str(), cell]),
        }
    }
    writeln!(out, "{}", line.trim_end())
}

/// Escapes a cell and cuts it to what a line can bear.
fn fit(cell: &str) -> String {
    let shown = escape(cell);
    if shown.width() <= MAX_CELL {
        return shown.into_owned();
    }
    let mut cut = String::new();
    for character in shown.chars() {
        if cut.width() + 2 > MAX_CELL {
            break;
        }
        cut.push(character);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    fn text(table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_stand_in_line_also_with_wide_letters() {
        let mut table = Table::new(&[("folder", Align::Left), ("messages", Align::Right)]);
        table.row(["INBOX".into(), "11 424".into()]);
        table.row(["台北".into(), "7".into()]);
        assert_eq!(text(&table), "folder  messages\nINBOX     11 424\n台北           7\n");
    }

    #[test]
    fn a_line_of_an_endless_table_is_escaped_too() {
        let mut out = Vec::new();
        let columns = [(4, Align::Right), (0, Align::Left)];
        line(&mut out, &columns, &["7", "\u{1b}[31m\r\nforged\u{202e}"]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "   7  \\u{1b}[31m\\r\\nforged\\u{202e}\n");
    }

    #[test]
    fn a_cell_cannot_break_out_of_its_line() {
        let mut table = Table::new(&[("subject", Align::Left)]);
        table.row(["a\r\nb\u{1b}]0;x\u{7}\u{202e}c".into()]);
        table.row(["x".repeat(5_000)]);
        let text = text(&table);
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.width() <= MAX_CELL));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
    }
}
