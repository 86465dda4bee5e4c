//! `cidery health`: whether a node serves, for probes.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::app::cli::args::positive_duration;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::Printer;
use crate::dict;
use crate::model::error::{Error, Kind, Result, reason};

/// Show whether a node serves, for probes.
///
/// One call of the health service of gRPC. The exit code is 0 for `SERVING`, and 6 for `NOT_SERVING` and for a node
/// that does not answer. `cidery status` says what is wrong.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Health {
    /// Service to ask about. Default: the node itself.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    service: String,
    /// Time to wait for the answer.
    #[arg(long, value_parser = positive_duration, default_value = "5s", value_name = "DURATION")]
    timeout: Duration,
    #[command(flatten)]
    node: NodeArgs,
}

impl Health {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let asked = tokio::time::timeout(self.timeout, async {
            // The supervisor repeats its probes.
            let client = self.node.connect(printer).await?.max_attempts(1);
            client.is_serving(&self.service).await
        });
        let is_serving = asked.await.unwrap_or_else(|_| {
            let message = "the node does not answer in time";
            Err(Error::unavailable(reason::CONNECT_FAILED, message))
        })?;
        let (status, code) = match is_serving {
            true => ("SERVING", 0),
            false => ("NOT_SERVING", Kind::Unavailable.exit_code()),
        };
        if !printer.object(status, || dict! { "status": status }.into()) {
            printer.data(status);
        }
        Ok(ExitCode::from(code))
    }
}
