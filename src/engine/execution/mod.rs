//! Running handlers: synchronous calls, nested calls, attempts, deadlines.

pub(in crate::engine) mod attempt;
pub(in crate::engine) mod deadline;
pub(in crate::engine) mod dispatch;
pub(in crate::engine) mod invoke;
pub(in crate::engine) mod invoke_durable;
pub(in crate::engine) mod response_format;
pub(in crate::engine) mod worker_dispatch;
