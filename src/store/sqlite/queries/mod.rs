//! The reads of the store: one file per query, each of which uses an index.

mod api_keys;
mod children;
mod conditions;
mod controls;
mod counts;
mod declarations;
#[cfg(feature = "cli")]
mod decode_all;
mod due;
mod expired;
mod list;
mod lookup;
mod members;
mod oldest_due;
mod operations;
mod part;
mod plan;
mod principals;
mod queue_place;
mod recent_failures;
mod row;
mod salvage;
mod scan;
mod service_names;
mod source;
mod summary;

pub(super) use self::api_keys::api_keys;
pub(super) use self::children::children;
pub(super) use self::controls::controls;
pub(super) use self::counts::{awaiting_completion_counts, open_counts, owned_counts, services};
pub(super) use self::declarations::declarations;
#[cfg(feature = "cli")]
pub(super) use self::decode_all::decode_all;
pub(super) use self::due::{Claimable, Due, due};
pub(super) use self::expired::expired;
pub(super) use self::list::list;
pub(super) use self::lookup::{
    Lookup, find_by_idempotency_key, get, get_up_to, indexed_id, tombstone,
};
pub(super) use self::members::members;
pub(super) use self::oldest_due::{DueService, held_count, later_count, oldest_due};
pub(super) use self::operations::operations;
pub(super) use self::queue_place::{Waiting, queue_place};
pub(super) use self::recent_failures::recent_failures;
pub(super) use self::row::Readable;
pub(super) use self::summary::summarize;
