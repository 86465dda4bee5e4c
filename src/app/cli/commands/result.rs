//! `cidery result`.

use std::time::Duration;

use clap::Args;

use crate::app::cli::args::{NodeArgs, duration};
use crate::app::cli::follow::{follow, outcome};
use crate::app::cli::printer::Printer;
use crate::model::error::Result;
use crate::model::id::Cid;

/// Prints what an invocation came to.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct ShowResult {
    /// The invocation.
    cid: Cid,
    /// Show what happened and what happens until it has ended.
    #[arg(long, conflicts_with = "wait")]
    follow: bool,
    /// Wait for its end, at most this long.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    wait: Option<Duration>,
    #[command(flatten)]
    node: NodeArgs,
}

impl ShowResult {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect().await?;
        if self.follow {
            return follow(&client, self.cid, printer).await;
        }
        let invocation = client
            .invocation(self.cid, self.wait.unwrap_or_default())
            .await?;
        printer.payload(outcome(invocation, self.cid)?)
    }
}
