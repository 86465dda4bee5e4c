//! Which invocations are being retried just now.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::id::Cid;

/// The invocations that are being retried just now: two callers do not retry the same one.
#[derive(Debug, Default)]
pub(in crate::engine) struct Retrying {
    cids: Mutex<HashSet<Cid>>,
    /// Notified when a caller is done.
    done: Notify,
}

/// An invocation that is being retried, until this is dropped.
pub(super) struct Guard<'a>(&'a Retrying, Cid);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.cids().remove(&self.1);
        self.0.done.notify_waiters();
    }
}

impl Retrying {
    /// Keeps others from retrying an invocation; waits for another caller that retries it, after which it can be told
    /// whether it was retried.
    pub(super) async fn begin(&self, cid: Cid) -> Guard<'_> {
        loop {
            // Before the look: who is done in between notifies.
            let done = self.done.notified();
            if self.cids().insert(cid) {
                return Guard(self, cid);
            }
            done.await;
        }
    }

    fn cids(&self) -> MutexGuard<'_, HashSet<Cid>> {
        self.cids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
