//! What is wrong with a filter, and where.

use crate::model::error::{Error, Violation, reason};

/// One violation of the language.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The byte at which it begins.
    at: usize,
    code: &'static str,
    message: String,
}

impl Fault {
    pub(super) fn new(at: usize, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            at,
            code,
            message: message.into(),
        }
    }

    /// A text that does not follow the grammar.
    pub(super) fn malformed(at: usize, message: impl Into<String>) -> Self {
        Self::new(at, "MALFORMED", message)
    }

    fn into_violation(self, text: &str) -> Violation {
        let before = text.get(..self.at).unwrap_or(text);
        let column = before.rsplit('\n').next().unwrap_or_default();
        let column = column.chars().count() + 1;
        let place = match text.contains('\n') {
            true => format!("line {}, column {column}", before.matches('\n').count() + 1),
            false => format!("column {column}"),
        };
        let message = format!("{place}: {}", self.message);
        Violation::new("/filter_expression", self.code, message)
    }
}

/// The error of a text.
pub(super) fn to_error(text: &str, faults: Vec<Fault>) -> Error {
    let violations = faults.into_iter().map(|fault| fault.into_violation(text));
    Error::violations(reason::REQUEST_INVALID, violations.collect())
}
