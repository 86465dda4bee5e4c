//! Makes the change of one invocation that an operation has decided on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::decision::{Decision, already_retried};
use crate::engine::durable::operations::cancel::Canceller;
use crate::engine::durable::operations::maintenance::Maintenance;
use crate::model::access::{Principal, Principals};
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::Cid;
use crate::model::payload::Payload;

/// What has become of an invocation.
#[derive(Debug)]
pub(super) enum Fate {
    Changed,
    /// It has been removed meanwhile.
    Gone,
    Refused(Error),
}

/// Changes invocations, each with the function that changes it by its CID.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) maintenance: Arc<Maintenance>,
    pub(super) canceller: Arc<Canceller>,
    /// The invocations that operations retry just now: two operations do not retry the same one.
    pub(super) retrying: Mutex<HashSet<Cid>>,
    /// Whether who started an operation is a principal: otherwise it is an address.
    pub(super) requires_authentication: bool,
}

/// An invocation that is being retried, until this is dropped.
struct Retrying<'a>(&'a Changes, Cid);

impl Drop for Retrying<'_> {
    fn drop(&mut self) {
        self.0.retrying().remove(&self.1);
    }
}

impl Changes {
    /// Makes a change, for the one who started the operation.
    ///
    /// # Errors
    ///
    /// Only what [passes](passes): the change can be made later.
    pub(super) async fn make(
        &self,
        cid: Cid,
        decision: &Decision,
        started_by: &str,
    ) -> Result<Fate> {
        let made = match decision {
            Decision::Done => Ok(()),
            Decision::Refuse(error) => Err(error.clone()),
            Decision::Cancel(cancel_reason) => {
                let cancelled = self.canceller.cancel(cid, cancel_reason.clone());
                cancelled.await.map(drop)
            }
            Decision::Retry(retry, input) => {
                let retried = self.retry(cid, input.clone(), *retry, started_by);
                retried.await
            }
            Decision::Release => self.maintenance.release(cid).await.map(drop),
            Decision::Purge => self.maintenance.purge(cid).await.map(drop),
        };
        match made {
            Ok(()) => Ok(Fate::Changed),
            Err(error) if passes(&error) => Err(error),
            Err(error) => Ok(fate_of(error)),
        }
    }

    async fn retry(
        &self,
        cid: Cid,
        input: Option<Payload>,
        retry: Cid,
        started_by: &str,
    ) -> Result<()> {
        if !self.retrying().insert(cid) {
            let message = format!("another operation retries {cid} just now");
            return Err(Error::failed_precondition(reason::ALREADY_RETRIED, message));
        }
        let _retrying = Retrying(self, cid);
        // Read again: another operation may have retried it since the page was read.
        match self.maintenance.retried_as(cid).await? {
            Some(known) if known == retry => Ok(()),
            Some(known) => Err(already_retried(cid, known)),
            None => {
                let by = self.acting(started_by);
                let retried = self.maintenance.retry_as(cid, input, retry, by);
                retried.await.map(drop)
            }
        }
    }

    /// Who acts for the retries of an operation.
    fn acting(&self, started_by: &str) -> Option<Arc<Principals>> {
        if !self.requires_authentication || started_by.is_empty() {
            return None;
        }
        let principal = Some(Principal::known(started_by));
        Some(Arc::new(Principals {
            principal: principal.clone(),
            acting_principal: principal,
            acting_group: None,
        }))
    }

    fn retrying(&self) -> MutexGuard<'_, HashSet<Cid>> {
        self.retrying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fate_of(error: Error) -> Fate {
    match (error.kind(), error.reason()) {
        (Kind::NotFound, reason::CID_UNKNOWN | reason::RESULT_EXPIRED) => Fate::Gone,
        // The retry was made before a crash, and has been removed since.
        (Kind::AlreadyExists, reason::RESULT_EXPIRED) => Fate::Changed,
        _ => Fate::Refused(error),
    }
}

/// Whether an error is one of the node as a whole, or of a limit, that passes: what it refused can be done later.
pub(super) fn passes(error: &Error) -> bool {
    matches!(
        error.reason(),
        reason::STORE_FULL
            | reason::STORE_FAILED
            | reason::PENDING_LIMIT
            | reason::MEMORY_LIMIT
            | reason::NODE_STOPPING
    )
}
