//! The keys that a file needs: which ones it was written with, whether they are there, and how much still needs each.

#[cfg(feature = "cli")]
mod forget;
mod table;
mod usage;

#[cfg(feature = "cli")]
pub(crate) use self::forget::forget_key;
pub(super) use self::table::{note_key, open_keys};
#[cfg(feature = "cli")]
pub(super) use self::usage::read_usage;
#[cfg(feature = "cli")]
pub(crate) use self::usage::{KeyUsage, key_usage};
