//! What could not be read again while the node runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::id::truncated_to;

/// The longest message that is kept, in characters: what is wrong with a file may be a long list.
const MAX_MESSAGE: usize = 500;

/// What could not be read again, each with the last reason, until it is read.
#[derive(Debug, Default)]
pub(in crate::engine) struct ReloadFailures(Mutex<BTreeMap<&'static str, String>>);

/// Something that could not be read again: the node goes on with what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadFailure {
    /// What it is, such as `certificates`.
    pub what: &'static str,
    /// Which file, and why. It has no secret, and at most 500 characters.
    pub message: String,
}

impl ReloadFailures {
    /// Notes how it went to read something again: why it failed, or `None` where it did not.
    pub(in crate::engine) fn note(&self, what: &'static str, failure: Option<&str>) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            None => drop(failures.remove(what)),
            Some(message) => {
                failures.insert(what, truncated_to(MAX_MESSAGE, message));
            }
        }
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> Vec<ReloadFailure> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failures.iter().map(|(what, message)| ReloadFailure {
            what,
            message: message.clone(),
        });
        failures.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stays_until_it_is_read() {
        let failures = ReloadFailures::default();
        failures.note("b", Some("one"));
        failures.note("a", Some(&"é".repeat(2_000)));
        failures.note("b", Some("two"));
        let all = failures.all();
        assert_eq!(all[0].message.chars().count(), MAX_MESSAGE + 1);
        assert_eq!((all[1].what, all[1].message.as_str()), ("b", "two"));
        failures.note("b", None);
        failures.note("c", None);
        assert_eq!(failures.all().len(), 1);
    }
}
