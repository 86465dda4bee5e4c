//! Execution: synchronous and nested calls, attempts, deadlines, and dispatch to workers.

pub(in crate::engine) mod attempt;
pub(in crate::engine) mod call_chain;
mod call_meter;
pub(in crate::engine) mod deadline;
pub(in crate::engine) mod dispatch;
pub(in crate::engine) mod executor;
pub(in crate::engine) mod invoke;
pub(in crate::engine) mod invoke_durable;
pub(in crate::engine) mod nested_failure;
pub(in crate::engine) mod pending_completions;
pub(in crate::engine) mod response_format;
pub(in crate::engine) mod runtime;
pub(in crate::engine) mod worker_dispatch;
