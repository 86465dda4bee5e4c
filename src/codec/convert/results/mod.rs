//! What a node answers: acknowledgements, replies, states, events and invocations.

pub(super) mod accepted;
pub(super) mod change;
pub(super) mod control;
pub(super) mod event;
pub(super) mod invocation;
pub(super) mod operation;
pub(super) mod outcome;
pub(super) mod reply;
pub(super) mod state;
