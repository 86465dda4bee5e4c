//! Records a request to cancel an invocation.

use rusqlite::{OptionalExtension as _, params};

use super::command::Command;
use super::key_queue::KeyQueueHead;
use super::transaction::Tx;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::store::sqlite::blob;
use crate::store::sqlite::bookkeeping::Entries;

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
        let cid = self.cid.as_bytes();
        let select = "SELECT service, concurrency_key, last_failure FROM invocation
             WHERE cid = ?1 AND state < 2";
        let mut select = tx.prepare(select)?;
        let found = select.query_row([cid], |row| {
            let key = row.get::<_, Option<String>>(1)?;
            Ok((row.get::<_, i64>(0)?, key, row.get(2)?))
        });
        let Some((service, key, last_failure)) = found.optional()? else {
            return Ok(Ok(false));
        };
        let queue = KeyQueueHead::read(tx, service, key.as_deref())?;
        // A group does not expire: it ends with its members.
        let last_failure = match &self.cancel_reason {
            Some(text) => Some(blob::with_cancel_reason(last_failure, text)),
            None => last_failure,
        };
        let update = "UPDATE invocation SET cancel_requested = 1, last_failure = ?2,
             wake = CASE WHEN open_members > 0 THEN wake ELSE 0 END,
             over = CASE WHEN open_members > 0 THEN over ELSE 0 END WHERE cid = ?1";
        tx.execute(update, params![cid, last_failure])?;
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
