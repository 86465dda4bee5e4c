//! The error of a document that is not CSV, with its line and column.

use crate::model::error::{Error, Violation, reason};

/// The error of a malformed document, with the line and, where it is known, the column.
pub(super) fn malformed(
    line: u64,
    column: Option<u64>,
    code: &'static str,
    message: &str,
) -> Error {
    let place = column
        .map(|column| format!(", column {column}"))
        .unwrap_or_default();
    let message = format!("line {line}{place}: {message}");
    let violation = Violation::new("", code, message);
    let error = Error::violations(reason::DOCUMENT_MALFORMED, vec![violation]);
    let error = error.with_info("line", line);
    match column {
        Some(column) => error.with_info("column", column),
        None => error,
    }
}
