//! Makes the change of one invocation that an operation has decided on.

use std::sync::Arc;

use super::decision::Decision;
use crate::codec::proto::v1;
use crate::engine::acceptance::origin::Acting;
use crate::engine::durable::operations::cancel::Canceller;
use crate::engine::durable::operations::maintenance::Maintenance;
use crate::model::access::{Principal, Principals};
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::Cid;

/// What has become of an invocation.
#[derive(Debug)]
pub(super) enum Fate {
    Changed,
    /// It has ended or been removed meanwhile.
    Gone,
    Refused(Error),
}

/// Changes invocations, each with the function that changes it by its CID.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) maintenance: Arc<Maintenance>,
    pub(super) canceller: Arc<Canceller>,
    /// Whether who started an operation is a principal: otherwise it is an address.
    pub(super) requires_authentication: bool,
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
        operation: &v1::Operation,
    ) -> Result<Fate> {
        let made = match decision {
            Decision::Done => Ok(()),
            Decision::Refuse(error) => Err(error.clone()),
            Decision::Cancel(cancel_reason) => {
                let cancelled = self.canceller.cancel(cid, cancel_reason.clone()).await;
                match cancelled {
                    Err(error) if error.reason() == reason::ENDED => return Ok(Fate::Gone),
                    cancelled => cancelled.map(drop),
                }
            }
            Decision::CancelGroup(cancel_reason) => {
                let cancelled = self.canceller.cancel(cid, cancel_reason.clone()).await;
                match cancelled {
                    // With its members, which were cancelled before it.
                    Err(error) if error.reason() == reason::ENDED => Ok(()),
                    cancelled => cancelled.map(drop),
                }
            }
            Decision::Retry(retry, input) => {
                let (input, by) = (input.clone(), self.acting(operation));
                let retried = self.maintenance.retry_once(cid, input, Some(*retry), by);
                retried.await.map(drop)
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

    /// Who acts for the retries of an operation. It goes on when the credential that started it is gone: what the node
    /// allows each principal applies to it.
    fn acting(&self, operation: &v1::Operation) -> Acting {
        let known = |name: &str| (!name.is_empty()).then(|| Principal::known(name));
        let principal = known(&operation.principal).filter(|_| self.requires_authentication);
        if principal.is_none() {
            return Acting::default();
        }
        let principals = Principals {
            principal: principal.clone(),
            acting_principal: principal,
            acting_group: known(&operation.principal_group),
        };
        Acting {
            principals: Some(Arc::new(principals)),
            identity: None,
        }
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
