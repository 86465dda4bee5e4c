//! Tables that fit the terminal.

use std::io;

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Row, Table, Width};

use crate::app::escape;

/// The narrowest column of text whose length is not known in advance.
const MIN_TEXT_WIDTH: usize = 8;
/// No text has it, because it would be escaped: cells of lists are not wrapped at words, but cut.
const NO_DELIMITER: char = '\u{1f}';
/// How many characters of a message are shown where no terminal is narrower.
const MAX_MESSAGE: usize = 200;
/// The space between two columns.
const GAP: u16 = 2;

/// A column of a list.
#[derive(Clone, Copy, Debug)]
pub(in crate::app::cli) struct Column {
    heading: &'static str,
    is_text: bool,
    is_optional: bool,
}

impl Column {
    /// A column that is as wide as its widest cell.
    pub(in crate::app::cli) const fn fixed(heading: &'static str) -> Self {
        Self {
            heading,
            is_text: false,
            is_optional: false,
        }
    }

    /// A column that is as wide as its widest cell, and is left out where the terminal is too narrow for the table.
    pub(in crate::app::cli) const fn optional(heading: &'static str) -> Self {
        Self {
            heading,
            is_text: false,
            is_optional: true,
        }
    }

    /// A column whose cells are cut where the terminal is too narrow.
    pub(in crate::app::cli) const fn text(heading: &'static str) -> Self {
        Self {
            heading,
            is_text: true,
            is_optional: false,
        }
    }
}

/// The width to which tables are fitted: `COLUMNS`, or the width of the terminal. A pipe or a file has none.
pub(super) fn terminal_width() -> Option<u16> {
    let columns = std::env::var("COLUMNS").ok();
    let columns = columns.and_then(|columns| columns.parse().ok());
    let columns = columns.filter(|columns| *columns > 0);
    columns.or_else(|| {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(width.0)
    })
}

/// The beginning of a message that may be long. Programs read all of it, in the other formats of the output.
pub(super) fn message(text: &str, width: Option<u16>) -> String {
    let max = width.map_or(MAX_MESSAGE, usize::from);
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let mut beginning: String = text.chars().take(max.saturating_sub(1)).collect();
    beginning.push('…');
    beginning
}

fn empty(width: Option<u16>) -> Table {
    let mut table = Table::new();
    // The preset without lines, and no style of its own.
    table.load_style(comfy_table::presets::NOTHING);
    if let Some(width) = width {
        table.set_width(width);
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn finish(mut table: Table) -> String {
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { GAP }));
    }
    table.trim_fmt()
}

fn cells<'a>(texts: impl IntoIterator<Item = &'a String>) -> Row {
    let cells = texts.into_iter().map(|text| Cell::new(escape::line(text)));
    Row::from(cells.collect::<Vec<_>>())
}

/// A table with one line per row: text that does not fit is cut, and ends with `…`.
pub(super) fn list<'a>(
    columns: &[Column],
    rows: impl Iterator<Item = &'a [String]>,
    width: Option<u16>,
) -> String {
    let rows: Vec<&[String]> = rows.collect();
    let is_narrow = width.is_some_and(|width| natural_width(columns, &rows) > width.into());
    let is_shown = |column: &Column| !(is_narrow && column.is_optional);
    let mut table = empty(width);
    table.set_truncation_indicator("…");
    table.set_delimiter(NO_DELIMITER);
    let shown = columns.iter().filter(|column| is_shown(column));
    table.set_header(shown.clone().map(|column| column.heading));
    for row in rows {
        let shown = row.iter().zip(columns);
        let shown = shown.filter_map(|(cell, column)| is_shown(column).then_some(cell));
        let mut row = cells(shown);
        row.max_height(1);
        table.add_row(row);
    }
    let columns = shown;
    for (column, shape) in table.column_iter_mut().zip(columns) {
        column.set_constraint(match shape.is_text {
            true => {
                let width = shape.heading.len().max(MIN_TEXT_WIDTH);
                let width = u16::try_from(width).unwrap_or(u16::MAX).saturating_add(GAP);
                ColumnConstraint::LowerBoundary(Width::Fixed(width))
            }
            false => ColumnConstraint::ContentWidth,
        });
    }
    finish(table)
}

/// The width of a table in which nothing is cut, in characters.
fn natural_width(columns: &[Column], rows: &[&[String]]) -> usize {
    let widths = columns.iter().enumerate().map(|(index, column)| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let widest = cells.map(|cell| cell.chars().count()).max();
        widest.unwrap_or_default().max(column.heading.len())
    });
    let gaps = columns.len().saturating_sub(1) * usize::from(GAP);
    widths.sum::<usize>() + gaps
}

/// A table whose cells wrap where the terminal is too narrow.
pub(super) fn wrapped<'a>(
    headings: &[&str],
    rows: impl Iterator<Item = &'a [String]>,
    width: Option<u16>,
) -> String {
    let mut table = empty(width);
    table.set_header(headings.iter().copied());
    for row in rows {
        table.add_row(cells(row));
    }
    finish(table)
}

/// Two columns without headings: names, and texts of any number of lines, which wrap where the terminal is too narrow.
pub(super) fn properties(rows: &[[String; 2]], width: Option<u16>) -> String {
    let mut table = empty(width);
    for [name, text] in rows {
        table.add_row([Cell::new(name), Cell::new(escape::lines(text))]);
    }
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    finish(table)
}
