//! A client of a node on the messages of the contract: the command line and the tests use it.

mod backups;
mod batch;
mod connection;
mod control;
mod discover;
mod health;
mod invoke;
mod manage;
mod operate;
mod operations;
mod security;
mod summarize;

pub use self::backups::BackupParts;
pub use self::connection::ContractClient;
pub use self::manage::Selector;
pub use self::operate::NodeEvents;
pub use crate::remote::protocol::result_stream::ResultStream;
