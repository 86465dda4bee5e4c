//! The objects of invocations and services for programs: one function for each schema of docs/cli.schema.json.
//!
//! Plain HTTP answers them, and the command line prints them. Keys are `snake_case`, times RFC 3339, durations seconds;
//! what is absent is null.

mod event;
mod invocation;
mod names;
mod response;
mod service;

pub(crate) use self::event::{event, item, outcome_event};
pub(crate) use self::invocation::{
    attempts, change, failure, found_invocation, input, invocation, summary,
};
pub(crate) use self::names::{
    failure_of, health_name, on_exhausted_name, reason_name, state_name, text_value, time_value,
};
pub(crate) use self::response::response_value;
pub(crate) use self::service::{
    control, controlled_service, location, service, service_description,
};
