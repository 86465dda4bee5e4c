//! The reads of the store: one file per query, each of which uses an index.

mod children;
mod conditions;
mod counts;
mod declarations;
mod due;
mod expired;
mod list;
mod lookup;
mod members;
mod operations;
mod page;
mod row;
mod salvage;

pub(super) use self::children::children;
pub(super) use self::counts::{awaiting_completion_counts, open_counts, services};
pub(super) use self::declarations::declarations;
pub(super) use self::due::{Claimable, Due, due};
pub(super) use self::expired::expired;
pub(super) use self::list::list;
pub(super) use self::lookup::{
    Lookup, find_by_idempotency_key, get, get_up_to, indexed_id, tombstone,
};
pub(super) use self::members::members;
pub(super) use self::operations::operations;
pub(super) use self::row::Readable;
