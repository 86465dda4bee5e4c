//! The store that a command reads: a file, or the data directory of a node.

use std::path::PathBuf;

use clap::Args;

/// The store that a command reads.
#[derive(Args, Debug)]
pub(super) struct StoreArgs {
    /// A backup, or the data directory of a node. Default: the data directory of --data-dir.
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Data directory of the node.
    #[arg(
        long,
        env = "CIDERY_DATA_DIR",
        default_value = "./cidery-data",
        value_name = "FOLDER"
    )]
    data_dir: PathBuf,
}

impl StoreArgs {
    pub(super) fn path(self) -> PathBuf {
        self.path.unwrap_or(self.data_dir)
    }
}
