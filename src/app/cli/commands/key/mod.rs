//! `cidery key`: API keys.

mod create;
mod list;
mod place;
mod revoke;

use clap::{Args, Subcommand};

use crate::app::cli::printer::Printer;
use crate::model::error::Result;

/// Make, list and revoke API keys.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an API key.
    ///
    /// The key is printed to standard output, alone and once: the node keeps its hash. The first key of a node is made
    /// on its data directory, before the node starts; from then on, each call needs a key.
    ///
    /// Example: `KEY=$(cidery key new billing --invoke 'customer.*' --expires 90d)`
    New(Box<create::New>),
    /// List API keys, revoked and expired ones included.
    List(list::List),
    /// Revoke an API key: calls with it are refused, and streams that it opened end.
    Revoke(revoke::Revoke),
}

impl Key {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        match self.verb {
            Verb::New(command) => command.run(printer).await,
            Verb::List(command) => command.run(printer).await,
            Verb::Revoke(command) => command.run(printer).await,
        }
    }
}
