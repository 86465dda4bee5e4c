//! `cidery service`: pause, resume, disable, enable and forget.

mod control;

use clap::{Args, Subcommand};

use self::control::{Change, Services, change};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::dict;
use crate::model::error::Result;

/// Pause, disable and forget services.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Service {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Pause services: background work waits, and synchronous calls are refused.
    ///
    /// What runs goes on. Asynchronous invocations are accepted, and wait as PAUSED; their expirations and deadlines go
    /// on counting. A pause lasts until `cidery service resume`, also if the node restarts. A paused service can be
    /// paused again, with another reason.
    ///
    /// Example: `cidery service pause customer.get --reason "wrong prices"`
    Pause {
        #[command(flatten)]
        services: Services,
        #[command(flatten)]
        reason: Reason,
        /// Let synchronous calls go on.
        #[arg(long)]
        background_only: bool,
    },
    /// Resume paused services.
    Resume {
        #[command(flatten)]
        services: Services,
    },
    /// Disable services: every new call is refused, and what is pending waits.
    ///
    /// What runs goes on. Lasts until `cidery service enable`, also if the node restarts.
    ///
    /// Example: `cidery service disable crm.sync --reason "replaced by crm.sync2"`
    Disable {
        #[command(flatten)]
        services: Services,
        #[command(flatten)]
        reason: Reason,
    },
    /// Enable disabled services.
    Enable {
        #[command(flatten)]
        services: Services,
    },
    /// Remove a service that no worker serves.
    Forget {
        /// Name of the service.
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

#[derive(Args, Debug)]
struct Reason {
    /// Reason, shown to operators and to callers. At most 1 KiB.
    #[arg(long = "reason", default_value = "", value_name = "TEXT")]
    text: String,
}

impl Service {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        match self.verb {
            Verb::Pause {
                services,
                reason,
                background_only,
            } => {
                let pause = Change::Pause {
                    reason: reason.text,
                    background_only,
                };
                change(&pause, services, printer).await
            }
            Verb::Resume { services } => change(&Change::Resume, services, printer).await,
            Verb::Disable { services, reason } => {
                let disable = Change::Disable {
                    reason: reason.text,
                };
                change(&disable, services, printer).await
            }
            Verb::Enable { services } => change(&Change::Enable, services, printer).await,
            Verb::Forget { name, node } => forget(&name, &node, printer).await,
        }
    }
}

async fn forget(name: &str, node: &NodeArgs, printer: &Printer) -> Result<()> {
    node.connect(printer).await?.forget_service(name).await?;
    if !printer.object(name, || dict! { "name": name }.into()) {
        printer.note(Tone::Good, &format!("{name} is forgotten"));
    }
    Ok(())
}
