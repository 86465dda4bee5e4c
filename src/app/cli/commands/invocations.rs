//! `cidery invocations`.

use std::process::ExitCode;

use clap::Args;

use crate::app::cli::filter::{FilterArgs, note_unknown_services};
use crate::app::cli::names::{age_of, reason_name, service_name, shown_cids, state_name};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::{Column, List, Printer, Row, Tone};
use crate::app::cli::summary_table::print_summaries;
use crate::app::cli::watch::WatchArgs;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::Result;
use crate::remote::client::ContractClient;

const NO_MATCH: &str = "no invocations match";
/// The width of a table with whole CIDs, and with what is beside them.
const WIDE: u16 = 100;

/// List stored invocations, newest first.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Invocations {
    #[command(flatten)]
    filter: FilterArgs,
    /// Maximum number of invocations.
    #[arg(
        long,
        value_parser = clap::value_parser!(u32).range(1..),
        default_value = "20",
        value_name = "NUMBER"
    )]
    limit: u32,
    /// List all invocations that match.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Print only how many invocations match.
    #[arg(long, conflicts_with_all = ["limit", "all", "summary"])]
    count: bool,
    /// Print how many invocations match by service, state and reason, each with an example.
    #[arg(long, conflicts_with_all = ["limit", "all"])]
    summary: bool,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl Invocations {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let filter = self.filter.clone().filter()?;
        let show = async |client: &_, printer: &_| {
            let shown = self.show(client, filter.clone(), printer).await;
            shown.map(|()| ExitCode::SUCCESS)
        };
        self.watch.run(&self.node, printer, show).await
    }

    async fn show(
        &self,
        client: &ContractClient,
        filter: v1::InvocationFilter,
        printer: &Printer,
    ) -> Result<()> {
        let services = filter.services.clone();
        if self.count {
            let count = client.summarize(filter).await?.total;
            let name = count.to_string();
            if !printer.object(&name, || dict! { "count": count }.into()) {
                printer.data(&name);
            }
            if count == 0 {
                note_unknown_services(client, &services, printer).await?;
            }
            return Ok(());
        }
        if self.summary {
            let found = client.summarize(filter).await?;
            print_summaries(printer, &found.summaries, NO_MATCH);
            note_uncounted(printer, &found);
            if found.total == 0 {
                note_unknown_services(client, &services, printer).await?;
            }
            return Ok(());
        }
        let limit = match self.all {
            true => usize::MAX,
            false => usize::try_from(self.limit).unwrap_or(usize::MAX),
        };
        // One more tells whether the list is complete.
        let mut found = client.invocations(filter, limit.saturating_add(1)).await?;
        let is_cut = found.len() > limit;
        found.truncate(limit);
        print(printer, &found);
        if found.is_empty() {
            note_unknown_services(client, &services, printer).await?;
        }
        if is_cut {
            let note = format!(
                "showing the newest {limit}, there are more: `--limit NUMBER` or `--all` shows them, `--count` counts \
                 them"
            );
            printer.note(Tone::Quiet, &note);
        }
        Ok(())
    }
}

fn print(printer: &Printer, found: &[v1::Invocation]) {
    let is_narrow = printer.width().is_some_and(|width| width < WIDE);
    let cids = shown_cids(found.iter().map(|one| one.cid.as_str()), is_narrow);
    let rows = found.iter().zip(cids).map(|(invocation, cid)| Row {
        name: invocation.cid.clone(),
        object: objects::invocation(invocation).into(),
        cells: [
            cid,
            service_name(invocation).to_owned(),
            state_name(invocation.state),
            invocation.attempt.to_string(),
            age_of(invocation.accept_time.as_ref()),
            reason_name(invocation),
        ],
    });
    printer.list(List {
        columns: [
            Column::fixed("CID"),
            Column::text("SERVICE"),
            Column::fixed("STATE"),
            Column::fixed("ATTEMPT"),
            Column::fixed("AGE"),
            Column::text("REASON"),
        ],
        rows: rows.collect(),
        if_empty: NO_MATCH,
    });
}

/// Says how many are not in the table of counts.
fn note_uncounted(printer: &Printer, found: &v1::SummarizeInvocationsResponse) {
    let counted: u64 = found.summaries.iter().map(|one| one.count).sum();
    if counted < found.total {
        let more = found.total - counted;
        let note = format!("{more} more invocations match: only the most frequent are shown");
        printer.note(Tone::Quiet, &note);
    }
}
