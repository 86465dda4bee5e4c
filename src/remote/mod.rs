//! Other processes: clients of a node.

pub mod client;

pub use self::client::Client;
