//! What `top` shows: a list, or what was opened in it.

use crate::model::id::Cid;

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    Services,
    Workers,
    Failures,
    /// One service.
    Service(String),
    /// One invocation.
    Invocation(Cid),
}
