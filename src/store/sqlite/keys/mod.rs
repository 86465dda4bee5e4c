//! The keys that a file needs: which ones it was written with, whether they are there, and how much still needs each.

mod check;
mod table;
mod usage;

pub(super) use self::check::open_keys;
pub(super) use self::table::note_key;
#[cfg(feature = "cli")]
pub(crate) use self::usage::KeyUsage;
#[cfg(feature = "cli")]
pub(super) use self::usage::read_usage;
