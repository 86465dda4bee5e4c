//! A table on the screen: the columns for which there is room, and the page of rows with the cursor.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::text::{Theme, cut, fit, width};
use crate::app::cli::top::table::{Column, Row, Sort, Table, TableView, Tone};

/// The space between two columns.
const GAP: usize = 1;

/// A column of the screen: its position in the table, and its width.
type Place = (usize, usize);

/// The lines of a table in an area: its headings, and one for each row.
pub(super) fn lines(
    table: &Table,
    view: &TableView,
    area: Rect,
    theme: Theme,
) -> Vec<Line<'static>> {
    let (wide, high) = (usize::from(area.width), usize::from(area.height));
    let places = places(table, wide);
    let mut lines = vec![headings(table.columns, &places, view.sort, theme)];
    if table.rows.is_empty() {
        let text = match view.filter.is_empty() {
            true => table.if_empty.clone(),
            false => format!("no row has `{}`", view.filter),
        };
        lines.push(Line::styled(cut(&text, wide), theme.of(Tone::Quiet)));
        return lines;
    }
    let room = high.saturating_sub(1).max(1);
    let cursor = view.position(&table.rows);
    // Whole pages: the cursor moves, not the rows.
    let first = cursor / room * room;
    let page = table.rows.iter().enumerate().skip(first).take(room);
    lines.extend(page.map(|(index, row)| {
        let line = cells(row, table.columns, &places, theme);
        match index == cursor {
            true => line.patch_style(Modifier::REVERSED),
            false => line,
        }
    }));
    lines
}

/// How many rows there are, and which are shown, or what is left out.
pub(super) fn count_text(table: &Table, view: &TableView) -> String {
    let cursor = match table.rows.len() {
        0 => "0".to_owned(),
        rows => format!("{}/{rows}", view.position(&table.rows) + 1),
    };
    match &table.left_out {
        Some(left_out) => format!("{cursor}  {left_out}"),
        None => cursor,
    }
}

/// The columns for which there is room. Those with the highest ranks are left out first.
fn places(table: &Table, wide: usize) -> Vec<Place> {
    let columns = || table.columns.iter().enumerate();
    let ranks = table.columns.iter().map(|column| column.rank);
    let mut rank = ranks.max().unwrap_or_default();
    let total = |rank: u8| -> usize {
        let shown = columns().filter(|(_, column)| column.rank <= rank);
        shown
            .map(|(_, column)| usize::from(column.width) + GAP)
            .sum()
    };
    while rank > 0 && total(rank) > wide + GAP {
        rank -= 1;
    }
    let spare = (wide + GAP).saturating_sub(total(rank));
    let shown = columns().filter(|(_, column)| column.rank <= rank);
    shown
        .map(|(index, column)| {
            let least = usize::from(column.width);
            let wanted = match column.grows {
                true => table.rows.iter().filter_map(|row| row.cells.get(index)),
                false => return (index, least),
            };
            let wanted = wanted.map(|cell| width(&cell.text)).max();
            let wanted = wanted.unwrap_or_default().max(least);
            (index, wanted.min(least + spare))
        })
        .collect()
}

fn headings(columns: &[Column], places: &[Place], sort: Sort, theme: Theme) -> Line<'static> {
    let style = theme.of(Tone::Quiet);
    let headings = places.iter().filter_map(|(index, width)| {
        let column = columns.get(*index)?;
        let is_sorted = *index == sort.column;
        let style = match is_sorted {
            true => theme
                .of(Tone::Plain)
                .add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            false => style,
        };
        let heading = fit(column.title, *width, column.is_number);
        Some([Span::styled(heading, style), Span::raw(" ".repeat(GAP))])
    });
    headings.flatten().collect()
}

fn cells(row: &Row, columns: &[Column], places: &[Place], theme: Theme) -> Line<'static> {
    let cells = places.iter().filter_map(|(index, width)| {
        let (cell, column) = (row.cells.get(*index)?, columns.get(*index)?);
        let text = fit(&cell.text, *width, column.is_number);
        Some([
            Span::styled(text, theme.of(cell.tone)),
            Span::raw(" ".repeat(GAP)),
        ])
    });
    cells.flatten().collect()
}
