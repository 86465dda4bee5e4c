//! `cidery service forget`.

use clap::{Args, Subcommand};

use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::dict;
use crate::model::error::Result;

/// Manage services.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Service {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Remove a service that no worker serves.
    Forget {
        /// Name of the service.
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl Service {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let Verb::Forget { name, node } = self.verb;
        node.connect(printer).await?.forget_service(&name).await?;
        if !printer.object(&name, || dict! { "name": name.as_str() }.into()) {
            printer.note(Tone::Good, &format!("{name} is forgotten"));
        }
        Ok(())
    }
}
