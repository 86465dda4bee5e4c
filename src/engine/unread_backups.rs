//! Removes copies of the store that were made for a caller, who is gone.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::clock::Clock;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::store::Store;

/// How often the store is asked to remove them.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// Removes temporary copies that nobody reads, until the node drains. Those that are left then are removed when the
/// store is opened again.
pub(in crate::engine) fn remove(store: Arc<dyn Store>, clock: Clock, lifecycle: &Lifecycle) {
    if store.backups().is_none() {
        return;
    }
    lifecycle.spawn_until_drain("unread backups", async move {
        loop {
            clock.pause(POLL_INTERVAL).await;
            let Some(backups) = store.backups() else {
                return;
            };
            if let Err(error) = backups.remove_unread(clock.now()).await {
                tracing::warn!(%error, "cannot remove a copy of the store that nobody reads");
            }
        }
    });
}
