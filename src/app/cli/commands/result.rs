//! `cidery result`.

use std::time::Duration;

use clap::Args;

use crate::app::cli::args::duration;
use crate::app::cli::cid_arg::CidArg;
use crate::app::cli::detach::{at_most, until_interrupted};
use crate::app::cli::follow::{follow, outcome};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::model::error::Result;

/// Get the result of an invocation.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct ShowResult {
    /// CID of the invocation, a unique prefix of it, or `last`.
    ///
    /// `last` is the last stored invocation that this user started with `invoke`, from any terminal and at any node.
    cid: CidArg,
    /// Show all events until the end, or until --wait is over.
    #[arg(long)]
    follow: bool,
    /// Wait for the end of the invocation, at most this long.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    wait: Option<Duration>,
    #[command(flatten)]
    node: NodeArgs,
}

impl ShowResult {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let cid = self.cid.resolve(&client).await?;
        if self.follow {
            let followed = follow(&client, cid, printer);
            let followed = Box::pin(at_most(self.wait, cid, followed));
            return until_interrupted(cid, printer, followed).await;
        }
        let wait = self.wait.unwrap_or_default();
        let invocation = client.invocation(cid, wait).await?;
        if !invocation.retried_as.is_empty() {
            let note = format!("retried as {}", invocation.retried_as);
            printer.note(Tone::Quiet, &note);
        }
        printer.response(cid, outcome(invocation, cid)?)
    }
}
