//! Validation of CSV documents row by row.

use std::mem;

use super::check::{Check, Checked, Direction, Step};
use super::scalar::ScalarError;
use super::{Elements, Shape, Sio};
use crate::model::error::{Violation, Violations};
use crate::model::value::{Dict, Value};

impl Sio {
    /// Checks the rows of an input one by one.
    #[must_use]
    pub fn check_rows<'a>(&'a self, elements: &'a Elements) -> RowCheck<'a> {
        RowCheck {
            walk: Check::new(self, Direction::Input),
            elements,
            rows: Vec::new(),
        }
    }
}

/// A check of rows as they are read, so that each row is in memory once.
#[derive(Debug)]
pub struct RowCheck<'a> {
    walk: Check<'a>,
    elements: &'a Elements,
    rows: Vec<Value>,
}

impl RowCheck<'_> {
    /// Checks one row that begins in this line of its document; `violations` are those of its cells.
    pub fn add(&mut self, line: u64, row: Dict, violations: Vec<Violation>) {
        let index = self.rows.len();
        let before = self.walk.violations.kept.len();
        self.walk.path.push(Step::Index(index));
        for violation in violations {
            self.walk
                .violations
                .add(violation.under(&index.to_string()));
        }
        let unknown = self
            .elements
            .unknown_keys
            .unwrap_or(self.walk.sio.unknown_keys);
        let unread = self.walk.violations.kept.len();
        let row = self.walk.dict(&self.elements.elements, unknown, row);
        self.walk.path.pop();
        self.drop_unread(before, unread);
        for violation in self.walk.violations.kept.iter_mut().skip(before) {
            violation.message = format!("line {line}: {}", violation.message);
        }
        self.rows.push(Value::Dict(row));
    }

    /// Drops what the check says of cells that could not be read, which are not absent. Their violations are those from
    /// `first` up to `checked`.
    fn drop_unread(&mut self, first: usize, checked: usize) {
        let kept = &mut self.walk.violations.kept;
        let found = kept.split_off(checked);
        let cells = kept.get(first..).unwrap_or_default();
        let is_read = |found: &Violation| cells.iter().all(|cell| cell.path != found.path);
        let found: Vec<_> = found.into_iter().filter(is_read).collect();
        kept.extend(found);
    }

    /// The rows: a list, or the one row where a dict is declared.
    ///
    /// # Errors
    ///
    /// All violations.
    pub fn finish(mut self) -> Result<Checked, Violations> {
        let rows = mem::take(&mut self.rows);
        if self.elements.shape == Shape::List {
            return self.walk.finish(Value::List(rows));
        }
        let count = rows.len();
        match <[Value; 1]>::try_from(rows) {
            Ok([row]) => {
                for violation in &mut self.walk.violations.kept {
                    // A dict is declared, so that paths have no index.
                    let path = violation.path.strip_prefix("/0");
                    violation.path = path.unwrap_or_default().to_owned();
                }
                for name in &mut self.walk.ignored.names {
                    *name = name.strip_prefix("*/").unwrap_or(name).to_owned();
                }
                self.walk.finish(row)
            }
            Err(_) => {
                let message = format!("has {count} rows, but the service takes one dict");
                self.walk.violations = Violations::default();
                self.walk.report(ScalarError {
                    code: "WRONG_TYPE",
                    message,
                });
                self.walk.finish(Value::Null)
            }
        }
    }
}
