//! What one value may be, at most.

/// How deep dicts and lists may be nested. Peers that use prost stop at about 33 dicts.
pub const MAX_DEPTH: usize = 32;

/// How many keys of dicts and items of lists one value may have.
pub const MAX_KEYS: usize = 1_000_000;

/// How large a message may be, in bytes: 16 MiB.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
