//! How many entries are written of what callers repeat as they like. Used by the functions of the audit log.
//!
//! Each principal has a budget of its own, and so have callers without a credential and those with a wrong one: none of
//! them can keep the entries of another one out of the log.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::entry::Entry;

/// How many entries of a budget are written each second, at most. The others are counted.
const ENTRIES_PER_SECOND: u32 = 50;
/// How many principals have a budget of their own at once. Further ones share one.
const MAX_PRINCIPALS: usize = 1_024;

/// The budgets of the process, as its log is one.
static REFUSALS: LazyLock<Budgets> = LazyLock::new(Budgets::new);
static CONNECTIONS: LazyLock<Budgets> = LazyLock::new(Budgets::new);

/// Writes an entry about a refusal, unless the budget of its caller is used up.
pub(super) fn write_refusal(entry: &Entry<'_>, is_credential: bool) {
    let budget = match (entry.principal, is_credential) {
        ("", true) => Arc::clone(&REFUSALS.credentials),
        (principal, _) => REFUSALS.of(principal),
    };
    budget.write(entry);
}

/// Writes an entry about a connection, unless the budget of its caller is used up.
pub(super) fn write_connection(entry: &Entry<'_>) {
    CONNECTIONS.of(entry.principal).write(entry);
}

/// The budgets of one kind of entries.
struct Budgets {
    /// Of callers without a credential.
    strangers: Arc<Budget>,
    /// Of credentials that are refused: guesses must not hide among calls without any.
    credentials: Arc<Budget>,
    principals: Mutex<HashMap<String, Arc<Budget>>>,
    /// Of the principals that found no room above.
    others: Arc<Budget>,
}

impl Budgets {
    fn new() -> Self {
        Self {
            strangers: Arc::default(),
            credentials: Arc::default(),
            principals: Mutex::default(),
            others: Arc::default(),
        }
    }

    /// The budget of a principal; of callers without one, where it is empty.
    fn of(&self, principal: &str) -> Arc<Budget> {
        if principal.is_empty() {
            return Arc::clone(&self.strangers);
        }
        let mut principals = self
            .principals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = principals.get(principal) {
            return Arc::clone(known);
        }
        if principals.len() >= MAX_PRINCIPALS {
            // Those with a full budget lose nothing.
            principals.retain(|_, budget| !budget.is_full());
        }
        if principals.len() >= MAX_PRINCIPALS {
            return Arc::clone(&self.others);
        }
        let budget = Arc::<Budget>::default();
        principals.insert(principal.to_owned(), Arc::clone(&budget));
        budget
    }
}

/// Entries that are written up to a rate.
struct Budget {
    rate: DefaultDirectRateLimiter,
    /// How many were not written since the last one that was.
    omitted: AtomicU64,
}

impl Default for Budget {
    fn default() -> Self {
        let rate = NonZeroU32::new(ENTRIES_PER_SECOND).unwrap_or(NonZeroU32::MIN);
        Self {
            rate: RateLimiter::direct(Quota::per_second(rate)),
            omitted: AtomicU64::new(0),
        }
    }
}

impl Budget {
    fn write(&self, entry: &Entry<'_>) {
        if let Some(omitted) = self.take() {
            let entry = Entry {
                omitted: Some(omitted).filter(|omitted| *omitted > 0),
                ..entry.clone()
            };
            entry.write();
        }
    }

    /// How many entries were left out before this one; `None` where it is left out itself.
    fn take(&self) -> Option<u64> {
        if self.rate.check().is_err() {
            self.omitted.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.omitted.swap(0, Ordering::Relaxed))
    }

    /// Whether nothing of it is used, as far as that can be seen: a budget that left entries out has to say so.
    fn is_full(&self) -> bool {
        let all = NonZeroU32::new(ENTRIES_PER_SECOND).unwrap_or(NonZeroU32::MIN);
        // It takes all of it. A budget that is removed now begins full again.
        self.omitted.load(Ordering::Relaxed) == 0
            && self.rate.check_n(all).is_ok_and(|taken| taken.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_heard_while_others_flood_the_log() {
        let budgets = Budgets::new();
        for _ in 0..2 * ENTRIES_PER_SECOND {
            budgets.of("").take();
            budgets.of("alice").take();
        }
        assert_eq!(budgets.of("bob").take(), Some(0));
        assert_eq!(budgets.credentials.take(), Some(0));
        assert!(budgets.of("alice").omitted.load(Ordering::Relaxed) > 0);
    }

    #[test]
    fn principals_are_remembered_up_to_a_limit() {
        let budgets = Budgets::new();
        for n in 0..2 * MAX_PRINCIPALS {
            // Each has used a part of its budget, and keeps its place.
            budgets.of(&format!("p{n}")).take();
        }
        assert!(budgets.principals.lock().unwrap().len() <= MAX_PRINCIPALS);
    }
}
