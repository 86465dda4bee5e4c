//! Removing what has been kept long enough, in small steps.

use std::time::Duration;

use crate::engine::Invoker;

/// How often to look.
const EVERY: Duration = Duration::from_secs(10);
/// How many to remove at once: bounded, so that nobody waits long behind it.
const BATCH: usize = 1_000;

/// Starts the sweeper.
pub(in crate::engine) fn start(invoker: &Invoker) {
    invoker.spawn_until_drain("purge", sweep(invoker.clone()));
}

async fn sweep(invoker: Invoker) {
    loop {
        invoker.0.clock.pause(EVERY).await;
        loop {
            let removed = invoker.0.store.purge(invoker.0.clock.now(), BATCH).await;
            match removed {
                Ok(removed) if removed >= BATCH => tokio::task::yield_now().await,
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%error, "cannot remove what has been kept long enough");
                    break;
                }
            }
        }
    }
}
