//! `cidery dead-letters`: what nobody but an operator runs again, and the bulk commands for it.

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
use crate::codec::proto::v1;
use crate::model::error::Result;

/// Show the dead-letter queue, or change what is in it.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct DeadLetters {
    #[command(subcommand)]
    change: Option<Change>,
    /// Only those of this service (repeatable).
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
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
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        match self.change {
            None => show(&self.node, self.services, printer).await,
            // They would change all services otherwise.
            Some(_) if !self.services.is_empty() => {
                let message =
                    "`--service` stands after the verb: `cidery dead-letters retry --service NAME`";
                Err(usage_error(message))
            }
            Some(Change::Release(command)) => command.of_dead_letters()?.run(printer).await,
            Some(Change::Retry(command)) => command.of_dead_letters()?.run(printer).await,
            Some(Change::Cancel(command)) => command.of_dead_letters()?.run(printer).await,
            Some(Change::Purge(command)) => command.of_dead_letters()?.run(printer).await,
        }
    }
}

async fn show(node: &NodeArgs, services: Vec<String>, printer: &Printer) -> Result<()> {
    let client = node.connect(printer).await?;
    let found = client.dead_letters(services.clone()).await?.summaries;
    print_summaries(printer, &found, "the dead-letter queue is empty");
    if found.is_empty() {
        return note_unknown_services(&client, &services, printer).await;
    }
    advise(printer, &found);
    Ok(())
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
