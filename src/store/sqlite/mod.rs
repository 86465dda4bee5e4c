//! The embedded store: SQLite in a directory that one node uses. Everything that it accepts is on disk.
//!
//! ```text
//!  callers ──▶ commands ──▶ writer thread ──▶ WAL, synced ──▶ replies
//!                                               │
//!  callers ──▶ queries ───▶ reader threads ─────┤
//!                           checkpointer ───────┴──▶ cidery.db
//! ```
//!
//! Group commit: one thread writes, and commits all commands that are queued in one transaction. One sync makes all of
//! them durable. `schema.sql` describes the tables, `docs/store.md` the guarantees.

mod blob;
mod bookkeeping;
mod checkpointer;
mod commands;
mod directory;
mod error;
mod failure_log;
mod hand_over;
mod index_tail;
mod migrate;
mod network;
mod newest;
mod open;
mod queries;
mod queue;
mod reader;
mod shared;
mod state_column;
mod store;
mod threads;
mod writer;

pub use self::store::{SqliteOptions, SqliteStore};
