//! Graceful shutdown: the order in which a node drains, its timeouts, and the signals that start it.

use std::time::Duration;

use tokio::time::Instant;

use crate::edge::grpc::Serving;
use crate::edge::listener::Shutdown;
use crate::engine::Invoker;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;
#[cfg(target_os = "linux")]
use crate::service::runtime::signals_failed;
use crate::service::runtime::{Signals, Tasks};

/// How long running handlers have to finish by default.
pub(in crate::app) const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the node still accepts work after it has announced its shutdown to connected clients.
const DRAIN_NOTICE: Duration = Duration::from_millis(250);
/// How long connections and background tasks have to end once no handler runs any more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How many services with running handlers a log line names.
const MAX_LISTED: usize = 5;

/// Stops a node, in this order:
///
/// 1. Health reports `NOT_SERVING`, workers get no new dispatches, the listener closes.
/// 2. Connections of callers drain. Work that was sent within [`DRAIN_NOTICE`] is still accepted.
/// 3. The engine refuses new work and waits for running handlers, at most `drain_timeout`.
/// 4. Handlers that still run are cancelled and have the grace period.
/// 5. Streams end, then connections of workers. Connections that are still open at the end are aborted.
/// 6. The session of the store ends, so that nodes that share it need not wait for this one.
pub(in crate::app) async fn stop(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    serving: &Serving,
    shutdown: &Shutdown,
    tasks: &Tasks,
    drain_timeout: Duration,
) {
    // Connections end even where this future is dropped.
    let _abort_on_drop = shutdown.abort.clone().drop_guard();
    serving.set(false);
    workers.stop_admission();
    shutdown.stop_accepting.cancel();
    shutdown.callers.close();
    let _ = tokio::time::timeout(DRAIN_NOTICE, shutdown.callers.wait()).await;
    invoker.drain();
    workers.announce_stop(drain_timeout);
    let drain_deadline = Instant::now() + drain_timeout;
    drain_handlers(invoker, drain_deadline, drain_timeout).await;
    invoker.close();
    shutdown.drain_workers.cancel();
    // Clients that still read responses have the rest of the drain timeout, at least `CLOSE_TIMEOUT`.
    let close_deadline = drain_deadline.max(Instant::now() + CLOSE_TIMEOUT);
    let closed = tokio::time::timeout_at(close_deadline, tasks.finished()).await;
    if closed.is_err() {
        shutdown.abort.cancel();
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, tasks.finished()).await;
    }
    invoker.store().close().await;
}

/// How many handlers of which services run: `customer.import=2, demo.sleep=1`, the most first; `None` if none does.
pub(in crate::app) fn running_services(invoker: &Invoker) -> Option<String> {
    let services = invoker.services().into_iter();
    let running = services.map(|service| {
        let running: usize = service.locations.iter().map(|place| place.running).sum();
        (running, service.definition.name().to_string())
    });
    let mut running: Vec<_> = running.filter(|(running, _)| *running > 0).collect();
    running.sort_by(|(one, _), (other, _)| other.cmp(one));
    let listed: Vec<String> = running
        .iter()
        .take(MAX_LISTED)
        .map(|(running, name)| format!("{name}={running}"))
        .collect();
    let more = if running.len() > MAX_LISTED {
        ", …"
    } else {
        ""
    };
    (!listed.is_empty()).then(|| listed.join(", ") + more)
}

/// Waits for running handlers until the deadline, then cancels them.
async fn drain_handlers(invoker: &Invoker, deadline: Instant, drain_timeout: Duration) {
    let drained = tokio::time::timeout_at(deadline, invoker.wait_idle()).await;
    if drained.is_ok() {
        return;
    }
    tracing::warn!(
        running = invoker.running_handlers(),
        services = running_services(invoker),
        drain = ?drain_timeout,
        "drain timeout reached: cancelling running handlers"
    );
    invoker.halt();
    // One grace period for the handlers, one for the hooks after them.
    let grace = invoker.limits().grace * 2;
    let stopped = tokio::time::timeout(grace, invoker.wait_idle()).await;
    if stopped.is_err() {
        tracing::error!(
            running = invoker.running_handlers(),
            services = running_services(invoker),
            "handlers did not stop within the grace period"
        );
    }
}

/// Catches the signals that stop a node. On Linux a file that reaches the limit of the process (`RLIMIT_FSIZE`) does
/// not end it either: the write fails instead.
///
/// # Errors
///
/// `INTERNAL` / `SIGNALS_FAILED`.
pub(in crate::app) fn catch_signals() -> Result<Signals> {
    let signals = Signals::new()?;
    #[cfg(target_os = "linux")]
    catch_file_size_signal()?;
    Ok(signals)
}

/// SIGXFSZ stays caught after the listener is dropped.
#[cfg(target_os = "linux")]
fn catch_file_size_signal() -> Result<()> {
    const FILE_SIZE_SIGNAL: i32 = 25;
    let kind = tokio::signal::unix::SignalKind::from_raw(FILE_SIZE_SIGNAL);
    tokio::signal::unix::signal(kind)
        .map(drop)
        .map_err(signals_failed)
}
