//! `cidery check-worker`: checks a worker in any language.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::app::cli::args::duration;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::config::listen_address;
use crate::dict;
use crate::edge::{self, listener};
use crate::model::error::{Error, Result, reason};
use crate::model::value::Dict;
use crate::remote::conformance::{CheckReport, Options, Port, Verdict, check_worker};
use crate::service::runtime::Tasks;

/// Check a worker against the worker protocol.
///
/// The command listens like a node and waits for the worker: start the worker with this address as its node. The result
/// of each check is `ok`, `failed` (with the rule in docs/worker-protocol.md) or `left out`. The exit code is 0 if no
/// check failed.
///
/// The checks call the services of the worker, some of them many times, with sample inputs from their declarations. Use
/// --service to select services whose handlers have no side effects.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct CheckWorker {
    /// Address to listen on, as the node of the worker. Port 0 selects a free port.
    #[arg(value_parser = listen_address, default_value = "127.0.0.1:24337", value_name = "ADDRESS")]
    address: SocketAddr,
    /// The same as ADDRESS.
    #[arg(long, value_parser = listen_address, value_name = "HOST:PORT", conflicts_with = "address")]
    listen: Option<SocketAddr>,
    /// Maximum time until the worker connects.
    #[arg(long, value_parser = duration, default_value = "5m", value_name = "DURATION")]
    wait: Duration,
    /// Maximum time of each step, such as a response or a reconnect.
    #[arg(long, value_parser = duration, default_value = "20s", value_name = "DURATION")]
    timeout: Duration,
    /// Call only this service (repeatable). Default: all services, at most 100.
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Allow addresses other than loopback.
    #[arg(long)]
    insecure: bool,
}

impl CheckWorker {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let address = self.listen.unwrap_or(self.address);
        if !(address.ip().is_loopback() || self.insecure) {
            let message =
                format!("{address} is not a loopback address; allow it with `--insecure`");
            return Err(Error::invalid_argument(reason::INSECURE_ADDRESS, message));
        }
        let listener = listener::bind(address).await?;
        if let Ok(bound) = listener.local_addr() {
            let _ = printer.listening(bound);
        }
        let note = "waiting for the worker; its services will be called";
        printer.note(Tone::Quiet, note);
        let options = Options {
            wait: self.wait,
            timeout: self.timeout,
            services: self.services,
        };
        let (mut checks, mut failed) = (0_usize, 0_usize);
        let (port, service) = Port::new();
        let tasks = Tasks::new();
        let connections = edge::conformance::serve(listener, service, &tasks);
        check_worker(port, options, |check| {
            checks += 1;
            failed += usize::from(matches!(check.verdict, Verdict::Failed(_)));
            if !printer.event(|| as_dict(&check).into()) {
                printer.text(&as_text(&check));
            }
        })
        .await;
        drop(connections);
        tasks.finished().await;
        if failed == 0 {
            return Ok(());
        }
        let message = format!("{failed} of {checks} checks failed");
        Err(Error::failed_precondition(reason::CHECKS_FAILED, message))
    }
}

fn as_text(CheckReport { name, verdict }: &CheckReport) -> String {
    match verdict {
        Verdict::Passed(None) => format!("ok        {name}"),
        Verdict::Passed(Some(note)) => format!("ok        {name} ({note})"),
        Verdict::LeftOut(why) => format!("left out  {name} ({why})"),
        Verdict::Failed(fault) => format!(
            "failed    {name}\n          seen: {}\n          rule: {} (docs/worker-protocol.md, {})",
            fault.seen, fault.rule.text, fault.rule.section
        ),
    }
}

fn as_dict(CheckReport { name, verdict }: &CheckReport) -> Dict {
    let name = name.as_str();
    match verdict {
        Verdict::Passed(note) => {
            dict! { "event": "check", "check": name, "verdict": "ok", "note": note.as_deref().unwrap_or_default() }
        }
        Verdict::LeftOut(why) => {
            dict! { "event": "check", "check": name, "verdict": "left_out", "note": why.as_str() }
        }
        Verdict::Failed(fault) => dict! {
            "event": "check",
            "check": name,
            "verdict": "failed",
            "seen": fault.seen.as_str(),
            "rule": fault.rule.text,
            "section": fault.rule.section,
        },
    }
}
