//! A client of a node on the messages of the contract: the command line and the tests use it.

mod batch;
mod connection;
mod discover;
mod invoke;
mod manage;
mod operations;

pub use self::connection::ContractClient;
pub use self::manage::Selector;
pub use crate::remote::protocol::result_stream::ResultStream;
