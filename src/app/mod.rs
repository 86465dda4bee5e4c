//! The process: a node and its shutdown, the command line, logs, and the test kit.

#[cfg(feature = "cli")]
pub mod cli;
mod node;
mod shutdown;
#[cfg(feature = "cli")]
pub mod telemetry;
pub mod testing;

pub use self::node::{Node, NodeBuilder, NodeHandle};
