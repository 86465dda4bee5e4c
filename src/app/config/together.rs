//! Options that need one another.

use crate::model::error::{Error, Result, Violation, reason};

/// Refuses what is missing: whether it is, the key that needs it, and the key that is needed.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `CONFIG_INVALID` with a violation for each.
pub(super) fn require(needs: &[(bool, &str, &str)]) -> Result<()> {
    let missing = needs.iter().filter(|(is_missing, ..)| *is_missing);
    let violations = missing.map(|(_, key, other)| {
        Violation::new(format!("/{key}"), "MISSING", format!("needs `{other}`"))
    });
    match violations.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        violations => Err(Error::violations(reason::CONFIG_INVALID, violations)),
    }
}
