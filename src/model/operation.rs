//! Operations: changes of any number of invocations, which a node makes one after another.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::{Cid, truncated};

/// The identifier of an operation: a UUID (RFC 9562) in canonical lower case, version 7 when the node generates it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(Uuid);

impl OperationId {
    /// Generates a new identifier from the time and random bits.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a default that differs each time would surprise"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// Parses the canonical form.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` for anything else, upper case, braces and the nil UUID included.
    pub fn parse(text: &str) -> Result<Self> {
        // The rules are those of a CID.
        let id = Cid::from_canonical(text).map(|id| Self::from_bytes(*id.as_bytes()));
        id.ok_or_else(|| {
            let message = format!(
                "`{}` is not the id of an operation: a UUID in lower case with hyphens",
                truncated(text)
            );
            let violation = Violation::new("/id", "MALFORMED", message);
            Error::violations(reason::REQUEST_INVALID, vec![violation])
        })
    }

    /// The sixteen bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The identifier with these sixteen bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The state of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OperationState {
    /// It runs, or goes on when the node starts again.
    #[default]
    Running,
    /// It has seen all invocations that match.
    Succeeded,
    /// It was cancelled.
    Cancelled,
    /// It cannot go on.
    Failed,
}

impl OperationState {
    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self != Self::Running
    }
}

/// How far an operation is.
#[derive(Clone, Debug, Default)]
pub struct OperationProgress {
    /// Its state.
    pub state: OperationState,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// How many invocations matched when it was started. One that ended at that moment may be missing.
    pub matched: u64,
    /// How many it has seen.
    pub processed: u64,
    /// How many it has changed.
    pub changed: u64,
    /// Why others were not changed.
    pub refusals: Refusals,
    /// Why it failed or, while it runs, why it waits.
    pub failure: Option<Error>,
}

/// Why an operation did not change invocations, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: String,
    /// How many invocations.
    pub count: u64,
    /// One of them.
    pub example: Cid,
    /// The message of that one.
    pub message: String,
}

/// Why an operation did not change invocations, by reason.
///
/// At most [`Refusals::MAX_REASONS`] reasons are told apart; those refused for others are not counted here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// The most reasons.
    pub const MAX_REASONS: usize = 20;
    /// The most bytes of an example's message.
    const MAX_MESSAGE_BYTES: usize = 512;

    /// Refusals as they were stored.
    #[must_use]
    pub fn from_stored(mut stored: Vec<Refusal>) -> Self {
        stored.truncate(Self::MAX_REASONS);
        Self(stored)
    }

    /// Counts a refusal.
    pub fn add(&mut self, cid: Cid, error: &Error) {
        let reason = error.reason();
        if let Some(known) = self.0.iter_mut().find(|known| known.reason == reason) {
            known.count += 1;
        } else if self.0.len() < Self::MAX_REASONS {
            let mut message = error.message().to_owned();
            message.truncate(message.floor_char_boundary(Self::MAX_MESSAGE_BYTES));
            self.0.push(Refusal {
                reason: reason.to_owned(),
                count: 1,
                example: cid,
                message,
            });
        }
    }

    /// The refusals, the most frequent first.
    #[must_use]
    pub fn by_count(&self) -> Vec<&Refusal> {
        let mut refusals: Vec<_> = self.0.iter().collect();
        refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.count));
        refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_operation_has_one_spelling() {
        let id = OperationId::new();
        assert_eq!(OperationId::parse(&id.to_string()).unwrap(), id);
        let upper = id.to_string().to_uppercase();
        for text in ["", "x", &upper, "00000000-0000-0000-0000-000000000000"] {
            let error = OperationId::parse(text).unwrap_err();
            assert_eq!(error.field_violations()[0].path, "/id", "{text}");
        }
    }

    #[test]
    fn refusals_are_counted_by_reason_up_to_a_limit() {
        let (mut refusals, cid) = (Refusals::default(), Cid::new());
        for n in 0..30 {
            let error = Error::internal(format!("R{n}"), "é".repeat(400));
            refusals.add(cid, &error);
            refusals.add(cid, &Error::internal("R7", "again"));
        }
        let counted = refusals.by_count();
        assert_eq!(counted.len(), Refusals::MAX_REASONS);
        assert_eq!((counted[0].reason.as_str(), counted[0].count), ("R7", 31));
        assert_eq!(counted[1].count, 1);
        assert!(counted.iter().all(|refusal| refusal.message.len() <= 512));
    }
}
