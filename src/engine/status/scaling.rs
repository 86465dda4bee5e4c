//! How much work services have, for those that scale their workers.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::routing::Route;
use crate::engine::status::{StatusReader, within};
use crate::model::access::NamePattern;
use crate::model::error::Result;

/// Of how many services it is asked how much of what is pending is due. Of more, all that is pending counts.
const MAX_ASKED: usize = 100;
/// How many invocations that are due later are counted. More are as good as due.
const MAX_LATER: usize = 100_000;

/// The work of all services whose names match a pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceLoad {
    /// How many invocations are due and have not started, and how many synchronous calls wait.
    pub backlog: usize,
    /// How many handlers run.
    pub running: usize,
    /// How long the oldest of the invocations has been due, in seconds; 0 where none is due.
    pub oldest_due_seconds: f64,
}

impl StatusReader {
    /// Reads it. Services that nobody serves count, too.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub(in crate::engine) async fn load(&self, pattern: &NamePattern) -> Result<ServiceLoad> {
        let now = self.clock.now();
        let mut load = ServiceLoad::default();
        for found in within(self.store.oldest_due(now)).await? {
            if pattern.matches(found.service.as_str()) {
                let age = now.duration_since(found.due).as_secs_f64();
                load.oldest_due_seconds = load.oldest_due_seconds.max(age);
            }
        }
        let mut asked = 0;
        let table = Arc::clone(&self.routes.all());
        let matching = |route: &&Route| pattern.matches(route.name().as_str());
        for route in table.values().map(|route| &**route).filter(matching) {
            load.running += route.limit.running();
            load.backlog += route.limit.queued();
            let pending = self.store.pending_count(route.name());
            if pending > 0 && asked < MAX_ASKED {
                asked += 1;
                load.backlog += pending.saturating_sub(self.later(route, now).await?);
            } else {
                load.backlog += pending;
            }
        }
        Ok(load)
    }

    /// How many pending invocations of a service are not due.
    async fn later(&self, route: &Route, now: Timestamp) -> Result<usize> {
        let later = self.store.later_count(route.name().clone(), now, MAX_LATER);
        within(later).await
    }
}
