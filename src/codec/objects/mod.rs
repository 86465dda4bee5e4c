//! The objects of invocations, services and callers for programs: one function for each schema of docs/cli.schema.json.
//!
//! Plain HTTP answers them, and the command line prints them. Keys are `snake_case`, times RFC 3339, durations seconds;
//! what is absent is null.

mod access;
mod event;
mod invocation;
mod names;
mod response;
mod service;

pub(crate) use self::access::caller;
#[cfg(feature = "cli")]
pub(crate) use self::access::{quota, rights, scope_name};
pub(crate) use self::event::{event, outcome_event};
pub(crate) use self::invocation::{change, found_invocation, invocation};
pub(crate) use self::names::{state_name, text_value, time_value};
pub(crate) use self::service::{service, service_description};
#[cfg(feature = "cli")]
pub(crate) use self::{
    event::item,
    invocation::{attempts, failure, input, summary},
    names::{failure_of, health_name, on_exhausted_name, reason_name},
    response::response_value,
    service::{control, controlled_service, location},
};
