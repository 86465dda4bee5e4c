//! Operations on stored invocations: cancel, complete, list, retry, purge.

pub(in crate::engine) mod cancel;
pub(in crate::engine) mod completion;
pub(in crate::engine) mod maintenance;
