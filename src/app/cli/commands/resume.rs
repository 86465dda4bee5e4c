//! `cidery resume`.

use clap::Args;

use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::dict;
use crate::model::error::Result;

/// Start the invocations of a node that was started with `--hold`.
///
/// `cidery service resume` resumes a paused service.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Resume {
    #[command(flatten)]
    node: NodeArgs,
}

impl Resume {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let was_held = client.resume_node().await?;
        let name = client.node().to_owned();
        if !printer.object(&name, || dict! { "was_held": was_held }.into()) {
            match was_held {
                true => printer.note(Tone::Good, "the node runs what it has accepted"),
                false => printer.note(Tone::Quiet, "the node was not held"),
            }
        }
        Ok(())
    }
}
