//! What a node reads again while it runs, on SIGHUP or when its host asks for it, and what its signals mean.

use std::fmt;
use std::io::IsTerminal as _;
use std::pin::pin;

use crate::model::error::{Error, Result};
use crate::service::BoxFuture;
use crate::service::runtime::Signals;

const HANG_UP: &str = "SIGHUP";

/// Reads one thing again. It logs what comes of it; where it fails, the node goes on with what it has.
type Reload = Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// The list of what a node reads again, in this order.
#[derive(Default)]
pub(in crate::app) struct Reloads(Vec<(&'static str, Reload)>);

impl fmt::Debug for Reloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Reloads {
    /// Adds one, with a name for the log.
    #[cfg(any(feature = "tls", feature = "jwt"))]
    pub(in crate::app) fn add(&mut self, name: &'static str, reload: Reload) {
        self.0.push((name, reload));
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// Whether there is nothing to read again.
    pub(in crate::app) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads all again, also where one fails.
    ///
    /// # Errors
    ///
    /// That of the first one that fails.
    pub(in crate::app) async fn run(&self) -> Result<()> {
        let names: Vec<_> = self.names().collect();
        if !names.is_empty() {
            tracing::info!(what = names.join(", "), "reloading");
        }
        let mut failure: Option<Error> = None;
        for (_, reload) in &self.0 {
            if let Err(error) = reload().await {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// What SIGHUP means to this process: that it reloads, or that it stops.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct HangUp {
    reloads: bool,
    /// Whether the process was started in a terminal.
    had_terminal: bool,
}

impl HangUp {
    /// `reloads`: whether there is anything to read again.
    pub(in crate::app) fn of_process(reloads: bool) -> Self {
        Self {
            reloads,
            had_terminal: has_terminal(),
        }
    }

    /// Whether it stops the node: there is nothing to reload, or the terminal has gone in which the node was started,
    /// and nobody could stop it with Ctrl-C any more.
    fn stops(self) -> bool {
        !self.reloads || (self.had_terminal && !has_terminal())
    }
}

/// Whether the process has a terminal: not any more where it has hung up.
fn has_terminal() -> bool {
    std::io::stdin().is_terminal() || std::io::stderr().is_terminal()
}

/// Waits for a signal that stops the node, and returns its name. Others reload, one after another; one that comes
/// during a reload may be about what that has read already, and begins another.
pub(in crate::app) async fn until_stop(
    hang_up: HangUp,
    signals: &mut Signals,
    mut reload: impl AsyncFnMut(),
) -> &'static str {
    let stops = |signal| signal != HANG_UP || hang_up.stops();
    loop {
        let signal = signals.next().await;
        if stops(signal) {
            return signal;
        }
        let mut is_asked = true;
        while std::mem::take(&mut is_asked) {
            let mut reload = pin!(reload());
            loop {
                tokio::select! {
                    () = &mut reload => break,
                    signal = signals.next() => match stops(signal) {
                        true => return signal,
                        false => is_asked = true,
                    },
                }
            }
        }
    }
}
