//! The synchronous calls that an attempt made.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::error::Error;
use crate::model::id::ServiceName;

/// A synchronous call that a handler made during an attempt, or that a service made which it had called. It has no CID
/// of its own.
#[derive(Clone, Debug)]
pub struct NestedCall {
    /// The service that was called.
    pub service: ServiceName,
    /// The service that made the call.
    pub caller: ServiceName,
    /// 1 for a call of the handler itself, 2 for a call of a service that it called, and so on.
    pub depth: u32,
    /// When the call was made.
    pub start: Timestamp,
    /// How long it took, in which it may have waited for a permit.
    pub duration: Duration,
    /// The kind and the reason of its failure, without a message: that is in the trace of the attempt where the attempt
    /// failed of it.
    pub failure: Option<Error>,
}

impl NestedCall {
    /// What is kept of the failure of a call.
    pub(crate) fn failure_of(error: &Error) -> Error {
        Error::new(error.kind(), error.reason().to_owned(), "")
    }
}

/// The synchronous calls of an attempt.
#[derive(Clone, Debug, Default)]
pub struct NestedCalls {
    /// The first [`MAX`](Self::MAX) that ended, in the order in which they were made.
    pub calls: Vec<NestedCall>,
    /// How many ended after those.
    pub omitted: u32,
}

impl NestedCalls {
    /// How many calls of an attempt are kept.
    pub const MAX: usize = 100;

    /// Whether the attempt made none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds a call that has ended.
    pub(crate) fn add(&mut self, call: NestedCall) {
        if self.calls.len() == Self::MAX {
            self.omitted = self.omitted.saturating_add(1);
            return;
        }
        let place = self
            .calls
            .partition_point(|earlier| earlier.start <= call.start);
        self.calls.insert(place, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(start: i64) -> NestedCall {
        NestedCall {
            service: ServiceName::parse("a.called").unwrap(),
            caller: ServiceName::parse("a.caller").unwrap(),
            depth: 1,
            start: Timestamp::from_second(start).unwrap(),
            duration: Duration::from_millis(1),
            failure: None,
        }
    }

    #[test]
    fn calls_are_in_the_order_of_their_start_and_not_without_end() {
        let mut calls = NestedCalls::default();
        for start in [2, 1, 3] {
            calls.add(call(start));
        }
        let starts: Vec<_> = calls
            .calls
            .iter()
            .map(|call| call.start.as_second())
            .collect();
        assert_eq!(starts, [1, 2, 3]);
        for start in 4..=i64::try_from(NestedCalls::MAX).unwrap() + 2 {
            calls.add(call(start));
        }
        assert_eq!((calls.calls.len(), calls.omitted), (NestedCalls::MAX, 2));
    }
}
