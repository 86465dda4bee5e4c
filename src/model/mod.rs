//! What things are: values, names, errors, declarations, states. Pure: no I/O, no clock, no async.

pub mod error;
pub mod id;
pub mod invocation;
pub mod metadata;
pub mod payload;
pub mod sio;
pub mod token;
pub mod value;
