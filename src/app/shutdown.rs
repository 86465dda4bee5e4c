//! Graceful shutdown: the order in which a node drains, its timeouts, and the signals that start it.

use std::time::Duration;

use tokio::time::Instant;

use crate::edge::grpc::Serving;
use crate::edge::listener::Shutdown;
use crate::engine::Invoker;
use crate::engine::tasks::Tasks;
#[cfg(feature = "cli")]
use crate::model::error::{Error, Result};
use crate::remote::worker_registry::WorkerRegistry;

/// How long running handlers have to finish by default.
pub(in crate::app) const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the node still accepts work after it has announced its shutdown to connected clients.
const DRAIN_NOTICE: Duration = Duration::from_millis(250);
/// How long connections and background tasks have to end once no handler runs any more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Stops a node, in this order:
///
/// 1. Health reports `NOT_SERVING`, workers get no new dispatches, the listener closes.
/// 2. Connections of callers drain. Work that was sent within [`DRAIN_NOTICE`] is still accepted.
/// 3. The engine refuses new work and waits for running handlers, at most `drain_timeout`.
/// 4. Handlers that still run are cancelled and have the grace period.
/// 5. Streams end, then connections of workers. Connections that are still open at the end are aborted.
pub(in crate::app) async fn stop(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    serving: &Serving,
    shutdown: &Shutdown,
    tasks: &Tasks,
    drain_timeout: Duration,
) {
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
}

/// Waits for running handlers until the deadline, then cancels them.
async fn drain_handlers(invoker: &Invoker, deadline: Instant, drain_timeout: Duration) {
    let drained = tokio::time::timeout_at(deadline, invoker.wait_idle()).await;
    if drained.is_ok() {
        return;
    }
    tracing::warn!(
        running = invoker.running_handlers(),
        drain_ms = drain_timeout.as_millis(),
        "drain timeout reached: cancelling running handlers"
    );
    invoker.halt();
    // One grace period for the handlers, one for the hooks after them.
    let grace = invoker.limits().grace * 2;
    let stopped = tokio::time::timeout(grace, invoker.wait_idle()).await;
    if stopped.is_err() {
        tracing::error!(
            running = invoker.running_handlers(),
            "handlers did not stop within the grace period"
        );
    }
}

/// The signals that stop the process: SIGTERM, SIGINT, and SIGHUP unless the process ignores it (`nohup`).
#[cfg(feature = "cli")]
pub(in crate::app) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: Option<tokio::signal::unix::Signal>,
    /// A file that reaches the limit of the process (`RLIMIT_FSIZE`) must not end it: the write fails instead.
    #[cfg(target_os = "linux")]
    _file_size: tokio::signal::unix::Signal,
}

/// SIGXFSZ.
#[cfg(all(feature = "cli", target_os = "linux"))]
const FILE_SIZE_SIGNAL: i32 = 25;

#[cfg(feature = "cli")]
impl Signals {
    pub(in crate::app) fn new() -> Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let listen = |kind| {
                signal(kind).map_err(|error| {
                    Error::internal("SIGNALS_FAILED", "cannot listen for signals")
                        .with_source(error)
                })
            };
            Ok(Self {
                terminate: listen(SignalKind::terminate())?,
                hang_up: match is_hang_up_ignored() {
                    true => None,
                    false => Some(listen(SignalKind::hangup())?),
                },
                #[cfg(target_os = "linux")]
                _file_size: listen(SignalKind::from_raw(FILE_SIZE_SIGNAL))?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next signal and returns its name.
    pub(in crate::app) async fn next(&mut self) -> &'static str {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
            () = async {
                match &mut self.hang_up {
                    Some(signal) => drop(signal.recv().await),
                    None => std::future::pending().await,
                }
            } => "SIGHUP",
        }
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
            "Ctrl-C"
        }
    }
}

/// Whether the process was started with SIGHUP ignored. Only Linux tells this to a program without unsafe code.
#[cfg(all(feature = "cli", unix))]
fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is signal 1, the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
