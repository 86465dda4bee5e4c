//! `cidery cert`: certificates to try out TLS.

mod authority;
mod dev;

use clap::{Args, Subcommand};

use self::dev::Dev;
use crate::app::cli::printer::Printer;
use crate::model::error::Result;

/// Make certificates to try out TLS.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Cert {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Dev(Dev),
}

impl Cert {
    pub(in crate::app::cli) fn run(self, printer: &Printer) -> Result<()> {
        match self.verb {
            Verb::Dev(command) => command.run(printer),
        }
    }
}
