//! `cidery config`: check, show and describe the configuration of a node.

mod check;
mod schema;
mod show;

use clap::{Args, Subcommand};

use crate::app::cli::printer::Printer;
use crate::model::error::Result;

/// Check and show the configuration of a node.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Config {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check a configuration file, and the environment variables.
    Check(check::Check),
    /// Show all options: their values, and where these come from.
    Show(show::Show),
    /// Print the JSON Schema of the configuration file.
    Schema(schema::Schema),
}

impl Config {
    pub(in crate::app::cli) fn run(self, printer: &Printer) -> Result<()> {
        match self.verb {
            Verb::Check(command) => command.run(printer),
            Verb::Show(command) => command.run(printer),
            Verb::Schema(command) => {
                command.run(printer);
                Ok(())
            }
        }
    }
}
