//! Retention: ended invocations are purged and leave a tombstone, which expires later.

use std::sync::Arc;

use jiff::Timestamp;

use super::contents::{Contents, failure};
use super::weight::weight;
use crate::engine::store::Tombstone;
use crate::model::access::Principals;
use crate::model::id::Cid;
use crate::model::invocation::Request;

/// How many bytes a tombstone takes, roughly.
const TOMBSTONE_BYTES: usize = 160;

impl Contents {
    /// Removes up to `max` invocations and tombstones whose time has passed. Returns how many.
    pub(super) fn purge(&mut self, now: Timestamp, max: usize) -> usize {
        let mut removed = 0;
        while removed < max
            && let Some(entry) = self.purge_queue.first_entry()
            && entry.key().0 <= now
        {
            let ((_, cid), until) = entry.remove_entry();
            self.leave_tombstone(cid, until);
            removed += 1;
        }
        while removed < max
            && let Some(&(until, cid)) = self.tombstone_expiry.first()
            && until <= now
        {
            self.tombstone_expiry.pop_first();
            self.remove_tombstone(cid);
            removed += 1;
        }
        removed
    }

    /// Removes an invocation that has ended. Returns whether it was there, had ended and is not held for its group.
    pub(super) fn remove(&mut self, cid: Cid) -> bool {
        let found = self.invocations.get(&cid);
        let Some(purge_time) = found.and_then(|found| found.purge_time) else {
            return false;
        };
        if self.held.contains_key(&cid) {
            return false;
        }
        let until = self.purge_queue.remove(&(purge_time, cid));
        self.leave_tombstone(cid, until.unwrap_or(purge_time));
        true
    }

    /// Removes the oldest ended invocations, then the oldest tombstones, until the rest fits.
    pub(super) fn make_room(&mut self, bytes_limit: usize) {
        while self.bytes > bytes_limit {
            if let Some(((_, cid), until)) = self.purge_queue.pop_first() {
                self.leave_tombstone(cid, until);
            } else if let Some((_, cid)) = self.tombstone_expiry.pop_first() {
                self.remove_tombstone(cid);
            } else {
                return;
            }
        }
    }

    fn leave_tombstone(&mut self, cid: Cid, until: Timestamp) {
        let Some(invocation) = self.invocations.remove(&cid) else {
            return;
        };
        self.bytes -= weight(&invocation);
        if let Some(entry) = failure(&invocation) {
            self.failed.remove(&entry);
        }
        self.members.remove(&cid);
        if let Some(key) = &invocation.request.terms.idempotency_key {
            self.keys.remove(invocation.request.owner(), key);
        }
        if let Some(end_time) = invocation.end_time {
            let state = invocation.state;
            let tombstone = Tombstone {
                state,
                end_time,
                owner: owner_of(&invocation.request),
            };
            self.tombstones.insert(cid, tombstone);
            self.tombstone_expiry.insert((until, cid));
            self.bytes += TOMBSTONE_BYTES;
        }
    }

    fn remove_tombstone(&mut self, cid: Cid) {
        if self.tombstones.remove(&cid).is_some() {
            self.bytes -= TOMBSTONE_BYTES;
        }
    }
}

/// The owner of an invocation, without the one who asked.
fn owner_of(request: &Request) -> Option<Arc<Principals>> {
    let principals = request.principals.as_deref()?;
    principals.acting_principal.as_ref()?;
    Some(Arc::new(Principals {
        principal: None,
        ..principals.clone()
    }))
}
