//! The stores: in memory, and SQLite. They implement [`engine::store::Store`](crate::engine::store::Store).

#[cfg(feature = "sqlite")]
mod cipher;
mod ledger;
mod memory;
mod owner_counts;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
pub use self::cipher::StoreKeys;
#[cfg(feature = "cli")]
pub(crate) use self::cipher::new_key;
pub use self::memory::MemoryStore;
#[cfg(test)]
pub(crate) use self::memory::started_engine;
#[cfg(feature = "cli")]
pub(crate) use self::sqlite::{
    BytesLimit, CheckReport, Fault, IN_USE, KeyUsage, OWNER, StoreStats, check, check_empty,
    forget_key, key_usage, rename_new, restore, stats,
};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteOptions, SqliteStore};
