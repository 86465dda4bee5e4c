//! `cidery dead-letters`: what nobody but an operator runs again, and the bulk commands for it.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::cancel::Cancel;
use super::purge::Purge;
use super::release::Release;
use super::retry::Retry;
use crate::app::cli::args::usage_error;
use crate::app::cli::filter::note_unknown_services;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::cli::summary_table::{is_held, print_summaries};
use crate::app::cli::watch::WatchArgs;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::remote::client::ContractClient;

/// Show the dead-letter queue, or change what is in it.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct DeadLetters {
    #[command(subcommand)]
    change: Option<Change>,
    /// Only those of this service (repeatable).
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    node: NodeArgs,
}

/// A bulk change of dead letters.
#[derive(Debug, Subcommand)]
enum Change {
    /// Release held invocations: each has one more attempt, under the same CID.
    Release(Release),
    /// Retry failed invocations under new CIDs, and release held ones.
    Retry(Retry),
    /// Cancel held invocations.
    Cancel(Cancel),
    /// Remove failed invocations.
    Purge(Purge),
}

impl DeadLetters {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let Some(change) = self.change else {
            let services = &self.services;
            let show = async |client: &_, printer: &_| show(client, services, printer).await;
            return self.watch.run(&self.node, printer, show).await;
        };
        if self.watch.is_given() {
            return Err(usage_error("`--watch` shows the queue, and has no verb"));
        }
        let done = match change {
            // They would change all services otherwise.
            _ if !self.services.is_empty() => {
                let message =
                    "`--service` stands after the verb: `cidery dead-letters retry --service NAME`";
                Err(usage_error(message))
            }
            Change::Release(command) => command.of_dead_letters()?.run(printer).await,
            Change::Retry(command) => command.of_dead_letters()?.run(printer).await,
            Change::Cancel(command) => command.of_dead_letters()?.run(printer).await,
            Change::Purge(command) => command.of_dead_letters()?.run(printer).await,
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

async fn show(client: &ContractClient, services: &[String], printer: &Printer) -> Result<ExitCode> {
    let found = client.dead_letters(services.to_vec()).await?.summaries;
    print_summaries(printer, &found, "the dead-letter queue is empty");
    if found.is_empty() {
        note_unknown_services(client, services, printer).await?;
    } else {
        advise(printer, &found);
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what to do with them.
fn advise(printer: &Printer, found: &[v1::InvocationSummary]) {
    let count = |held: bool| -> u64 {
        let found = found.iter().filter(|letters| is_held(letters) == held);
        found.map(|letters| letters.count).sum()
    };
    let command = "cidery dead-letters";
    let note = |text: String| printer.note(Tone::Quiet, &text);
    if let held @ 1.. = count(true) {
        note(format!(
            "{held} held: `{command} release` runs each once more, `{command} cancel` ends them"
        ));
    }
    if let failed @ 1.. = count(false) {
        note(format!(
            "{failed} failed: `{command} retry` runs each again, `{command} purge` removes them"
        ));
    }
    note(
        "of one, `cidery explain CID` shows the attempts, and `cidery retry CID --json JSON` retries it with another \
         input"
            .to_owned(),
    );
}
