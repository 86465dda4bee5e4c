//! The process: a node and its shutdown, its configuration, the command line, logs, and the test kit.

#[cfg(feature = "cli")]
mod audit_log;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod config;
#[cfg(feature = "cli")]
mod escape;
#[cfg(feature = "cli")]
mod json_log;
#[cfg(feature = "cli")]
mod log_queue;
mod node;
#[cfg(feature = "cli")]
mod open_files;
mod reload;
mod shutdown;
#[cfg(feature = "cli")]
mod supervisor;
#[cfg(feature = "cli")]
pub mod telemetry;
pub mod testing;

pub use self::node::{Node, NodeBuilder, NodeHandle};
