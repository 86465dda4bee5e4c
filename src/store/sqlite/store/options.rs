//! The options of the embedded store.

use crate::store::cipher::StoreKeys;

/// How many bytes the store holds by default: 64 GiB.
const DEFAULT_BYTES_LIMIT: u64 = 64 << 30;
/// How many bytes of the disk stay free by default: 64 MiB.
const DEFAULT_MIN_FREE_BYTES: u64 = 64 << 20;

/// The options of a [`SqliteStore`](super::SqliteStore).
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// How many bytes the store holds at most. New work is refused once seven eighths are full. Default: 64 GiB.
    pub bytes_limit: u64,
    /// How many bytes of the disk stay free. Default: 64 MiB.
    pub min_free_bytes: u64,
    /// The keys with which payloads, failures and progress are encrypted. Default: none, nothing is.
    pub keys: Option<StoreKeys>,
    /// Whether what is not encrypted is refused where it is read. Default: no, so that encryption can be turned on for
    /// a store that has invocations.
    pub encrypted_only: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            bytes_limit: DEFAULT_BYTES_LIMIT,
            min_free_bytes: DEFAULT_MIN_FREE_BYTES,
            keys: None,
            encrypted_only: false,
        }
    }
}
