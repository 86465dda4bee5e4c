//! The errors of a document that is not CSV, with their line and column.

use crate::model::error::{Error, Violation, Violations, reason};

/// What is malformed in the rows of a document, each with its line.
#[derive(Debug, Default)]
pub(super) struct MalformedRows {
    violations: Violations,
    first_line: Option<u64>,
}

impl MalformedRows {
    /// Adds what is malformed in the row that begins in this line.
    pub(super) fn add(&mut self, line: u64, code: &'static str, message: &str) {
        self.first_line.get_or_insert(line);
        self.violations
            .add(Violation::new("", code, in_line(line, None, message)));
    }

    /// The error of the document; `None` where all rows are well formed.
    pub(super) fn into_error(self) -> Option<Error> {
        let line = self.first_line?;
        let error = self.violations.into_error(reason::DOCUMENT_MALFORMED);
        Some(error.with_info("line", line))
    }
}

/// The error of a malformed document, with the line and, where it is known, the column.
pub(super) fn malformed(
    line: u64,
    column: Option<u64>,
    code: &'static str,
    message: &str,
) -> Error {
    let violation = Violation::new("", code, in_line(line, column, message));
    let error = Error::violations(reason::DOCUMENT_MALFORMED, vec![violation]);
    let error = error.with_info("line", line);
    match column {
        Some(column) => error.with_info("column", column),
        None => error,
    }
}

fn in_line(line: u64, column: Option<u64>, message: &str) -> String {
    match column {
        Some(column) => format!("line {line}, column {column}: {message}"),
        None => format!("line {line}: {message}"),
    }
}
