//! A node that a command has lost, and for which it waits.

use crate::model::error::{Error, Kind, reason};

/// Whether the node may come back: it stops, cannot be reached, or does not answer.
pub(super) fn is_lost(error: &Error) -> bool {
    error.kind() == Kind::Unavailable
        || [reason::TRANSPORT, reason::DEADLINE_EXCEEDED].contains(&error.reason())
}

/// The error of a node that does not answer in time.
pub(super) fn no_answer(seconds: u64) -> Error {
    let message = format!("it does not answer within {seconds} s");
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_refuses_is_not_lost() {
        assert!(is_lost(&Error::unavailable(reason::CONNECT_FAILED, "x")));
        assert!(is_lost(&no_answer(5)));
        assert!(!is_lost(&Error::invalid_argument(
            reason::REQUEST_INVALID,
            "x"
        )));
    }
}
