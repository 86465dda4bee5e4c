//! The script of a run: its checks, in order.

use std::time::Duration;

use super::checks::{basics, draining, keep_alive, load, reconnecting, resuming};
use super::port::Port;
use super::report::{CheckReport, CheckResult, Verdict};
use super::rules;
use super::run::Run;

/// Options of a run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How long to wait until the worker connects first.
    pub(crate) wait: Duration,
    /// How long each later step may take: an answer, a reconnect.
    pub(crate) timeout: Duration,
    /// The services that are called; all of the worker's if empty.
    pub(crate) services: Vec<String>,
}

/// Checks the worker that connects to a port. `report` gets each verdict as it is reached.
pub(crate) async fn check_worker(
    port: Port,
    options: Options,
    mut report: impl FnMut(CheckReport),
) {
    let mut run = Run::new(port, options.timeout);
    let mut tell = |name: &str, result: CheckResult| {
        let name = name.to_owned();
        let verdict = Verdict::from(result);
        report(CheckReport { name, verdict });
    };
    let hello = basics::hello(&mut run, options.wait).await;
    let is_known = hello.is_ok();
    tell("hello", hello);
    if !is_known {
        return;
    }
    let (called, unknown): (Vec<_>, Vec<_>) = basics::selected(&run, &options.services);
    for service in unknown {
        let fault = rules::SELECTED.broken("the worker does not announce it");
        tell(&format!("dispatch {service}"), Err(fault.into()));
    }
    run.definitions = called;
    for definition in run.definitions.clone() {
        let result = basics::dispatch(&mut run, &definition).await;
        tell(&format!("dispatch {}", definition.name()), result);
    }
    tell("unknown messages", basics::unknown_messages(&mut run).await);
    tell("concurrent dispatches", load::concurrent(&mut run).await);
    tell("overdue dispatch", load::overdue(&mut run).await);
    tell("cancel", load::cancel(&mut run).await);
    tell("large input", load::large_input(&mut run).await);
    tell("batches", load::batches(&mut run).await);
    tell("repeated dispatch", resuming::repeated(&mut run).await);
    tell("reconnect", reconnecting::after_a_cut(&mut run).await);
    tell("backoff", reconnecting::with_backoff(&mut run).await);
    tell("resume", resuming::resume(&mut run).await);
    tell(
        "acknowledged results",
        resuming::acknowledged(&mut run).await,
    );
    tell("restarted node", resuming::restarted_node(&mut run).await);
    tell("refused resume", resuming::refused(&mut run).await);
    tell("drain", draining::by_the_node(&mut run).await);
    tell("keep-alive", keep_alive::pings(&run));
}
