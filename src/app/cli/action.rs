//! What a command does to the invocations that a user selects, in words.

use super::states::StateArg;

/// What a command does to invocations.
pub(super) struct Action {
    /// `cancel`
    pub(super) verb: &'static str,
    /// What has happened to the invocations: `cancelled`.
    pub(super) done: &'static str,
    /// The states in which it is possible.
    pub(super) states: &'static [StateArg],
    /// Why it is not possible in other states: `only pending and running invocations can be cancelled`.
    pub(super) otherwise: &'static str,
    /// Which of the held invocations a filter without states selects.
    pub(super) held: Held,
    /// Whether each invocation continues as a new one.
    pub(super) has_new_cids: bool,
}

/// Held invocations are pending, and an operator decides about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// As other pending ones.
    AsOthers,
    /// None, though the change is possible: a note says how many there are.
    LeftOut,
    /// These alone.
    Only,
}
