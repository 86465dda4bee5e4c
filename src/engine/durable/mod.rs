//! Durable invocations: scheduled, run, committed, expired, cancelled, retained and removed.

pub(in crate::engine) mod callbacks;
pub(in crate::engine) mod commit;
pub(in crate::engine) mod deferral;
pub(in crate::engine) mod expiry;
pub(in crate::engine) mod failed_attempt;
pub(in crate::engine) mod failures;
pub(in crate::engine) mod group_outcomes;
pub(in crate::engine) mod groups;
pub(in crate::engine) mod operations;
mod record_metrics;
pub(in crate::engine) mod retention;
pub(in crate::engine) mod run;
pub(in crate::engine) mod scheduler;
pub(in crate::engine) mod stored_reply;
pub(in crate::engine) mod transition;
