//! The stores: in memory, SQLite, and PostgreSQL. They implement [`engine::store::Store`](crate::engine::store::Store).

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[cfg_attr(
    not(feature = "sqlite"),
    allow(dead_code, unused_imports, reason = "some of it only SQLite reads")
)]
mod blob;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[cfg_attr(
    not(feature = "sqlite"),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "the files of keys are those of SQLite"
    )
)]
mod cipher;
mod ledger;
mod memory;
mod owner_counts;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod state_column;

#[cfg(feature = "sqlite")]
pub use self::cipher::StoreKeys;
#[cfg(feature = "cli")]
pub(crate) use self::cipher::new_key;
pub use self::memory::MemoryStore;
#[cfg(test)]
pub(crate) use self::memory::started_engine;
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "cli")]
pub(crate) use self::sqlite::{
    BytesLimit, CheckReport, Fault, IN_USE, KeyUsage, OWNER, StoreStats, check, check_empty,
    forget_key, key_usage, rename_new, restore, stats,
};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteOptions, SqliteStore};
