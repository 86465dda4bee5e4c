//! Which invocations are being retried just now.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;

/// The invocations that are being retried just now: two callers do not retry the same one.
#[derive(Debug, Default)]
pub(in crate::engine) struct Retrying(Mutex<HashSet<Cid>>);

/// An invocation that is being retried, until this is dropped.
pub(super) struct Guard<'a>(&'a Retrying, Cid);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.cids().remove(&self.1);
    }
}

impl Retrying {
    /// Keeps others from retrying an invocation.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `ALREADY_RETRIED` while another caller retries it.
    pub(super) fn begin(&self, cid: Cid) -> Result<Guard<'_>> {
        match self.cids().insert(cid) {
            true => Ok(Guard(self, cid)),
            false => {
                let message = format!("{cid} is being retried just now");
                Err(Error::failed_precondition(reason::ALREADY_RETRIED, message))
            }
        }
    }

    fn cids(&self) -> MutexGuard<'_, HashSet<Cid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
