//! Lists that are longer than a node allows.

use super::{Error, Result, Violation, reason};

/// Checks the lengths of the lists of a request against limits that are options of a node.
#[derive(Debug, Default)]
pub(crate) struct ListLimits {
    violations: Vec<Violation>,
    exceeded: Vec<(&'static str, usize)>,
}

impl ListLimits {
    /// Checks a list of `length` values at a path, whose limit is the option `name`.
    #[must_use]
    pub(crate) fn check(
        mut self,
        path: &str,
        length: usize,
        (name, limit): (&'static str, usize),
    ) -> Self {
        if let Some(violation) = Violation::too_many(path, length, limit) {
            self.violations.push(violation);
            if !self.exceeded.contains(&(name, limit)) {
                self.exceeded.push((name, limit));
            }
        }
        self
    }

    /// Adds other violations of the same request.
    #[must_use]
    pub(crate) fn with(mut self, violations: impl IntoIterator<Item = Violation>) -> Self {
        self.violations.extend(violations);
        self
    }

    /// Rejects a request that has violations. The error has the name and the value of each limit that is exceeded.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations.
    pub(crate) fn reject(self) -> Result<()> {
        Error::reject(reason::REQUEST_INVALID, self.violations).map_err(|error| {
            let exceeded = self.exceeded.into_iter();
            exceeded.fold(error, |error, (name, limit)| error.with_info(name, limit))
        })
    }
}
