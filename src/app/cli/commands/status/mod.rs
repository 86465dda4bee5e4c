//! `cidery status`.

mod tables;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::app::cli::names::node_health_name;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::Printer;
use crate::app::cli::times::{between, duration_text};
use crate::app::cli::watch::WatchArgs;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::engine::clock::Clock;
use crate::model::error::Result;
use crate::model::size::size_text;
use crate::remote::client::ContractClient;

/// The exit code of a node that serves calls, and needs an operator soon.
const DEGRADED: u8 = 1;
/// The exit code of a node that accepts no work: that of a node that cannot be reached.
const NOT_SERVING: u8 = 6;
/// How many builds of workers are named.
const MAX_BUILDS: usize = 10;

/// Show the health of a node, what is wrong and what to do, its load, its store and its limits.
///
/// The exit code is 0 if the node is healthy, 1 if something needs attention, and 6 if it accepts no work or cannot be
/// reached.
///
/// Of each list it shows the first ten rows, and says how many more there are. `--output json` has them all.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Status {
    /// Show all rows of each list.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl Status {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let show = async |client: &_, printer: &_| self.show(client, printer).await;
        self.watch.run(&self.node, printer, show).await
    }

    async fn show(&self, client: &ContractClient, printer: &Printer) -> Result<ExitCode> {
        let status = client.status().await?;
        let name = node_health_name(status.health);
        if !printer.object(name, || objects::status(&status)) {
            print(printer, client.node(), &status, self.all);
        }
        Ok(match status.health() {
            v1::NodeHealth::Serving => ExitCode::SUCCESS,
            v1::NodeHealth::NotServing => ExitCode::from(NOT_SERVING),
            v1::NodeHealth::Degraded | v1::NodeHealth::Unspecified => ExitCode::from(DEGRADED),
        })
    }
}

fn print(printer: &Printer, node: &str, status: &v1::GetStatusResponse, show_all: bool) {
    let health = node_health_name(status.health);
    let up = time(status.start_time.as_ref()).map_or_else(String::new, |start| {
        let up = between(start, Clock::System.now());
        format!(", up {}", duration_text(Duration::from_secs(up.as_secs())))
    });
    printer.data(&format!("{health}  {node}, version {}{up}", status.version));
    let reasons = status.health_reasons.iter();
    let reasons: Vec<_> = reasons
        .map(|it| [it.reason.clone(), it.message.clone()])
        .collect();
    for rows in [reasons, numbers(status)] {
        if !rows.is_empty() {
            printer.data("");
            printer.properties(&rows);
        }
    }
    tables::print(printer, status, show_all);
}

/// What a node has and does, in numbers.
fn numbers(status: &v1::GetStatusResponse) -> Vec<[String; 2]> {
    let row = |name: &str, text: String| [name.to_owned(), text];
    let disk = match status.disk_free_bytes {
        0 => String::new(),
        free => format!("; {} of the disk are free", size_text(free)),
    };
    let held = match status.held_invocations {
        0 => "0".to_owned(),
        held => format!("{held}: `cidery dead-letters`"),
    };
    let mut numbers = vec![
        row("running", status.running.to_string()),
        row("pending", status.pending.to_string()),
        row("held", held),
        row("services", status.services.to_string()),
        row("workers", workers(status)),
        row("operations", status.operations.to_string()),
        row(
            "store",
            format!(
                "{}: {} of {}{disk}",
                status.store,
                size_text(status.store_size_bytes),
                size_text(status.store_bytes_limit)
            ),
        ),
    ];
    if let Some(certificate) = &status.certificate {
        let names = certificate.names.iter().take(MAX_BUILDS);
        let names: Vec<&str> = names.map(String::as_str).collect();
        let end = time(certificate.expire_time.as_ref());
        let end = end.map(|end| end.to_string()).unwrap_or_default();
        let text = format!("expires {end}, for {}", names.join(", "));
        numbers.push(row("certificate", text));
    }
    numbers
}

/// `3 (1 away): billing 1.4.2 (2), mail 7`
fn workers(status: &v1::GetStatusResponse) -> String {
    let builds = status.builds.iter().take(MAX_BUILDS).map(|build| {
        let name = [build.worker_name.as_str(), build.build_id.as_str()];
        let name = name.join(" ");
        match build.workers {
            1 => name.trim().to_owned(),
            workers => format!("{} ({workers})", name.trim()),
        }
    });
    let builds: Vec<_> = builds.collect();
    let all = status.totals.unwrap_or_default().builds;
    let more = usize::try_from(all).unwrap_or(usize::MAX);
    let more = match more.saturating_sub(builds.len()) {
        0 => String::new(),
        more => format!(" and {more} more builds: `cidery workers`"),
    };
    let away = match status.workers_away {
        0 => String::new(),
        away => format!(" ({away} away)"),
    };
    match builds.is_empty() {
        true => status.workers.to_string(),
        false => format!("{}{away}: {}{more}", status.workers, builds.join(", ")),
    }
}

fn time(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(timestamp_from_proto)
}
