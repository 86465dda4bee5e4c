//! The violations of a value, up to a limit, and the count of further ones.

use crate::model::error::{Error, Violation};

/// The limit of kept violations; further ones are counted.
const MAX_VIOLATIONS: usize = 1_000;
/// The violations of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// The first ones, in the order of the declaration.
    pub kept: Vec<Violation>,
    /// The number of further violations.
    pub omitted: usize,
}

impl Violations {
    /// The error of a call with this input.
    #[must_use]
    pub fn into_error(self, reason: &'static str) -> Error {
        let omitted = self.omitted;
        let error = Error::violations(reason, self.kept);
        if omitted == 0 {
            return error;
        }
        let message = format!("{}, and {omitted} that are not listed", error.message());
        error
            .with_message(message)
            .with_info("violations_omitted", omitted)
    }

    pub(super) fn add(&mut self, violation: Violation) {
        if self.kept.len() < MAX_VIOLATIONS {
            self.kept.push(violation);
        } else {
            self.omitted += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= MAX_VIOLATIONS
    }
}
