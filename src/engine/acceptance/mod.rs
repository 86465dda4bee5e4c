//! Acceptance: from a call to a stored invocation, or from a batch to a group and its members.

pub(in crate::engine) mod accept;
pub(in crate::engine) mod accept_batch;
mod cost;
pub(in crate::engine) mod origin;
mod repeat;
