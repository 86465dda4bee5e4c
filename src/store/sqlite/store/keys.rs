//! Reads the keys again while the store is used.

use super::SqliteStore;
use crate::model::error::Result;
use crate::store::sqlite::commands::NoteKey;

impl SqliteStore {
    /// A key is noted on disk before the first blob is sealed with it, so that a later start knows that it needs it.
    pub(super) async fn read_keys_again(&self) -> Result<()> {
        let Some(keys) = self.shared.cipher.keys().cloned() else {
            return Ok(());
        };
        let _one_at_a_time = self.keys_lock.lock().await;
        let of_file = keys.clone();
        let ring = self.readers.query(move |_| of_file.read_again()).await?;
        self.write(NoteKey(ring.clone())).await?;
        tracing::info!(
            key = ring.first().id(),
            others = ring.iter().count() - 1,
            "the keys of the store were read again"
        );
        keys.replace(ring);
        Ok(())
    }
}
