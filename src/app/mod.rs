//! The process: the node with its life, the command line, logs.

#[cfg(feature = "cli")]
pub mod cli;
mod node;
#[cfg(feature = "cli")]
pub mod telemetry;
pub mod testing;

pub use self::node::{Node, NodeBuilder, NodeHandle};
