//! Operations on stored invocations: cancel, complete, list, retry, purge, summarize.

pub(in crate::engine) mod cancel;
pub(in crate::engine) mod completion;
pub(in crate::engine) mod maintenance;
pub(in crate::engine) mod retry_once;
pub(in crate::engine) mod retrying;
mod summarize;
