//! Plain HTTP: the paths of a node, as `curl` and browsers use them.

pub(crate) mod client;
mod document;
mod events;
mod forms;
mod invocations;
mod invoke;
mod origins;
mod protocol;
mod services;
