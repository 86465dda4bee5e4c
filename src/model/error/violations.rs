//! The violations of an input, up to a limit, and the count of further ones.

use super::{Error, Result, Violation, push_segment};

/// The limit of kept violations; further ones are counted.
const MAX_VIOLATIONS: usize = 1_000;
/// A key in a path has at most so many bytes: many violations may be below a key of megabytes.
const MAX_KEY_BYTES: usize = 512;
/// The code of a value with too many parts: reading it ends there, and so does all that contains it.
pub(crate) const TOO_MANY_KEYS: &str = "TOO_MANY_KEYS";

/// The `ErrorInfo` entry that lists the undeclared keys that were dropped.
pub(crate) const IGNORED: &str = "ignored";

/// The violations of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// The first ones, in the order of the declaration or of the document.
    pub kept: Vec<Violation>,
    /// The number of further violations.
    pub omitted: usize,
    /// The undeclared keys that were dropped from the input, as in the metadata `cidery-ignored`: one may be a
    /// misspelled name of an element that is missing.
    pub ignored: Option<String>,
}

impl Violations {
    /// The error of a call with this input.
    #[must_use]
    pub fn into_error(self, reason: &'static str) -> Error {
        let omitted = self.omitted;
        let error = Error::violations(reason, self.kept);
        let error = match self.ignored {
            Some(ignored) => error.with_info(IGNORED, ignored),
            None => error,
        };
        if omitted == 0 {
            return error;
        }
        let message = format!("{}, and {omitted} that are not listed", error.message());
        error
            .with_message(message)
            .with_info("violations_omitted", omitted)
    }

    /// Rejects an input that has violations.
    pub(crate) fn reject(self, reason: &'static str) -> Result<()> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(self.into_error(reason)),
        }
    }

    pub(crate) fn add(&mut self, violation: Violation) {
        let is_end = |violation: &Violation| violation.code == TOO_MANY_KEYS;
        if is_end(&violation) && self.kept.last().is_some_and(is_end) {
            return;
        }
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.kept.push(violation);
        }
    }

    pub(crate) fn extend(&mut self, more: Self) {
        more.kept
            .into_iter()
            .for_each(|violation| self.add(violation));
        self.omitted += more.omitted;
        self.ignored = self.ignored.take().or(more.ignored);
    }

    /// Puts a key in front of the paths of all but the first violations: of those that were found below it.
    pub(crate) fn put_under(&mut self, key: &str, first: usize) {
        let key = key.get(..key.floor_char_boundary(MAX_KEY_BYTES));
        for violation in self.kept.iter_mut().skip(first) {
            let mut path = String::new();
            push_segment(&mut path, key.unwrap_or_default());
            violation.path.insert_str(0, &path);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= MAX_VIOLATIONS
    }
}
