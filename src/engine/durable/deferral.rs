//! Deferred invocations: no connected worker accepts their input. Retried when another worker connects, and every ten
//! seconds.

use std::sync::Arc;

use crate::engine::durable::commit::{Committer, Source};
use crate::engine::durable::transition::Trigger;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::results::lookup::Results;
use crate::engine::routing::{Route, Routes};
use crate::model::error::{Error, Result};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;

/// Defers invocations and releases them.
#[derive(Debug)]
pub(in crate::engine) struct Deferrals {
    routes: Arc<Routes>,
    results: Arc<Results>,
    committer: Arc<Committer>,
    lifecycle: Arc<Lifecycle>,
}

impl Deferrals {
    pub(in crate::engine) fn new(
        routes: Arc<Routes>,
        results: Arc<Results>,
        committer: Arc<Committer>,
        lifecycle: Arc<Lifecycle>,
    ) -> Self {
        Self {
            routes,
            results,
            committer,
            lifecycle,
        }
    }

    /// Defers a claimed invocation.
    pub(in crate::engine) async fn defer(
        &self,
        route: &Route,
        invocation: &Invocation,
        error: Error,
    ) {
        let cid = invocation.request.cid;
        let remembered = route.scheduler.remember_deferred(cid);
        let (state, trigger) = (invocation.state, Trigger::Deferred(error));
        self.committer
            .apply(route, invocation, state, trigger, Source::Claimed)
            .await;
        // A worker that connected meanwhile retried it before it was committed as deferred.
        if remembered && !route.scheduler.is_deferred(cid) {
            self.retry_one(route, cid).await;
        }
    }

    /// Retries the deferred invocations of a service, in the background: another worker has connected.
    pub(in crate::engine) fn retry_all(self: &Arc<Self>, service: &ServiceName) {
        let Ok(route) = self.routes.find(service.as_str()) else {
            return;
        };
        let deferred = route.scheduler.take_deferred();
        if deferred.is_empty() {
            return;
        }
        let deferrals = Arc::clone(self);
        self.lifecycle.tasks().spawn("retry deferred", async move {
            for cid in deferred {
                deferrals.retry_one(&route, cid).await;
            }
        });
    }

    /// Releases an invocation if it is still deferred. Where the store fails, it is polled again all the same.
    async fn retry_one(&self, route: &Route, cid: Cid) {
        if let Ok(view) = self.results.get(cid).await
            && view.invocation.deferred
            && let Err(error) = self.try_release(route, &view.invocation).await
        {
            tracing::warn!(%cid, %error, "cannot release a deferred invocation");
        }
    }

    /// Makes a held or deferred invocation due now; returns whether it still waited.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub(in crate::engine) async fn try_release(
        &self,
        route: &Route,
        invocation: &Invocation,
    ) -> Result<bool> {
        let (state, trigger) = (invocation.state, Trigger::Released);
        let released = self.committer.try_apply(route, invocation, state, trigger);
        let released = released.await?;
        route.scheduler.wake();
        Ok(released)
    }
}
