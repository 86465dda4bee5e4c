//! Followers of invocations that run on other nodes: those nodes do not notify this one, which asks the shared store.

use std::sync::Arc;

use crate::engine::clock::Clock;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::results::hub::Hub;
use crate::engine::store::{SHARED_POLL_INTERVAL, Store};
use crate::model::error::Result;

/// How many CIDs one query asks for.
const BATCH: usize = 1_000;

/// Notifies followers of what ended on other nodes, until the node drains. What happened before the end, they see with
/// it.
pub(in crate::engine) fn start(
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    clock: Clock,
    lifecycle: &Lifecycle,
) {
    if !store.is_shared() {
        return;
    }
    lifecycle.spawn_until_drain("followers of other nodes", async move {
        loop {
            clock.pause(SHARED_POLL_INTERVAL).await;
            if let Err(error) = notify_ended(&hub, &*store).await {
                tracing::debug!(%error, "cannot read what ended on other nodes");
            }
        }
    });
}

async fn notify_ended(hub: &Hub, store: &dyn Store) -> Result<()> {
    for batch in hub.followed_cids().chunks(BATCH) {
        for cid in store.ended(batch.to_vec()).await? {
            hub.notify(cid);
        }
    }
    Ok(())
}
