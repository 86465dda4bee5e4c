//! The store of several nodes: one PostgreSQL, to which each node has a few connections.
//!
//! ```text
//!  callers ──▶ lanes (by CID) ──▶ one transaction for a batch ──▶ COMMIT ──▶ replies
//!  schedulers ──▶ claim ─────────▶ SKIP LOCKED, owner and claim in the row
//!  callers ──▶ readers ──────────▶ pipelined queries
//!              session ──────────▶ its own beat, and the beats of the others
//! ```
//!
//! The rows of PostgreSQL decide everything: what a node may record of an invocation is said by the session and the
//! claim in its row, in the statement that writes the outcome. `schema.sql` describes the tables, `docs/store.md` the
//! guarantees.

mod batch;
mod claims;
mod connection;
mod counts;
mod end;
mod error;
mod key_queues;
mod lane;
mod list;
mod lookup;
mod migrate;
mod new_rows;
mod options;
mod own_claims;
mod plain;
mod recount;
mod retention;
mod row;
mod services;
mod session;
mod settings;
mod shared;
mod status;
mod store;

pub use self::options::PostgresOptions;
pub use self::store::PostgresStore;
