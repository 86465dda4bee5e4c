//! `cidery result`.

use std::time::Duration;

use clap::Args;

use crate::app::cli::args::{NodeArgs, duration};
use crate::app::cli::detach::until_interrupted;
use crate::app::cli::follow::{follow, outcome};
use crate::app::cli::printer::Printer;
use crate::model::error::Result;
use crate::model::id::Cid;

/// Get the result of an invocation.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct ShowResult {
    /// CID of the invocation.
    cid: Cid,
    /// Show all events until the end.
    #[arg(long, conflicts_with = "wait")]
    follow: bool,
    /// Wait for the end of the invocation, at most this long.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    wait: Option<Duration>,
    #[command(flatten)]
    node: NodeArgs,
}

impl ShowResult {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect().await?;
        if self.follow {
            let followed = follow(&client, self.cid, printer);
            return until_interrupted(self.cid, printer, followed).await;
        }
        let invocation = client
            .invocation(self.cid, self.wait.unwrap_or_default())
            .await?;
        printer.payload(outcome(invocation, self.cid)?)
    }
}
