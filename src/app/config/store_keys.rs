//! The keys of a store, as they are configured.

use super::settings::StoreConfig;
use crate::app::config::together::require;
use crate::model::error::Result;
use crate::store::StoreKeys;

impl StoreConfig {
    /// The keys with which the store is encrypted, if it is.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CONFIG_INVALID` where an option needs another one that is not there; the errors of
    /// [`StoreKeys::read`].
    pub(in crate::app) fn keys(&self) -> Result<Option<StoreKeys>> {
        let has_keys = self.store_key_file.is_some();
        require(&[
            (
                self.store_encrypted_only && !has_keys,
                "store_encrypted_only",
                "store_key_file",
            ),
            (
                self.in_memory && has_keys,
                "store_key_file",
                "in_memory = false",
            ),
        ])?;
        self.store_key_file
            .as_ref()
            .map(StoreKeys::read)
            .transpose()
    }
}
