//! A table of `top` without a screen: its columns and rows, in which order, and which are shown.

use std::cmp::Ordering;

/// The color of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Quiet,
    Good,
    Warning,
    Bad,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Its width; of the one that takes what is left, its smallest.
    pub(super) width: u16,
    /// Whether it takes what is left.
    pub(super) grows: bool,
    /// Whether it has numbers, which are aligned at their ends.
    pub(super) is_number: bool,
    /// Where the screen is too narrow, columns with higher ranks are left out first. Those with 0 stay.
    pub(super) rank: u8,
}

impl Column {
    pub(super) const fn number(title: &'static str, width: u16, rank: u8) -> Self {
        Self {
            title,
            width,
            grows: false,
            is_number: true,
            rank,
        }
    }

    pub(super) const fn text(title: &'static str, width: u16, rank: u8) -> Self {
        Self {
            title,
            width,
            grows: false,
            is_number: false,
            rank,
        }
    }

    pub(super) const fn growing(title: &'static str, width: u16) -> Self {
        Self {
            title,
            width,
            grows: true,
            is_number: false,
            rank: 0,
        }
    }
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// What it is sorted by; `None` for one that is sorted by its text.
    pub(super) number: Option<f64>,
    pub(super) tone: Tone,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A number with its text.
    pub(super) fn number(text: impl Into<String>, number: f64) -> Self {
        Self {
            text: text.into(),
            number: Some(number),
            ..Self::default()
        }
    }

    /// A count. Zero is quiet.
    pub(super) fn count(count: u64) -> Self {
        let cell = Self::number(count.to_string(), count as f64);
        match count {
            0 => cell.tone(Tone::Quiet),
            _ => cell,
        }
    }

    pub(super) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self.number, other.number) {
            (Some(one), Some(other)) => one.total_cmp(&other),
            // What is not known is less than any number.
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (None, None) => self.text.cmp(&other.text),
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// What it is about: a name, or a CID. It stays selected wherever it moves.
    pub(super) key: String,
    pub(super) cells: Vec<Cell>,
}

/// A table with all its rows.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Row>,
    /// What is shown where there are none.
    pub(super) if_empty: String,
    /// What the node has and the table has not.
    pub(super) left_out: Option<String>,
}

/// In which order a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: usize,
    pub(super) is_descending: bool,
}

/// How a table is looked at.
#[derive(Clone, Debug)]
pub(super) struct TableView {
    pub(super) sort: Sort,
    /// Only rows with this text are shown.
    pub(super) filter: String,
    /// The key of the row with the cursor.
    pub(super) selected: String,
}

impl TableView {
    pub(super) fn new(column: usize, is_descending: bool) -> Self {
        Self {
            sort: Sort {
                column,
                is_descending,
            },
            filter: String::new(),
            selected: String::new(),
        }
    }

    /// Sorts by the next column, or by the one before. Numbers begin with the largest.
    pub(super) fn sort_by(&mut self, columns: &[Column], forward: bool) {
        let count = columns.len().max(1);
        let step = if forward { 1 } else { count - 1 };
        let column = (self.sort.column + step) % count;
        let is_number = columns.get(column).is_some_and(|column| column.is_number);
        self.sort = Sort {
            column,
            is_descending: is_number,
        };
    }

    /// The rows that are shown, in their order.
    pub(super) fn arrange(&self, mut table: Table) -> Table {
        let filter = self.filter.to_lowercase();
        let matches = |row: &Row| {
            let mut cells = row.cells.iter();
            filter.is_empty()
                || row.key.to_lowercase().contains(&filter)
                || cells.any(|cell| cell.text.to_lowercase().contains(&filter))
        };
        table.rows.retain(matches);
        let Sort {
            column,
            is_descending,
        } = self.sort;
        table.rows.sort_by(|one, other| {
            let order = match (one.cells.get(column), other.cells.get(column)) {
                (Some(one), Some(other)) => one.order(other),
                _ => Ordering::Equal,
            };
            let order = if is_descending {
                order.reverse()
            } else {
                order
            };
            order.then_with(|| one.key.cmp(&other.key))
        });
        table
    }

    /// The position of the cursor in the rows that are shown.
    pub(super) fn position(&self, rows: &[Row]) -> usize {
        let found = rows.iter().position(|row| row.key == self.selected);
        found.unwrap_or_default()
    }

    /// Moves the cursor by so many rows, as far as there are any.
    pub(super) fn move_by(&mut self, rows: &[Row], by: isize) {
        let last = rows.len().saturating_sub(1);
        let to = self.position(rows).saturating_add_signed(by).min(last);
        if let Some(row) = rows.get(to) {
            self.selected.clone_from(&row.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [Column::growing("NAME", 8), Column::number("COUNT", 6, 1)];

    fn table() -> Table {
        let row = |name: &str, cell| Row {
            key: name.to_owned(),
            cells: vec![Cell::text(name), cell],
        };
        Table {
            columns: &COLUMNS,
            rows: vec![
                row("b.one", Cell::count(2)),
                row("a.two", Cell::count(10)),
                row("c.three", Cell::text("-")),
            ],
            if_empty: String::new(),
            left_out: None,
        }
    }

    fn keys(view: &TableView) -> Vec<String> {
        let rows = view.arrange(table()).rows.into_iter();
        rows.map(|row| row.key).collect()
    }

    #[test]
    fn numbers_are_sorted_as_numbers() {
        let mut view = TableView::new(0, false);
        assert_eq!(keys(&view), ["a.two", "b.one", "c.three"]);
        view.sort_by(&COLUMNS, true);
        assert_eq!(keys(&view), ["a.two", "b.one", "c.three"]);
        view.sort.is_descending = false;
        assert_eq!(keys(&view), ["c.three", "b.one", "a.two"]);
        view.sort_by(&COLUMNS, false);
        assert_eq!(view.sort, TableView::new(0, false).sort);
    }

    #[test]
    fn a_filter_is_a_text_in_any_case() {
        let mut view = TableView::new(0, false);
        view.filter = "O".to_owned();
        assert_eq!(keys(&view), ["a.two", "b.one"]);
    }

    #[test]
    fn the_cursor_stays_at_its_row() {
        let mut view = TableView::new(0, false);
        let rows = view.arrange(table()).rows;
        view.move_by(&rows, 1);
        assert_eq!(view.selected, "b.one");
        view.sort_by(&COLUMNS, true);
        view.sort.is_descending = false;
        let rows = view.arrange(table()).rows;
        assert_eq!(view.position(&rows), 1);
        view.move_by(&rows, 100);
        assert_eq!(view.position(&rows), 2);
        view.move_by(&rows, -100);
        assert_eq!(view.position(&rows), 0);
        view.move_by(&[], 1);
    }
}
