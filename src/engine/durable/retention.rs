//! Retention: removes invocations whose retention has ended, and tombstones in turn, in small batches.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::clock::Clock;
use crate::engine::control::gates::Gates;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::store::Store;

/// How often the store is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(10);
/// How many are removed at once: bounded, so that other writes do not wait long.
const BATCH: usize = 1_000;

/// Removes what its retention no longer keeps, until the node drains. A held node removes nothing.
pub(in crate::engine) fn start(
    store: Arc<dyn Store>,
    clock: Clock,
    gates: Arc<Gates>,
    lifecycle: &Lifecycle,
) {
    lifecycle.spawn_until_drain("retention", async move {
        gates.released().cancelled().await;
        loop {
            clock.pause(POLL_INTERVAL).await;
            // Nothing is written any more.
            if store.health().is_err() {
                continue;
            }
            loop {
                match store.purge(clock.now(), BATCH).await {
                    Ok(removed) if removed >= BATCH => tokio::task::yield_now().await,
                    Ok(_) => break,
                    Err(error) => {
                        tracing::error!(%error, "cannot remove invocations after their retention");
                        break;
                    }
                }
            }
        }
    });
}
