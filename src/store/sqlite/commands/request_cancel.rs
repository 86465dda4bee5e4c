//! Records a request to cancel an invocation.

use rusqlite::params;

use super::command::Command;
use super::key_queue::KeyQueueHead;
use super::pending_row::OpenInvocation;
use super::transaction::Tx;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::store::blob;
use crate::store::sqlite::bookkeeping::Entries;

/// A group does not expire: it ends with its members.
const UPDATE: &str = "UPDATE pending SET cancel_requested = 1, last_failure = ?2,
     wake = CASE WHEN open_members > 0 THEN wake ELSE 0 END,
     over = CASE WHEN open_members > 0 THEN over ELSE 0 END WHERE id = ?1";

/// Requests the cancellation of an invocation. Returns whether it has not ended yet.
#[derive(Debug)]
pub(in crate::store::sqlite) struct RequestCancel {
    pub(in crate::store::sqlite) cid: Cid,
    pub(in crate::store::sqlite) cancel_reason: Option<String>,
}

impl Command for RequestCancel {
    type Reply = bool;

    /// The invocation expires at once: if the node ends before the handler does, the next node cancels it, whether or
    /// not its service is served then.
    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<bool>> {
        let open = match OpenInvocation::find(tx, self.cid)? {
            None => return Ok(Ok(false)),
            Some(Err(error)) => return Ok(Err(error)),
            Some(Ok(open)) => open,
        };
        open.insert_row(tx)?;
        let queue = KeyQueueHead::read(tx, open.concurrency_key())?;
        let last_failure = open.row.as_ref().and_then(|row| row.last_failure.clone());
        let last_failure = match &self.cancel_reason {
            Some(text) => match blob::with_cancel_reason(self.cid, last_failure, text, tx.cipher) {
                Ok(last_failure) => Some(last_failure),
                Err(error) => return Ok(Err(error)),
            },
            None => last_failure,
        };
        tx.execute(UPDATE, params![open.id, last_failure])?;
        if let Some(queue) = queue {
            queue.update_head(tx)?;
        }
        Ok(Ok(true))
    }

    /// It is due now, whatever its service.
    fn update_entries(&self, _: &bool, entries: &mut Entries) {
        entries.hand_over.forget_all();
    }
}
