//! The objects of output for programs: one function for each schema of docs/cli.schema.json.
//!
//! Keys are `snake_case`, times RFC 3339, durations seconds; what is absent is null.

mod event;
mod invocation;
mod operation;
mod service;
mod worker;

pub(super) use self::event::{event, item, outcome_event};
pub(super) use self::invocation::{change, explanation, input, invocation};
pub(super) use self::operation::{operation, summary, summary_reason};
pub(super) use self::service::{service, service_description};
pub(super) use self::worker::worker;
