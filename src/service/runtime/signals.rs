//! The signals that stop a process: the first one starts a graceful shutdown, the second one ends it at once.

use crate::model::error::Result;
#[cfg(unix)]
use crate::model::error::{Error, reason};

/// SIGTERM, SIGINT, and SIGHUP unless the process ignores it (`nohup`); Ctrl-C where there are no such signals.
///
/// They are caught from its creation on, and until the process ends: they no longer end it by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    /// Catches the signals.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `SIGNALS_FAILED`.
    #[cfg(unix)]
    pub(crate) fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let catch = |kind| signal(kind).map_err(signals_failed);
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hang_up: match is_hang_up_ignored() {
                true => None,
                false => Some(catch(SignalKind::hangup())?),
            },
        })
    }

    /// Catches Ctrl-C once it is polled.
    #[cfg(not(unix))]
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next signal and returns its name.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = async {
                match &mut self.hang_up {
                    Some(signal) => drop(signal.recv().await),
                    None => std::future::pending().await,
                }
            } => "SIGHUP",
        }
    }

    /// Waits for the next signal and returns its name.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(error) => {
                tracing::warn!(%error, "cannot listen for Ctrl-C");
                std::future::pending().await
            }
        }
    }

    /// Ignores SIGHUP from now on.
    #[cfg(all(unix, feature = "cli"))]
    pub(crate) fn ignore_hang_up(&mut self) {
        // The process still catches it, and nothing waits for it.
        self.hang_up = None;
    }

    /// There is no SIGHUP.
    #[cfg(all(not(unix), feature = "cli"))]
    #[expect(clippy::unused_self, reason = "there is no such signal here")]
    pub(crate) fn ignore_hang_up(&self) {}

    /// Stops gracefully after the first signal. The next one drops `stop`, and its name is returned.
    pub(crate) async fn stop(&mut self, stop: impl Future<Output = ()>) -> Option<&'static str> {
        tokio::select! {
            () = stop => {
                tracing::info!("stopped");
                None
            }
            signal = self.next() => {
                tracing::warn!(signal, "second signal: stopping at once");
                Some(signal)
            }
        }
    }
}

/// The error of signals that cannot be caught.
#[cfg(unix)]
pub(crate) fn signals_failed(error: std::io::Error) -> Error {
    Error::internal(reason::SIGNALS_FAILED, "cannot listen for signals").with_source(error)
}

/// Whether the process was started with SIGHUP ignored. Only Linux tells this to a program without unsafe code.
#[cfg(unix)]
fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is signal 1, the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
