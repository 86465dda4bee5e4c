//! `cidery top`.

use std::process::ExitCode;

use clap::Args;

use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::Printer;
use crate::app::cli::top;
use crate::model::error::Result;

/// Show what a node does, on the whole screen: services with their rates, durations and queues, workers, failures.
///
/// It asks the node once a second. Rates and durations are those of the last five seconds. A node that goes away is
/// shown with its last data until it is back.
///
/// Keys: `1` `2` `3` or Tab for services, workers and failures; `j` `k` move; Enter opens a service or an invocation,
/// Esc goes back; `s` `S` sort by another column, `o` reverses; `/` filters; `c` cancels and `r` retries an invocation,
/// after a question; `?` shows all keys, `q` quits.
///
/// Without a terminal, use `cidery status`, or `cidery services --watch`.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Top {
    #[command(flatten)]
    node: NodeArgs,
}

impl Top {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        top::check_terminal(printer)?;
        let client = self.node.connect(printer).await?;
        top::run(client, printer).await
    }
}
