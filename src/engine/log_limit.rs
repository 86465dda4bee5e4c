//! Limits how often a repeated failure is logged: one line a minute for each reason, however often it happens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often failures with the same reason are logged.
const INTERVAL: Duration = Duration::from_secs(60);

/// When failures were logged last, by their reason.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<HashMap<String, Logged>>);

/// The failures with one reason.
#[derive(Debug)]
struct Logged {
    last: Instant,
    /// How many have not been logged since.
    omitted: u64,
}

impl LogLimit {
    /// How many failures with this reason were omitted, if the next one is to be logged.
    pub(crate) fn is_due(&self, reason: &str, now: Instant) -> Option<u64> {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = logged.get_mut(reason) else {
            // There are few reasons.
            let first = Logged {
                last: now,
                omitted: 0,
            };
            logged.insert(reason.to_owned(), first);
            return Some(0);
        };
        if now.duration_since(known.last) < INTERVAL {
            known.omitted += 1;
            return None;
        }
        known.last = now;
        Some(std::mem::take(&mut known.omitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_logged_once_a_minute_for_each_reason() {
        let (log, start) = (LogLimit::default(), Instant::now());
        assert_eq!(log.is_due("a", start), Some(0));
        assert_eq!(log.is_due("a", start), None);
        assert_eq!(log.is_due("a", start + INTERVAL / 2), None);
        assert_eq!(log.is_due("b", start), Some(0));
        assert_eq!(log.is_due("a", start + INTERVAL), Some(2));
        assert_eq!(log.is_due("a", start + INTERVAL * 2), Some(0));
    }
}
