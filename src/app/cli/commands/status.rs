//! `cidery status`.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use crate::app::cli::names::{node_health_name, pending_reason_name};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::Printer;
use crate::app::cli::times::{age, between, duration_text};
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::engine::clock::Clock;
use crate::model::error::Result;
use crate::model::size::size_text;

/// The exit code of a node that serves calls, and needs an operator soon.
const DEGRADED: u8 = 1;
/// The exit code of a node that accepts no work: that of a node that cannot be reached.
const NOT_SERVING: u8 = 6;
/// How many rows of a list people see. `--output json` has them all.
const MAX_ROWS: usize = 10;

/// Show the health of a node, what is wrong and what to do, its load, its store and its limits.
///
/// The exit code is 0 if the node is healthy, 1 if something needs attention, and 6 if it accepts no work or cannot be
/// reached.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Status {
    #[command(flatten)]
    node: NodeArgs,
}

impl Status {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let client = self.node.connect(printer).await?;
        let status = client.status().await?;
        let name = node_health_name(status.health);
        if !printer.object(name, || objects::status(&status)) {
            print(printer, client.node(), &status);
        }
        Ok(match status.health() {
            v1::NodeHealth::Serving => ExitCode::SUCCESS,
            v1::NodeHealth::NotServing => ExitCode::from(NOT_SERVING),
            v1::NodeHealth::Degraded | v1::NodeHealth::Unspecified => ExitCode::from(DEGRADED),
        })
    }
}

fn print(printer: &Printer, node: &str, status: &v1::GetStatusResponse) {
    let health = node_health_name(status.health);
    let up = time(status.start_time.as_ref()).map_or_else(String::new, |start| {
        let up = between(start, Clock::System.now());
        format!(", up {}", duration_text(up))
    });
    printer.data(&format!("{health}  {node}, version {}{up}", status.version));
    let reasons = status.health_reasons.iter();
    let reasons: Vec<_> = reasons
        .map(|it| [it.reason.clone(), it.message.clone()])
        .collect();
    section(printer, "", &reasons, |rows| printer.properties(rows));
    section(printer, "", &numbers(status), |rows| {
        printer.properties(rows)
    });
    let oldest = |due: &v1::OldestDue| {
        let due_time = time(due.due_time.as_ref());
        [
            due.service.clone(),
            due_time.map(age).unwrap_or_default(),
            pending_reason_name(due.pending_reason).to_owned(),
            due.pending.to_string(),
            due.cid.clone(),
        ]
    };
    let rows = rows(&status.oldest_due, oldest);
    let headings = ["SERVICE", "DUE FOR", "REASON", "PENDING", "CID"];
    section(printer, "Due longest", &rows, |rows| {
        printer.table(headings, rows)
    });
    print_services(printer, status);
    let used = |limit: &v1::LimitUse| {
        let percent = u128::from(limit.used) * 100 / u128::from(limit.limit.max(1));
        let amount = |n: u64| match limit.name.as_str() {
            "bytes" => size_text(n),
            _ => n.to_string(),
        };
        [
            limit.name.clone(),
            limit.service.clone(),
            format!("{percent} %"),
            amount(limit.used),
            amount(limit.limit),
        ]
    };
    let rows = self::rows(&status.limits, used);
    let headings = ["NAME", "SERVICE", "PART", "USED", "LIMIT"];
    section(printer, "Limits used most", &rows, |rows| {
        printer.table(headings, rows)
    });
}

fn print_services(printer: &Printer, status: &v1::GetStatusResponse) {
    let unserved = |it: &v1::UnservedService| {
        let last_served = time(it.last_served_time.as_ref());
        let last_served = last_served.map(|time| age(time) + " ago");
        [
            it.service.clone(),
            it.pending.to_string(),
            last_served.unwrap_or_default(),
        ]
    };
    let rows = rows(&status.unserved_services, unserved);
    let headings = ["SERVICE", "PENDING", "LAST SERVED"];
    section(printer, "Served by nobody", &rows, |rows| {
        printer.table(headings, rows)
    });
    let control = |it: &v1::ServiceControl| {
        let state = match (it.disabled, it.background_only) {
            (true, _) => "DISABLED",
            (false, true) => "PAUSED IN THE BACKGROUND",
            (false, false) => "PAUSED",
        };
        let since = time(it.time.as_ref()).map(age);
        [
            it.service.clone(),
            state.to_owned(),
            since.unwrap_or_default(),
            it.reason.clone(),
        ]
    };
    let rows = self::rows(&status.controls, control);
    let headings = ["SERVICE", "STATE", "AGE", "REASON"];
    section(printer, "Paused and disabled", &rows, |rows| {
        printer.table(headings, rows)
    });
    let failures = |it: &v1::InvocationSummary| {
        [
            it.count.to_string(),
            it.service.clone(),
            it.failure_reason.clone(),
            it.example_cid.clone(),
            it.example_message.clone(),
        ]
    };
    let rows = self::rows(&status.failures, failures);
    let headings = ["COUNT", "SERVICE", "REASON", "EXAMPLE", "MESSAGE"];
    let title = "Failed in the last hour";
    section(printer, title, &rows, |rows| printer.table(headings, rows));
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
        held => format!("{held}: `cidery invocations --pending held`"),
    };
    let builds = status.builds.iter().take(MAX_ROWS).map(|build| {
        let name = [build.worker_name.as_str(), build.build_id.as_str()];
        let name = name.join(" ");
        match build.workers {
            1 => name.trim().to_owned(),
            workers => format!("{} ({workers})", name.trim()),
        }
    });
    let builds: Vec<_> = builds.collect();
    let workers = match builds.is_empty() {
        true => status.workers.to_string(),
        false => format!("{}: {}", status.workers, builds.join(", ")),
    };
    let mut numbers = vec![
        row("running", status.running.to_string()),
        row("pending", status.pending.to_string()),
        row("held", held),
        row("services", status.services.to_string()),
        row("workers", workers),
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
        let names = certificate.names.iter().take(MAX_ROWS);
        let names: Vec<&str> = names.map(String::as_str).collect();
        let end = time(certificate.expire_time.as_ref());
        let end = end.map(|end| end.to_string()).unwrap_or_default();
        let text = format!("expires {end}, for {}", names.join(", "));
        numbers.push(row("certificate", text));
    }
    numbers
}

fn rows<T, const N: usize>(all: &[T], row: impl Fn(&T) -> [String; N]) -> Vec<[String; N]> {
    all.iter().take(MAX_ROWS).map(row).collect()
}

/// Prints a part of the page after an empty line, unless it is empty.
fn section<const N: usize>(
    printer: &Printer,
    title: &str,
    rows: &[[String; N]],
    print: impl Fn(&[[String; N]]),
) {
    if rows.is_empty() {
        return;
    }
    printer.data("");
    if !title.is_empty() {
        printer.data(title);
    }
    print(rows);
}

fn time(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(timestamp_from_proto)
}
