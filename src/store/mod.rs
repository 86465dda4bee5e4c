//! The stores: in memory, and SQLite. They implement [`engine::store::Store`](crate::engine::store::Store).

mod ledger;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use self::memory::MemoryStore;
#[cfg(test)]
pub(crate) use self::memory::started_engine;
#[cfg(feature = "cli")]
pub(crate) use self::sqlite::{
    CheckReport, Fault, IN_USE, StoreStats, check, check_empty, restore, stats,
};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteOptions, SqliteStore};
