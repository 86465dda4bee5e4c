//! The domain model: values, identifiers, errors, declarations, invocations. Pure: no I/O, no clock, no async.

pub mod access;
pub mod batch;
pub mod call;
mod cid;
pub mod error;
pub mod id;
pub mod into_call;
pub mod into_payload;
pub mod invocation;
pub mod metadata;
pub mod operation;
pub mod payload;
pub mod peer_certificate;
pub mod rate;
pub mod service_control;
pub mod service_limit;
pub mod service_options;
pub mod sio;
pub mod size;
pub mod token;
pub mod trace;
pub mod value;
