//! Limits of one value.

/// The maximum nesting of dicts and lists. Peers that use prost stop at about 33 dicts.
pub const MAX_DEPTH: usize = 32;

/// The maximum number of dict keys and list items in one value.
pub const MAX_KEYS: usize = 1_000_000;

/// The maximum size of a message in bytes: 16 MiB.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
