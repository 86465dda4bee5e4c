//! Ending what waits and whose time is over: it may wait for a slot, for a key, or for somebody to serve it.

use std::time::Duration;

use crate::engine::Invoker;
use crate::model::error::Result;
use crate::model::invocation::Invocation;

/// How often to look: a lane that is free ends what it has at the instant itself.
const EVERY: Duration = Duration::from_secs(1);
/// How many are ended at once.
const BATCH: usize = 256;

/// Starts the watch.
pub(super) fn start(invoker: &Invoker) {
    invoker.spawn_until_drain("overdue", watch(invoker.clone()));
}

async fn watch(invoker: Invoker) {
    loop {
        invoker.0.clock.pause(EVERY).await;
        loop {
            match invoker.end_overdue().await {
                Ok(ended) if ended >= BATCH => tokio::task::yield_now().await,
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%error, "cannot end what is overdue");
                    break;
                }
            }
        }
    }
}

impl Invoker {
    /// Ends some of what is overdue; answers how much.
    async fn end_overdue(&self) -> Result<usize> {
        let now = self.0.clock.now();
        let overdue = self.0.store.expired(now, BATCH).await?;
        let end = async |invocation: Invocation| {
            let service = invocation.request.service.as_str();
            // Of a service that nobody knows any more: it waits until somebody does.
            match self.0.routes.find(service) {
                Ok(route) => usize::from(self.give_up_waiting(&route, &invocation).await),
                Err(_) => 0,
            }
        };
        // Together, so that they share the store's commits.
        let ended = futures_util::future::join_all(overdue.into_iter().map(end)).await;
        Ok(ended.into_iter().sum())
    }
}
