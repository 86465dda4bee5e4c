//! The keys that a command reads a store with.

use std::path::PathBuf;

use clap::Args;

use crate::model::error::Result;
use crate::store::StoreKeys;

/// The keys of a store.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct KeyArgs {
    /// File with the keys of the store, `ID:KEY` a line: the first one encrypts, all of them decrypt. `cidery store key
    /// new` makes one.
    #[arg(long, env = "CIDERY_STORE_KEY_FILE", value_name = "FILE")]
    store_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// The keys, if there is a file.
    pub(in crate::app::cli) fn read(&self) -> Result<Option<StoreKeys>> {
        self.store_key_file
            .as_ref()
            .map(StoreKeys::read)
            .transpose()
    }
}
