//! `cidery store`: backup, backups, restore, check, stats, key.

mod backup;
mod backups;
mod bar;
mod check;
mod fetch;
mod key;
mod quantities;
mod restore;
mod stats;
mod store_args;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::app::cli::printer::Printer;
use crate::model::error::Result;

/// Back up, restore and check the store of a node.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Store {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy the store of a running node into a file.
    Backup(backup::Backup),
    /// List and delete the copies that a node keeps.
    ///
    /// STATE is KEPT until the copy is deleted, TEMPORARY where a command fetches it, or what is done with one that is
    /// being written.
    Backups(backups::Backups),
    /// Restore a backup into a new data directory.
    Restore(restore::Restore),
    /// Check a store, or a backup of one, for faults.
    Check(check::Check),
    /// Show what a store, or a backup of one, contains.
    Stats(stats::Stats),
    /// Make and list the keys that a store is encrypted with.
    Key(key::Key),
}

impl Store {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let done = match self.verb {
            Verb::Backup(command) => return command.run(printer).await,
            Verb::Backups(command) => command.run(printer).await,
            Verb::Restore(command) => command.run(printer),
            Verb::Check(command) => command.run(printer),
            Verb::Stats(command) => command.run(printer),
            Verb::Key(command) => command.run(printer),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}
