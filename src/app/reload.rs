//! What a node reads again while it runs, on SIGHUP or when its host asks for it, and the signals of a running node.

use std::fmt;
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
    #[cfg(feature = "tls")]
    pub(in crate::app) fn add(&mut self, name: &'static str, reload: Reload) {
        self.0.push((name, reload));
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
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

/// Waits for a signal that stops the node, and reloads on SIGHUP where there is something to reload; returns the name
/// of the signal.
pub(in crate::app) async fn until_stop(reloads: &Reloads, signals: &mut Signals) -> &'static str {
    loop {
        let signal = signals.next().await;
        if signal != HANG_UP || reloads.0.is_empty() {
            return signal;
        }
        let mut is_asked = true;
        while std::mem::take(&mut is_asked) {
            let mut reload = pin!(reloads.run());
            loop {
                tokio::select! {
                    // A failure is logged where it happens.
                    _ = &mut reload => break,
                    signal = signals.next() => match signal {
                        HANG_UP => is_asked = true,
                        signal => return signal,
                    },
                }
            }
        }
    }
}
