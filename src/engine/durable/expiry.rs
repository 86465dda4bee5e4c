//! Expiry: ends pending invocations whose expiration or deadline has passed, even if they wait for a permit, for their
//! concurrency key or for a worker.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::clock::Clock;
use crate::engine::control::gates::Gates;
use crate::engine::durable::commit::{Committer, Source};
use crate::engine::durable::transition::expiry;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::routing::Routes;
use crate::engine::store::Store;
use crate::model::error::Result;
use crate::model::invocation::Invocation;

/// How often the store is polled. A scheduler with a free permit ends what it claims on time; this poll ends the rest.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How many invocations are ended at once.
const BATCH: usize = 256;

/// Ends expired invocations.
#[derive(Debug)]
pub(in crate::engine) struct Expiry {
    store: Arc<dyn Store>,
    routes: Arc<Routes>,
    committer: Arc<Committer>,
    clock: Clock,
    gates: Arc<Gates>,
}

impl Expiry {
    pub(in crate::engine) fn new(
        store: Arc<dyn Store>,
        routes: Arc<Routes>,
        committer: Arc<Committer>,
        clock: Clock,
        gates: Arc<Gates>,
    ) -> Self {
        Self {
            store,
            routes,
            committer,
            clock,
            gates,
        }
    }

    /// Polls the store until the node drains. A held node ends nothing.
    pub(in crate::engine) fn start(self, lifecycle: &Lifecycle) {
        lifecycle.spawn_until_drain("expiry", async move {
            self.gates.released().cancelled().await;
            loop {
                self.clock.pause(POLL_INTERVAL).await;
                // Nothing is written any more.
                if self.store.health().is_err() {
                    continue;
                }
                loop {
                    match self.end_batch().await {
                        Ok(ended) if ended >= BATCH => tokio::task::yield_now().await,
                        Ok(_) => break,
                        Err(error) => {
                            tracing::error!(%error, "cannot end expired invocations");
                            break;
                        }
                    }
                }
            }
        });
    }

    /// Ends some expired invocations; returns how many.
    async fn end_batch(&self) -> Result<usize> {
        let expired = self.store.expired(self.clock.now(), BATCH).await?;
        let end = async |invocation: Invocation| {
            // A forgotten service has no route: its invocations wait until it is declared again.
            let route = self.routes.get(invocation.request.service.as_str())?;
            let rules = self.committer.rules(&route, &invocation);
            let (state, trigger) = expiry(&invocation, &rules)?;
            let source = Source::Unclaimed;
            let ended = self
                .committer
                .apply(&route, &invocation, state, trigger, source);
            ended.await.then_some(())
        };
        // Concurrently, so that they share the commits of the store.
        let ended = futures_util::future::join_all(expired.into_iter().map(end)).await;
        Ok(ended.into_iter().flatten().count())
    }
}
