//! The embedded store: SQLite in a directory that one node uses. Everything that it accepts is on disk.
//!
//! ```text
//!  callers ──▶ commands ──▶ writer thread ──▶ WAL, synced ──▶ replies
//!                                               │
//!  callers ──▶ queries ───▶ reader threads ─────┤
//!                           checkpointer ───────┼──▶ cidery.db
//!                           backup thread ──────┘──▶ backups/
//! ```
//!
//! Group commit: one thread writes, and commits all commands that are queued in one transaction. One sync makes all of
//! them durable. `schema.sql` describes the tables, `docs/store.md` the guarantees.

mod backup;
mod bookkeeping;
#[cfg(feature = "cli")]
mod check;
mod checkpointer;
mod commands;
mod commit_metrics;
mod copy_file;
mod directory;
mod error;
mod failure_log;
mod hand_over;
mod index_tail;
#[cfg(feature = "cli")]
mod key_commands;
mod keys;
mod migrate;
mod network;
mod newest;
mod open;
mod queries;
mod queue;
mod read_only;
mod reader;
mod rename;
#[cfg(feature = "cli")]
mod restore;
mod shared;
#[cfg(feature = "cli")]
mod stats;
mod store;
mod threads;
mod writer;

#[cfg(feature = "cli")]
pub(crate) use self::check::{CheckReport, Fault, check};
#[cfg(feature = "cli")]
pub(crate) use self::directory::{IN_USE, OWNER};
#[cfg(feature = "cli")]
pub(crate) use self::key_commands::{forget_key, key_usage};
#[cfg(feature = "cli")]
pub(crate) use self::keys::KeyUsage;
#[cfg(feature = "cli")]
pub(crate) use self::rename::rename_new;
#[cfg(feature = "cli")]
pub(crate) use self::restore::{check_empty, restore};
#[cfg(feature = "cli")]
pub(crate) use self::stats::{StoreStats, stats};
pub use self::store::{SqliteOptions, SqliteStore};
#[cfg(feature = "cli")]
pub(crate) use self::writer::space::BytesLimit;
