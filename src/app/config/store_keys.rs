//! The keys of a store, as they are configured.

use super::settings::StoreConfig;
use crate::app::config::together::missing;
use crate::model::error::{Result, Violation};
use crate::store::StoreKeys;

impl StoreConfig {
    /// The keys with which the store is encrypted, if it is.
    ///
    /// # Errors
    ///
    /// Those of [`StoreKeys::read`].
    pub(in crate::app) fn keys(&self) -> Result<Option<StoreKeys>> {
        self.store_key_file
            .as_ref()
            .map(StoreKeys::read)
            .transpose()
    }

    /// What belongs together and is not there.
    pub(super) fn check(&self) -> Vec<Violation> {
        let has_keys = self.store_key_file.is_some();
        let is_shared = self.store.is_some();
        missing(&[
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
            (is_shared && self.in_memory, "store", "in_memory = false"),
            (
                self.store_password.is_some() && !is_shared,
                "store_password",
                "store",
            ),
        ])
    }
}
