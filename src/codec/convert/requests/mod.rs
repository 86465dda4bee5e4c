//! Requests of callers, and results of workers: from their messages to the model, and back where a client sends them.

pub(super) mod batch;
pub(super) mod completion;
pub(super) mod dispatch_result;
pub(super) mod filter;
pub(super) mod options;
pub(super) mod request;
